"""The walk over the local minutes that an expression matches: bit masks for the days, a sorted table for the times.

A local minute is what a wall clock shows, counted from 1970-01-01 00:00 as if there were no zones and no clock changes.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from calendar import isleap
from collections.abc import Iterator
from datetime import date
from functools import lru_cache

from taskwheel_server.schedule.cron import Expression, parse

MINUTES_OF_DAY = 1440
_EPOCH = date(1970, 1, 1).toordinal()
_EPOCH_WEEKDAY = 4
_LENGTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_FEBRUARY = 2
_DECEMBER = 12


class Timetable:
    """The local minutes that `expression` matches."""

    def __init__(self, expression: Expression) -> None:
        self.follows_elapsed_time = expression.follows_elapsed_time
        self.hashed = expression.hashed
        self._expression = expression
        self._months = sum(1 << month for month in expression.month.values)
        self._times = array(
            "H", (60 * hour + minute for hour in expression.hour.values for minute in expression.minute.values)
        )
        self._masks: dict[tuple[int, int], int] = {}

    def minutes(self, start: int, end: int) -> Iterator[int]:
        """Yield the matching local minutes in [start, end), in order."""
        first_day, first_time = divmod(start, MINUTES_OF_DAY)
        last_day, last_time = divmod(end, MINUTES_OF_DAY)
        times = self._times
        for eve, mask in self._months_between(first_day, last_day + 1):
            rest = mask
            while rest:
                lowest = rest & -rest
                rest ^= lowest
                day = eve + lowest.bit_length() - 1
                midnight = day * MINUTES_OF_DAY
                low = bisect_left(times, first_time) if day == first_day else 0
                high = bisect_left(times, last_time) if day == last_day else len(times)
                for time in times[low:high]:
                    yield midnight + time

    def first(self, start: int, end: int) -> int | None:
        """Return the first matching local minute in [start, end)."""
        return next(self.minutes(start, end), None)

    def count(self, start: int, end: int) -> int:
        """Return how many local minutes in [start, end), start ≤ end, match, without walking them."""
        first_day, first_time = divmod(start, MINUTES_OF_DAY)
        last_day, last_time = divmod(end, MINUTES_OF_DAY)
        whole = self._count_days(first_day, last_day) * len(self._times)
        before = self._count_days(first_day, first_day + 1) * bisect_left(self._times, first_time)
        after = self._count_days(last_day, last_day + 1) * bisect_left(self._times, last_time)
        return whole - before + after

    def _count_days(self, start: int, end: int) -> int:
        return sum(mask.bit_count() for _, mask in self._months_between(start, end))

    def _months_between(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Yield (day before the 1st, mask of the matching days) of the months that meet the days [start, end)."""
        first = date.fromordinal(_EPOCH + start)
        year, month, eve = first.year, first.month, start - first.day
        while eve + 1 < end:
            length = _LENGTHS[month - 1] + (month == _FEBRUARY and isleap(year))
            if self._months >> month & 1:
                mask = self._mask((eve + 1 + _EPOCH_WEEKDAY) % 7, length)
                if eve < start:
                    mask &= -1 << (start - eve)
                if eve + length >= end:
                    mask &= (1 << (end - eve)) - 1
                if mask:
                    yield eve, mask
            eve += length
            year, month = (year, month + 1) if month < _DECEMBER else (year + 1, 1)

    def _mask(self, first: int, length: int) -> int:
        mask = self._masks.get((first, length))
        if mask is None:
            mask = self._masks[first, length] = self._expression.days(first, length)
        return mask


@lru_cache(maxsize=2048)
def _timetable(cron: str, seed: str) -> Timetable:
    return Timetable(parse(cron, seed))


def timetable(cron: str, seed: str) -> Timetable:
    """Return the timetable of an expression; `seed` decides what `H` stands for.

    Raises:
        InvalidSchedule: as `cron.parse`.
    """
    table = _timetable(cron, "")
    return _timetable(cron, seed) if table.hashed else table
