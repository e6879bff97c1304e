"""Tells of a wheel that is stuck: a turn hangs, or one after the other fails, whatever it is asked.

A disk that does not answer, or is full, makes it so, or a fault of ours.

It lives on the event loop, outside of what it watches, and looks at real time, whatever clock the wheel goes by.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from taskwheel_server.wheel import Wheel

# A turn takes milliseconds; the store itself gives up waiting for a lock after 10 s.
STUCK_AFTER = 15.0
LOOK_EVERY = 1.0

_log = structlog.get_logger()


class Watchdog:
    """Watches a wheel.

    Args:
        wheel: to watch.
        tell: called with whether the wheel turns, each time that changes.
    """

    def __init__(self, wheel: Wheel, tell: Callable[[bool], Awaitable[None]]) -> None:
        self._wheel = wheel
        self._tell = tell
        self._stuck = False

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self.look(time.monotonic())
            await asyncio.sleep(LOOK_EVERY)

    async def look(self, now: float) -> None:
        """Look once, at an instant of the monotonic clock in seconds."""
        since = self._wheel.stuck_since
        stuck = since is not None and now - since > STUCK_AFTER
        if stuck != self._stuck:
            self._stuck = stuck
            if stuck:
                _log.error("wheel_stuck", seconds=STUCK_AFTER)
            else:
                _log.info("wheel_turns")
            await self._tell(not stuck)
