"""The slots of schedules: the instants at which a task is due, in µs since the epoch, UTC.

Cron follows the clock changes of its zone as Debian's cron(8) does. A fixed time that the clocks skip runs at the first
minute after the gap, several of them once; a fixed time in a repeated hour runs in the first pass only; an expression
whose minute or hour begins with `*` follows elapsed time: every pass, nothing in the gap. Changes of three hours and
more are corrections: the new time holds at once. `dst_gap` and `dst_overlap` change what becomes of fixed times.

An interval's slots are the grid through start_time, or through `anchor` (the last edit of the schedules) where there is
no start_time. Slots lie between 1970 and 9999, and a next slot of cron at most 50 years ahead: no expression pauses
longer than 40 (29 February on one weekday, around 2100).

Throughout, `seed` decides what `H` stands for (the task's uid, or the parent where there is none), and every function
raises InvalidSchedule for an expression or a zone that `check` would refuse.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from heapq import merge, nlargest
from itertools import groupby, islice

from taskwheel_server.clock import DAY, SECOND
from taskwheel_server.schedule.cron import hashed
from taskwheel_server.schedule.spec import DstGap, DstOverlap, Schedule
from taskwheel_server.schedule.timetable import MINUTES_OF_DAY, timetable
from taskwheel_server.schedule.zones import BLOCK, MINUTE, Stretch, ceil_minute, stretches

END = 253_402_214_400 * SECOND
HORIZON = 50 * 366 * DAY


class _CronSlots:
    """The slots of a cron schedule in (after, until]: iterated lazily, counted by arithmetic."""

    def __init__(self, schedule: Schedule, after: int, until: int, seed: str) -> None:
        self._zone = schedule.time_zone
        self._table = timetable(schedule.cron, seed)
        fixed = not self._table.follows_elapsed_time
        self._runs_after_gap = fixed and schedule.dst_gap == DstGap.RUN_AFTER_GAP
        self._first_pass_only = fixed and schedule.dst_overlap == DstOverlap.FIRST
        self._start = after // SECOND + 1
        self._end = until // SECOND + 1

    def __iter__(self) -> Iterator[int]:
        return self._walk(self._start)

    def __len__(self) -> int:
        return self._count(self._start)

    def newest(self, limit: int) -> Iterator[int]:
        """Yield the last `limit` slots, oldest first."""
        seconds = range(self._start, self._end)
        return self._walk(self._start + bisect_left(seconds, -limit, key=lambda start: -self._count(start)))

    def _walk(self, start: int) -> Iterator[int]:
        for offset, first, end, made_up in self._windows(start):
            if made_up:
                yield (first * MINUTE - offset) * SECOND
            for minute in self._table.minutes(first, end):
                yield (minute * MINUTE - offset) * SECOND

    def _count(self, start: int) -> int:
        return sum(self._table.count(first, end) + made_up for _, first, end, made_up in self._windows(start))

    def _windows(self, start: int) -> Iterator[tuple[int, int, int, bool]]:
        """Yield (offset, first, end, made_up) from `start` (s) on: every match in these local minutes is a slot.

        made_up: `first` is one as well, though it does not match, in the place of the times skipped before it.
        """
        table = self._table
        for block in range(start // BLOCK, (self._end - 1) // BLOCK + 1):
            for _, stop, offset, shown, skipped, fresh in self._stretches(start, block):
                first = max(fresh if self._first_pass_only else shown, ceil_minute(start + offset))
                end = ceil_minute(min(stop, self._end) + offset)
                if first < end:
                    made_up = (
                        self._runs_after_gap
                        and skipped < shown == first
                        and table.first(skipped, first) is not None
                        and table.first(first, first + 1) is None
                    )
                    yield offset, first, end, made_up

    def _stretches(self, start: int, block: int) -> tuple[Stretch, ...]:
        """Return the stretches of a block, none if a later one than that of `start` has no day that matches.

        To look for the clock changes of a year costs more than to see that.
        """
        if block > start // BLOCK:
            around = block * BLOCK // MINUTE - MINUTES_OF_DAY, (block + 1) * BLOCK // MINUTE + MINUTES_OF_DAY
            if self._table.first(*around) is None:
                return ()
        return stretches(self._zone, block)


def _slots(schedule: Schedule, after: int, until: int, anchor: int, seed: str) -> range | _CronSlots:
    """Return the slots of one schedule in (after, until]."""
    start, end = schedule.start_time, schedule.end_time
    after = max(after, -1, -1 if start is None else start - 1)
    until = min(until, END - 1, END if end is None else end - 1)
    if until <= after:
        return range(0)
    if schedule.cron:
        return _CronSlots(schedule, after, until, seed)
    if schedule.at is not None:
        return range(schedule.at, schedule.at + (after < schedule.at <= until))
    origin = anchor if start is None else start
    return range(after + 1 + (origin - after - 1) % schedule.interval, until + 1, schedule.interval)


def _distinct(spans: Iterable[Iterable[int]]) -> Iterator[int]:
    return (slot for slot, _ in groupby(merge(*spans)))


def next_slot(schedule: Schedule, after: int, *, anchor: int, seed: str) -> int | None:
    """Return the first slot strictly later than `after` (µs), None when there is none."""
    until = max(after, schedule.start_time or 0) + HORIZON if schedule.cron else END
    return next(iter(_slots(schedule, after, until, anchor, seed)), None)


def next_slot_of(schedules: Iterable[Schedule], after: int, *, anchor: int, seed: str) -> int | None:
    """Return the first slot of any of the schedules strictly later than `after` (µs)."""
    slots = (next_slot(schedule, after, anchor=anchor, seed=seed) for schedule in schedules)
    return min((slot for slot in slots if slot is not None), default=None)


def slots_between(
    schedules: Iterable[Schedule], after: int, until: int, *, anchor: int, seed: str, limit: int
) -> list[int]:
    """Return the oldest `limit` distinct slots in (after, until], oldest first."""
    return list(islice(_distinct(_slots(schedule, after, until, anchor, seed) for schedule in schedules), limit))


def newest_slots(
    schedules: Iterable[Schedule], after: int, until: int, *, anchor: int, seed: str, limit: int
) -> list[int]:
    """Return the newest `limit` distinct slots in (after, until], oldest first."""
    newest: set[int] = set()
    for schedule in schedules:
        slots = _slots(schedule, after, until, anchor, seed)
        newest.update(slots[max(0, len(slots) - limit) :] if isinstance(slots, range) else slots.newest(limit))
    return sorted(nlargest(limit, newest))


def count_slots(schedules: Iterable[Schedule], after: int, until: int, *, anchor: int, seed: str) -> int:
    """Return how many distinct slots lie in (after, until].

    One schedule is counted by arithmetic, whatever the span. Of several, the densest is, if it is an interval; the
    others are walked, about 0.4 µs a slot.
    """
    spans = [_slots(schedule, after, until, anchor, seed) for schedule in set(schedules)]
    spans.sort(key=len)
    if len(spans) <= 1:
        return sum(map(len, spans))
    *others, densest = spans
    if isinstance(densest, range):
        return len(densest) + sum(slot not in densest for slot in _distinct(others))
    return sum(1 for _ in _distinct(spans))


def alike(schedules: Iterable[Schedule]) -> bool:
    """Tell whether the slots are the same for every anchor and seed."""
    return not any(
        timetable(schedule.cron, "").hashed if schedule.cron else schedule.interval and schedule.start_time is None
        for schedule in schedules
    )


def jitter_of(seed: str, slot: int, jitter: int) -> int:
    """Return the delay of a slot's start in [0, jitter) µs, a hash of seed and slot; 0 without jitter."""
    return hashed(f"{seed}\0{slot}", jitter) if jitter else 0


def delay_of(schedules: Iterable[Schedule], slot: int, *, anchor: int, seed: str) -> int:
    """Return the delay of a slot's start in µs: the longest jitter of the schedules it belongs to decides."""
    jitters = (
        schedule.jitter for schedule in schedules if schedule.jitter and _slots(schedule, slot - 1, slot, anchor, seed)
    )
    return jitter_of(seed, slot, max(jitters, default=0))
