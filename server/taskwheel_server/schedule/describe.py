"""A schedule in an English sentence, from the values it runs by: what it says is what happens, star rule and all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import chain, groupby

from taskwheel_server.clock import DAY, HOUR, MINUTE, SECOND
from taskwheel_server.schedule.cron import Expression, Field, parse
from taskwheel_server.schedule.days import DayRule, NearestWeekday, NthWeekday
from taskwheel_server.schedule.spec import Schedule
from taskwheel_server.schedule.zones import EPOCH, zone

_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_NTH = ("last", "first", "second", "third", "fourth", "fifth")
# More times than this read better as a rule than as a list, if there is one.
_MAX_TIMES = 6


def describe(schedule: Schedule, *, seed: str = "") -> str:
    """Return a sentence without a full stop; UTC goes without saying.

    Args:
        schedule: one that `check` accepts.
        seed: what `H` is hashed from, as for `next_slot`; the sentence names the times it stands for.

    Raises:
        InvalidSchedule: as `next_slot`.
    """
    place = "" if schedule.time_zone in {"", "UTC", "Etc/UTC"} else f", {schedule.time_zone} time"
    jitter = f", each up to {_duration(schedule.jitter)} later" if schedule.jitter else ""
    if schedule.cron:
        return _cron(parse(schedule.cron, seed)) + place + jitter
    if schedule.at is not None:
        local = (EPOCH + timedelta(microseconds=schedule.at)).astimezone(zone(schedule.time_zone))
        return f"Once at {_instant(local)}{place or ' UTC'}{jitter}"
    return f"Every {_duration(schedule.interval).removeprefix('1 ')}{jitter}"


def _instant(local: datetime) -> str:
    return local.replace(tzinfo=None).isoformat(" ", "auto" if local.second or local.microsecond else "minutes")


def _duration(microseconds: int) -> str:
    for unit, name in ((DAY, "day"), (HOUR, "hour"), (MINUTE, "minute")):
        if microseconds % unit == 0:
            return _plural(microseconds // unit, name)
    return _plural(f"{microseconds / SECOND:.6f}".rstrip("0").rstrip("."), "second")


def _plural(number: int | str, noun: str) -> str:
    return f"{number} {noun}" if str(number) == "1" else f"{number} {noun}s"


def _cron(expression: Expression) -> str:
    minutes, hours = expression.minute.values, expression.hour.values
    evenly = _step(hours, 24)
    plain = not evenly and hours[-1] - hours[0] > len(hours) - 1 and len(minutes) == 1
    if plain or len(minutes) * len(hours) <= _MAX_TIMES:
        times = _join(f"{hour:02}:{minute:02}" for hour in hours for minute in minutes)
        return f"At {times}{_days(expression, ' every day')}"
    every_hour_or_so = evenly > 0 and minutes == (0,)
    time = f"Every {_plural(evenly, 'hour').removeprefix('1 ')}" if every_hour_or_so else _times(minutes, hours)
    return time + _days(expression, "" if evenly else " every day")


def _times(minutes: tuple[int, ...], hours: tuple[int, ...]) -> str:
    every_hour = len(hours) == 24
    if minutes == (0,):
        text = "Every hour"
    elif step := _step(minutes, 60):
        text = f"Every {_plural(step, 'minute').removeprefix('1 ')}"
    else:
        text = f"At {_join(_ranges(minutes, str))} {'minute' if minutes == (1,) else 'minutes'} past "
        text += "every hour" if every_hour else "the hour"
    if every_hour:
        return text
    if hours[-1] - hours[0] == len(hours) - 1:
        return f"{text} from {hours[0]:02}:{minutes[0]:02} through {hours[-1]:02}:{minutes[-1]:02}"
    return f"{text} in the hours {_join(f'{hour:02}' for hour in hours)}"


def _days(expression: Expression, every_day: str) -> str:
    """Return the day part of the sentence, led by a blank; `every_day` where no day is left out."""
    dates, weekdays, months = expression.day_of_month, expression.day_of_week, expression.month
    both = dates.star or weekdays.star
    any_date, any_weekday = len(dates.values) == 31, len(weekdays.values) == 7
    month = _join(_ranges(months.values, _month)) if len(months.values) < len(_MONTHS) else ""
    in_month = f" in {month}" if month else ""
    by_date = _join(_the(_ranges(dates.values, _ordinal)), map(_rule, dates.rules))
    by_weekday = _join(_ranges(_monday_first(weekdays), _weekday), map(_rule, weekdays.rules))
    if (any_date and any_weekday) or ((any_date or any_weekday) and not both):
        return every_day + in_month
    if any_weekday:
        return f" on {by_date} of {month or 'the month'}"
    if any_date:
        return f" on {by_weekday}{in_month}"
    if both:
        return f" on {by_weekday}, only if it is {by_date} of {month or 'the month'}"
    return f" on {by_date} of the month and on {by_weekday}{',' if month else ''}{in_month}"


def _rule(rule: DayRule) -> str:
    match rule:
        case NearestWeekday(None):
            return "the last weekday (Monday to Friday)"
        case NearestWeekday(int(day)):
            return f"the weekday (Monday to Friday) nearest the {_ordinal(day)}"
        case NthWeekday(weekday, nth):
            return f"the {_NTH[nth or 0]} {_weekday(weekday)} of the month"
        case _:
            return "the last day"


def _step(values: Sequence[int], size: int) -> int:
    """Return n if `values` are every n-th of 0 to size - 1, more than one, and go on evenly past the end; else 0."""
    step = size // len(values)
    return step if len(values) > 1 and size % step == 0 and tuple(values) == tuple(range(0, size, step)) else 0


def _ranges(values: Iterable[int], name: Callable[[int], str]) -> Iterator[str]:
    """Yield the names of the values in order, three and more in a row as a range."""
    for _, group in groupby(enumerate(values), key=lambda pair: pair[1] - pair[0]):
        row = [name(value) for _, value in group]
        yield from row if len(row) <= 2 else [f"{row[0]} through {row[-1]}"]


def _the(names: Iterable[str]) -> list[str]:
    return [name if index else f"the {name}" for index, name in enumerate(names)]


def _join(*parts: Iterable[str]) -> str:
    *most, last = chain(*parts)
    return f"{', '.join(most)} and {last}" if most else last


def _ordinal(day: int) -> str:
    suffix = {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th") if day not in {11, 12, 13} else "th"
    return f"{day}{suffix}"


def _monday_first(weekdays: Field) -> list[int]:
    return sorted(weekday or 7 for weekday in weekdays.values)


def _weekday(number: int) -> str:
    return _WEEKDAYS[(number - 1) % 7]


def _month(number: int) -> str:
    return _MONTHS[number - 1]
