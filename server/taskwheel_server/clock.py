"""Time as the store sees it, in µs since the epoch, UTC. Tests crank it by hand."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


class Clock(Protocol):
    """Where `now` comes from and how long to sleep until an instant."""

    def now(self) -> int:
        """Return the current instant in µs; never earlier than an instant returned before."""

    def timeout(self, instant: int) -> float | None:
        """Return the seconds a thread may sleep until `instant` (µs), or None: until it is woken."""

    def on_change(self, wake: Callable[[], None]) -> None:
        """Have `wake` called whenever time moves other than by passing."""


class SystemClock:
    """The wall clock at the start plus the monotonic clock since: steps of the wall clock do not move it."""

    def __init__(self) -> None:
        self._offset = time.time_ns() - time.monotonic_ns()

    def now(self) -> int:
        """Return the current instant in µs."""
        return (self._offset + time.monotonic_ns()) // 1000

    def timeout(self, instant: int) -> float | None:
        """Return the seconds from now to `instant`, at least 0."""
        return max(0.0, (instant - self.now()) / SECOND)

    def on_change(self, wake: Callable[[], None]) -> None:
        """Do nothing: this clock only passes."""


class ManualClock:
    """A clock that stands still until it is told: for tests and simulation.

    Args:
        now: the first instant, µs.
    """

    def __init__(self, now: int) -> None:
        self._now = now
        self._wakes: list[Callable[[], None]] = []

    def now(self) -> int:
        """Return the instant it was last set to, µs."""
        return self._now

    def advance(self, duration: int) -> None:
        """Move forward by `duration` µs and wake whoever waits."""
        self._now += duration
        for wake in self._wakes:
            wake()

    def timeout(self, instant: int) -> float | None:
        """Return 0 when `instant` has come, else None: only a change ends the wait."""
        return 0.0 if instant <= self._now else None

    def on_change(self, wake: Callable[[], None]) -> None:
        """Have `wake` called at each `advance`."""
        self._wakes.append(wake)
