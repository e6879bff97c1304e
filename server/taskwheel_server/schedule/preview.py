"""The next slots of a schedule, with what the clocks did to each."""

from __future__ import annotations

from collections.abc import Iterable
from heapq import merge
from itertools import groupby, islice
from operator import attrgetter
from typing import NamedTuple

from taskwheel_server.clock import SECOND
from taskwheel_server.schedule.slots import next_slot
from taskwheel_server.schedule.spec import Dst, Schedule
from taskwheel_server.schedule.timetable import timetable
from taskwheel_server.schedule.zones import BLOCK, MINUTE, stretches


class Slot(NamedTuple):
    """A slot (µs) and its mark: SHIFTED stands in for skipped times, REPEATED is in the second pass of its hour."""

    time: int
    dst: Dst


def preview(schedule: Schedule, after: int, count: int, *, anchor: int, seed: str) -> list[Slot]:
    """Return the first `count` slots strictly later than `after` (µs); arguments and errors as `next_slot`."""
    found: list[Slot] = []
    while len(found) < count and (slot := next_slot(schedule, after, anchor=anchor, seed=seed)) is not None:
        found.append(Slot(slot, _mark(schedule, slot, seed) if schedule.cron else Dst.NONE))
        after = slot
    return found


def preview_of(schedules: Iterable[Schedule], after: int, count: int, *, anchor: int, seed: str) -> list[Slot]:
    """Return the first `count` distinct slots of any of the schedules strictly later than `after` (µs)."""
    slots = merge(*(preview(schedule, after, count, anchor=anchor, seed=seed) for schedule in schedules))
    return list(islice((list(same)[-1] for _, same in groupby(slots, key=attrgetter("time"))), count))


def _mark(schedule: Schedule, slot: int, seed: str) -> Dst:
    second = slot // SECOND
    stretch = next(stretch for stretch in stretches(schedule.time_zone, second // BLOCK) if second < stretch.end)
    minute = (second + stretch.offset) // MINUTE
    if timetable(schedule.cron, seed).first(minute, minute + 1) is None:
        return Dst.SHIFTED
    return Dst.REPEATED if minute < stretch.fresh else Dst.NONE
