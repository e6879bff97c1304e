"""The cron dialect: Debian's crontab(5) to the letter, and a few extensions.

Five fields: minute 0-59, hour 0-23, day of month 1-31, month 1-12 or jan-dec, day of week 0-7 (0 and 7 are Sunday) or
sun-sat. A field is `*`, a number, a range `a-b`, either `*` or a range with a step `/n`, or a list of these. A step
larger than its range picks the first value. If either day field begins with `*` both must match, otherwise either may.
`@hourly @daily @midnight @weekly @monthly @yearly @annually` stand for their expressions.

Extensions: `a/n` from a to the end of the field; in day of month `L` the last day, `LW` the last weekday (Monday to
Friday), `nW` the weekday nearest to day n of the same month; in day of week `n#k` the k-th and `nL` the last of the
month; `H`, `H/n`, `H(a-b)` and `H(a-b)/n` values hashed from a seed, in day of month no later than the 28th.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import blake2b

from taskwheel_server.errors import clip
from taskwheel_server.schedule.days import DayRule, LastDay, NearestWeekday, NthWeekday
from taskwheel_server.schedule.spec import InvalidSchedule

MAX_LENGTH = 512
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
NICKNAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_ELSEWHERE = {
    "@reboot": "@reboot is not a time; run the task on demand instead",
    "@every": "@every is not part of the dialect; use the field interval",
    "CRON_TZ=": "a time zone is not part of the expression; use the field time_zone",
    "TZ=": "a time zone is not part of the expression; use the field time_zone",
    "@": "the nickname is not one of " + " ".join(NICKNAMES),
}
_ITEM = re.compile(
    r"(?:(?P<star>\*)|(?P<hash>H)(?:\((?P<low>\w+)-(?P<high>\w+)\))?|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>\w+))?",
    re.ASCII,
)
_EVERY_7_DAYS = sum(1 << 7 * week for week in range(5))


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its plain values in order, its rules (day fields only), and whether its text begins with `*`."""

    values: tuple[int, ...]
    rules: tuple[DayRule, ...]
    star: bool


@dataclass(frozen=True, slots=True)
class Expression:
    """The five fields. `hashed`: some value depends on the seed."""

    minute: Field
    hour: Field
    day_of_month: Field
    month: Field
    day_of_week: Field
    hashed: bool

    @property
    def follows_elapsed_time(self) -> bool:
        """Whether minute or hour begins with `*`: Debian's cron(8) runs such a job by real time when clocks change."""
        return self.minute.star or self.hour.star

    def days(self, first: int, length: int) -> int:
        """Return the mask of the matching days (bit d: day d) of a month, as for DayRule; the month field aside."""
        month = (1 << length + 1) - 2
        by_date = by_weekday = 0
        for day in self.day_of_month.values:
            by_date |= 1 << day
        for weekday in self.day_of_week.values:
            by_weekday |= _EVERY_7_DAYS << 1 + (weekday - first) % 7
        for rule in self.day_of_month.rules:
            by_date |= rule.days(first, length)
        for rule in self.day_of_week.rules:
            by_weekday |= rule.days(first, length)
        both = self.day_of_month.star or self.day_of_week.star
        return (by_date & by_weekday if both else by_date | by_weekday) & month

    def ever_matches(self) -> bool:
        """Whether any month that exists has a matching day."""
        lengths = {2: (28, 29), 4: (30,), 6: (30,), 9: (30,), 11: (30,)}
        return any(
            self.days(first, length)
            for month in self.month.values
            for length in lengths.get(month, (31,))
            for first in range(7)
        )


