"""Cron against a minute-by-minute model of Debian's daemon, and against croniter and cronsim as witnesses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from croniter import croniter
from cronsim import CronSim
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from taskwheel_server.schedule import (
    DstGap,
    DstOverlap,
    InvalidSchedule,
    Schedule,
    count_slots,
    newest_slots,
    next_slot,
    next_slot_of,
    slots_between,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MINUTE = 60 * 10**6
DAY = 1440 * MINUTE
# Days around a change of the clocks, one hour, two and half an hour, at midnight and at 02:00, and a day skipped.
CHANGES = [
    ("America/New_York", date(2026, 3, 8)),
    ("America/New_York", date(2026, 11, 1)),
    ("Europe/London", date(2026, 10, 25)),
    ("Europe/Dublin", date(2026, 3, 29)),
    ("America/Sao_Paulo", date(2018, 11, 4)),
    ("America/Sao_Paulo", date(2019, 2, 16)),
    ("Africa/Cairo", date(2026, 4, 24)),
    ("Africa/Casablanca", date(2026, 3, 22)),
    ("Australia/Lord_Howe", date(2026, 4, 5)),
    ("Australia/Lord_Howe", date(2026, 10, 4)),
    ("Antarctica/Troll", date(2026, 3, 29)),
    ("Antarctica/Troll", date(2026, 10, 25)),
    ("Antarctica/Casey", date(2010, 3, 5)),
    ("Asia/Tehran", date(2022, 3, 22)),
    ("Pacific/Apia", date(2011, 12, 30)),
    ("UTC", date(2026, 6, 30)),
]


@dataclass(frozen=True)
class Term:
    """The text of a field, and the values it stands for, worked out beside it and not from it."""

    text: str
    values: frozenset[int]

    @property
    def star(self) -> bool:
        return self.text.startswith("*")


def items(low: int, high: int, *, extended: bool) -> st.SearchStrategy[Term]:
    numbers = st.integers(low, high)
    ranges = st.tuples(numbers, numbers).map(sorted)
    steps = st.integers(1, high + 2)
    choices = [
        numbers.map(lambda a: Term(f"{a}", frozenset({a}))),
        ranges.map(lambda r: Term(f"{r[0]}-{r[1]}", frozenset(range(r[0], r[1] + 1)))),
        st.tuples(ranges, steps).map(
            lambda t: Term(f"{t[0][0]}-{t[0][1]}/{t[1]}", frozenset(range(t[0][0], t[0][1] + 1, t[1])))
        ),
        steps.map(lambda n: Term(f"*/{n}", frozenset(range(low, high + 1, n)))),
    ]
    if extended:
        choices.append(
            st.tuples(numbers, steps).map(lambda t: Term(f"{t[0]}/{t[1]}", frozenset(range(t[0], high + 1, t[1]))))
        )
    return st.one_of(choices)


def terms(low: int, high: int, *, extended: bool = True) -> st.SearchStrategy[Term]:
    every = st.just(Term("*", frozenset(range(low, high + 1))))
    lists = st.lists(items(low, high, extended=extended), min_size=1, max_size=3).map(
        lambda parts: Term(",".join(part.text for part in parts), frozenset().union(*(part.values for part in parts)))
    )
    return st.one_of(every, lists)


@dataclass(frozen=True)
class Cron:
    minute: Term
    hour: Term
    day: Term
    month: Term
    weekday: Term

    @property
    def text(self) -> str:
        return " ".join(term.text for term in (self.minute, self.hour, self.day, self.month, self.weekday))

    @property
    def wild(self) -> bool:
        return self.minute.star or self.hour.star

    def matches(self, local: datetime) -> bool:
        by_date = local.day in self.day.values
        by_weekday = bool({local.isoweekday(), local.isoweekday() % 7} & self.weekday.values)
        day = by_date and by_weekday if self.day.star or self.weekday.star else by_date or by_weekday
        return (
            day
            and local.minute in self.minute.values
            and local.hour in self.hour.values
            and local.month in self.month.values
        )


def crons(
    *,
    extended: bool = True,
    months: st.SearchStrategy[Term] | None = None,
    weekdays: st.SearchStrategy[Term] | None = None,
) -> st.SearchStrategy[Cron]:
    return st.builds(
        Cron,
        terms(0, 59, extended=extended),
        terms(0, 23, extended=extended),
        terms(1, 31, extended=extended),
        terms(1, 12, extended=extended) if months is None else months,
        terms(0, 7, extended=extended) if weekdays is None else weekdays,
    )


any_month = st.just(Term("*", frozenset(range(1, 13))))


def debian(cron: Cron, zone: str, start: datetime, minutes: int, gap: DstGap, overlap: DstOverlap) -> list[int]:
    """Live through every minute as cron(8) does: its virtual clock stands still while an hour repeats."""
    place = ZoneInfo(zone)
    found = []
    virtual = None
    for elapsed in range(-1440, minutes):  # a day to warm up: the start may lie in a repeated hour
        now = start + timedelta(minutes=elapsed)
        local = now.astimezone(place).replace(tzinfo=None, fold=0)
        jump = 0 if virtual is None else (local - virtual) // timedelta(minutes=1) - 1
        due = cron.matches(local)
        if -180 < jump < 0:
            due = due and (cron.wild or overlap == DstOverlap.BOTH)
        else:
            if virtual is not None and jump < 180 and not cron.wild and gap == DstGap.RUN_AFTER_GAP:
                due = due or any(cron.matches(virtual + timedelta(minutes=1 + skipped)) for skipped in range(jump))
            virtual = local
        if due and elapsed >= 0:
            found.append((now - EPOCH) // timedelta(microseconds=1))
    return found


@settings(max_examples=150, deadline=None)
@given(
    cron=crons(months=any_month),
    change=st.sampled_from(CHANGES),
    gap=st.sampled_from(DstGap),
    overlap=st.sampled_from(DstOverlap),
)
def test_cron_is_debians_minute_by_minute(cron, change, gap, overlap):
    zone, day = change
    start = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=26)
    minutes = 3 * 1440
    expected = debian(cron, zone, start, minutes, gap, overlap)
    schedule = Schedule(cron=cron.text, time_zone=zone, dst_gap=gap, dst_overlap=overlap)
    after = (start - EPOCH) // timedelta(microseconds=1) - 1
    assume(can_match(schedule))
    assert slots_between([schedule], after, after + minutes * MINUTE, anchor=0, seed="", limit=10_000) == expected
    assert count_slots([schedule], after, after + minutes * MINUTE, anchor=0, seed="") == len(expected)


def can_match(schedule: Schedule) -> bool:
    try:
        next_slot(schedule, 0, anchor=0, seed="")
    except InvalidSchedule:
        return False
    return True


instants = st.integers(0, 2**32 * 10**6)


def first_of(witness: Callable[[datetime], datetime], after: int, count: int) -> list[int]:
    local = (EPOCH + timedelta(microseconds=after)).replace(tzinfo=None)
    found = []
    for _ in range(count):
        local = witness(local)
        found.append((local.replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1))
    return found


@settings(max_examples=200, deadline=None)
@given(cron=crons(extended=False), after=instants)
def test_in_utc_cronsim_agrees(cron, after):
    # Known: it reads a step on a range of one value, a-a/n, as a/n.
    assume(not has_range_of_one(cron))
    schedule = Schedule(cron=cron.text)
    assume(can_match(schedule))
    expected = first_of(lambda local: next(CronSim(cron.text, local)), after, 5)
    assert slots_between([schedule], after, expected[-1], anchor=0, seed="", limit=5) == expected


@settings(max_examples=200, deadline=None)
@given(cron=crons(weekdays=terms(0, 7, extended=False)), after=instants)
def test_in_utc_croniter_agrees(cron, after):
    # Known: it reads a-a as the whole cycle, and a/n in the weekday up to 6, as if Sunday were not also 7.
    assume(not has_range_of_one(cron))
    schedule = Schedule(cron=cron.text)
    assume(can_match(schedule))
    expected = first_of(lambda local: croniter(cron.text, local, implement_cron_bug=True).get_next(datetime), after, 5)
    assert slots_between([schedule], after, expected[-1], anchor=0, seed="", limit=5) == expected


def has_range_of_one(cron: Cron) -> bool:
    parts = [item.split("/")[0].split("-") for item in cron.text.replace(" ", ",").split(",")]
    return any(len(part) == 2 and part[0] == part[1] for part in parts)


@settings(max_examples=200, deadline=None)
@given(
    hours=terms(0, 23, extended=False),
    minutes=terms(0, 59, extended=False),
    change=st.sampled_from([change for change in CHANGES if change[0] not in {"Australia/Lord_Howe", "Pacific/Apia"}]),
    after=st.integers(-26 * 60, 26 * 60),
)
def test_across_clock_changes_cronsim_agrees(hours, minutes, change, after):
    # Known: it loses half an hour beside a change of half an hour, makes up for a day that was skipped, treats a change
    # of exactly three hours as daylight saving time, and from within a repeated hour may answer with the past.
    zone, day = change
    cron = Cron(minutes, hours, *(Term("*", frozenset()) for _ in range(3)))
    assume(not has_range_of_one(cron))
    assume(zone != "Antarctica/Casey")
    start = datetime(day.year, day.month, day.day, 12, tzinfo=UTC) + timedelta(minutes=after)
    local = start.astimezone(ZoneInfo(zone))
    assume(not local.fold)
    expected = [
        (fire.astimezone(UTC) - EPOCH) // timedelta(microseconds=1) for fire in islice(CronSim(cron.text, local), 8)
    ]
    schedule = Schedule(cron=cron.text, time_zone=zone)
    begin = (start - EPOCH) // timedelta(microseconds=1)
    assert slots_between([schedule], begin, begin + 30 * DAY, anchor=0, seed="", limit=8) == expected


def test_where_the_witnesses_are_known_to_err():
    start = datetime(2026, 11, 23, 0, 0)  # noqa: DTZ001
    london = ZoneInfo("Europe/London")
    second_pass = datetime(2026, 10, 25, 1, 15, fold=1, tzinfo=london)
    before_overlap = datetime(2026, 10, 25, 0, 0, tzinfo=london)
    lord_howe = datetime(2026, 4, 5, 0, 0, tzinfo=ZoneInfo("Australia/Lord_Howe"))
    assert croniter("8-8 * * * *", start).get_next(datetime).minute == 1
    assert croniter("0 0 * * 1/6", start).get_next(datetime).isoweekday() == 1
    assert [fire.minute for fire in islice(CronSim("5-5/20 * * * *", start), 2)] == [5, 25]
    assert next(CronSim("30 1 * * *", second_pass)).astimezone(UTC) < second_pass.astimezone(UTC)
    assert next(CronSim("* 2 * * *", lord_howe)).minute == 30
    overlap = croniter("30 1 * * *", before_overlap)
    assert [overlap.get_next(datetime).day for _ in range(2)] == [25, 25]


schedules = st.lists(
    st.one_of(
        crons().map(lambda cron: Schedule(cron=cron.text)),
        crons(months=any_month).map(lambda cron: Schedule(cron=cron.text, time_zone="Europe/Berlin")),
        st.integers(60, 10_000).map(lambda seconds: Schedule(interval=seconds * 10**6)),
        st.integers(0, 8 * DAY).map(lambda at: Schedule(at=at)),
        st.integers(0, 5 * DAY).map(
            lambda start: Schedule(interval=90 * 10**6, start_time=start, end_time=start + DAY)
        ),
    ).filter(can_match),
    max_size=3,
)


@settings(max_examples=100, deadline=None)
@given(
    schedules=schedules,
    after=st.integers(0, 4 * DAY),
    span=st.integers(0, 3 * DAY),
    anchor=st.integers(0, DAY),
    limit=st.integers(0, 50),
)
@example(schedules=[], after=0, span=0, anchor=0, limit=1)
def test_counting_listing_and_stepping_agree(schedules, after, span, anchor, limit):
    until = after + span
    where = {"anchor": anchor, "seed": "uid"}
    slots = slots_between(schedules, after, until, **where, limit=100_000)
    assert slots == sorted(set(slots))
    assert all(after < slot <= until for slot in slots)
    assert count_slots(schedules, after, until, **where) == len(slots)
    assert slots_between(schedules, after, until, **where, limit=limit) == slots[:limit]
    assert newest_slots(schedules, after, until, **where, limit=limit) == slots[max(0, len(slots) - limit) :]
    stepped: list[int] = []
    at = after
    while (following := next_slot_of(schedules, at, **where)) is not None and following <= until and len(stepped) < 99:
        assert following > at
        stepped.append(following)
        at = following
    assert stepped == slots[:99]
