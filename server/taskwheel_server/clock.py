"""Time as the store sees it, in µs since the epoch, UTC. Tests crank it by hand."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


class Clock(Protocol):
    """Where `now` comes from and how long to sleep until an instant."""

    def now(self) -> int:
        """Return the current instant in µs; never earlier than one returned before, unless it was told so."""

    def follow(self, instant: int) -> None:
        """Learn that it is `instant` (µs) by the clock of the store."""

    def timeout(self, instant: int) -> float | None:
        """Return the seconds a thread may sleep on the way to `instant` (µs), or None: until it is woken."""

    def on_change(self, wake: Callable[[], None]) -> None:
        """Have `wake` called whenever time moves other than by passing."""


# Elapsed time, a suspension of the machine included where the system can tell.
_ELAPSED = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
# The part of the time that passes by which this clock may go faster or slower, to meet the wall clock.
_PACE = 10
# Seconds: whoever sleeps does not notice that the wall clock was set, or the machine suspended.
_LONGEST_SLEEP = 10.0


class SystemClock:
    """The wall clock at the start; from then on elapsed time, drawn towards the wall clock by a tenth of it at most.

    So a correction of a second is followed within ten, and one of an hour within ten hours. It never goes backwards,
    and no lease lasts less than nine tenths of its time, however the wall clock is set.

    A store with a clock of its own tells the time anew at each transaction: from then on the wall clock counts no more.

    Args:
        wall: gives the wall clock, ns since the epoch.
        elapsed: gives a clock that nobody sets, ns.
    """

    def __init__(
        self,
        wall: Callable[[], int] = time.time_ns,
        elapsed: Callable[[], int] = lambda: time.clock_gettime_ns(_ELAPSED),
    ) -> None:
        self._wall = wall
        self._elapsed = elapsed
        self._lock = threading.Lock()
        self._now, self._then = wall(), elapsed()

    def now(self) -> int:
        """Return the current instant in µs."""
        with self._lock:
            then, self._then = self._then, self._elapsed()
            passed = self._then - then
            self._now += passed
            most = passed // _PACE
            self._now += max(-most, min(self._wall() - self._now, most))
            return self._now // 1000

    def follow(self, instant: int) -> None:
        """Go on from `instant` (µs), with elapsed time alone."""
        with self._lock:
            self._now, self._then = instant * 1000, self._elapsed()
            offset = self._now - self._then
            self._wall = lambda: offset + self._elapsed()

    def timeout(self, instant: int) -> float | None:
        """Return the seconds from now to `instant`, at least 0; ten at most."""
        return min(max(0.0, (instant - self.now()) / SECOND), _LONGEST_SLEEP)

    def on_change(self, wake: Callable[[], None]) -> None:
        """Do nothing: whoever sleeps looks again soon enough."""


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

    def follow(self, instant: int) -> None:
        """Do nothing: it stands where it was set."""

    def timeout(self, instant: int) -> float | None:
        """Return 0 when `instant` has come, else None: only a change ends the wait."""
        return 0.0 if instant <= self._now else None

    def on_change(self, wake: Callable[[], None]) -> None:
        """Have `wake` called at each `advance`."""
        self._wakes.append(wake)
