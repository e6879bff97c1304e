"""The rules of the cron dialect that name days by the shape of a month: `L`, `LW`, `nW`, `n#k` and `nL`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

SATURDAY = 6
SUNDAY = 0


class DayRule(Protocol):
    """A rule that names days of a month by its shape."""

    def days(self, first: int, length: int) -> int:
        """Return a mask (bit d: day d) for a month of `length` days whose 1st is weekday `first` (0 is Sunday)."""


@dataclass(frozen=True, slots=True)
class LastDay:
    """`L`."""

    def days(self, first: int, length: int) -> int:  # noqa: ARG002 - the protocol's
        """Return the last day."""
        return 1 << length


@dataclass(frozen=True, slots=True)
class NearestWeekday:
    """`nW`, or `LW` when `day` is None: Monday to Friday, in the same month; no day where the month has no day n."""

    day: int | None

    def days(self, first: int, length: int) -> int:
        """Return the day itself, or its nearest neighbor from Monday to Friday."""
        day = self.day or length
        if day > length:
            return 0
        weekday = (first + day - 1) % 7
        if weekday == SATURDAY:
            day += -1 if day > 1 else 2
        elif weekday == SUNDAY:
            day += 1 if day < length else -2
        return 1 << day


@dataclass(frozen=True, slots=True)
class NthWeekday:
    """`n#k`, or `nL` when `nth` is None."""

    weekday: int
    nth: int | None

    def days(self, first: int, length: int) -> int:
        """Return the k-th or the last such weekday; no day where the month has no k-th."""
        earliest = 1 + (self.weekday - first) % 7
        latest = earliest + (length - earliest) // 7 * 7
        day = earliest + 7 * (self.nth - 1) if self.nth else latest
        return 1 << day if day <= length else 0