@dataclass(frozen=True, slots=True)
class _FieldParser:
    """The bounds and names of one of the five fields."""

    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()
    hash_high: int | None = None

    def parse(self, text: str, seed: str) -> Field:
        values: set[int] = set()
        rules: list[DayRule] = []
        for item in text.upper().split(","):
            rule = self._rule(item)
            if rule is None:
                values.update(self._values(item, seed))
            else:
                rules.append(rule)
        if self.names is WEEKDAYS:
            values = {value % 7 for value in values}
        return Field(tuple(sorted(values)), tuple(rules), text.startswith("*"))

    def _rule(self, item: str) -> DayRule | None:
        if self.name == "day of month":
            if item == "L":
                return LastDay()
            if item.endswith("W"):
                return NearestWeekday(None if item == "LW" else self._number(item, item[:-1]))
        if self.name == "day of week":
            weekday, sign, nth = item.partition("#")
            if sign:
                if nth not in {"1", "2", "3", "4", "5"}:
                    raise self._fault(item, "a month has a 1st to 5th of each weekday")
                return NthWeekday(self._number(item, weekday) % 7, int(nth))
            if len(item) > 1 and item.endswith("L"):
                return NthWeekday(self._number(item, item[:-1]) % 7, None)
        return None

    def _values(self, item: str, seed: str) -> range:
        match = _ITEM.fullmatch(item)
        if match is None:
            raise self._fault(item, 'write "*"' if item == "?" else "not a number, name, range or step")
        step = 1
        if match["step"]:
            step = int(match["step"]) if match["step"].isdigit() else 0
            if step < 1:
                raise self._fault(item, "a step is a number of at least 1")
        if match["star"]:
            return range(self.low, self.high + 1, step)
        if match["hash"]:
            low, high = self.low, self.hash_high or self.high
            if match["low"]:
                low, high = self._range(item, match["low"], match["high"])
            size = high - low + 1
            value = hashed(f"{seed}\0{self.name}", min(step, size) if match["step"] else size)
            return range(low + value, high + 1, step if match["step"] else size)
        if match["last"]:
            low, high = self._range(item, match["first"], match["last"])
            return range(low, high + 1, step)
        first = self._number(item, match["first"])
        return range(first, (self.high if match["step"] else first) + 1, step)

    def _range(self, item: str, first: str, last: str) -> tuple[int, int]:
        low, high = self._number(item, first), self._number(item, last)
        if low > high:
            hint = "; Sunday is 7 at the end of a range" if high == 0 and self.names is WEEKDAYS else ""
            raise self._fault(item, f"the range runs backwards{hint}")
        return low, high

    def _number(self, item: str, text: str) -> int:
        if text in self.names:
            return self.names.index(text) + self.low
        if not text.isdigit():
            raise self._fault(item, f"not a number{' or a three-letter name' if self.names else ''}")
        if not self.low <= int(text) <= self.high:
            raise self._fault(item, f"outside {self.low}-{self.high}")
        return int(text)

    def _fault(self, item: str, problem: str) -> InvalidSchedule:
        return InvalidSchedule("cron", f'{self.name} "{clip(item)}": {problem}')


_FIELDS = (
    _FieldParser("minute", 0, 59),
    _FieldParser("hour", 0, 23),
    _FieldParser("day of month", 1, 31, hash_high=28),
    _FieldParser("month", 1, 12, MONTHS),
    _FieldParser("day of week", 0, 7, WEEKDAYS, hash_high=6),
)


def hashed(key: str, size: int) -> int:
    """Return a number in [0, size) that depends on `key` alone, the same on every machine."""
    return int.from_bytes(blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest()) % size


def parse(text: str, seed: str = "") -> Expression:
    """Read an expression of the dialect; `seed` decides what `H` stands for.

    Raises:
        InvalidSchedule: the field is `cron`; the text is not of the dialect, or no day ever matches.
    """
    if len(text) > MAX_LENGTH:
        raise InvalidSchedule("cron", f"longer than {MAX_LENGTH} characters")
    if not re.fullmatch(r"[ -~\t]*", text):
        raise InvalidSchedule("cron", f'"{clip(text)}": only printable ASCII characters are allowed')
    for prefix, problem in _ELSEWHERE.items():
        if text.strip().startswith(prefix) and text.strip() not in NICKNAMES:
            raise InvalidSchedule("cron", f'"{clip(text)}": {problem}')
    fields = NICKNAMES.get(text.strip(), text).split()
    if len(fields) != len(_FIELDS):
        hint = "; seconds and years are not part of the dialect" if len(fields) > len(_FIELDS) else ""
        raise InvalidSchedule("cron", f'"{clip(text)}": expected 5 fields, found {len(fields)}{hint}')
    minute, hour, day_of_month, month, day_of_week = (
        parser.parse(field, seed) for parser, field in zip(_FIELDS, fields, strict=True)
    )
    has_hash = any(item.startswith(("H", "h")) for field in fields for item in field.split(","))
    expression = Expression(minute, hour, day_of_month, month, day_of_week, has_hash)
    if not expression.ever_matches():
        raise InvalidSchedule("cron", f'"{clip(text)}": no day ever matches')
    return expression
