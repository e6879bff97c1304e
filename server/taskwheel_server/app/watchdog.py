"""Tells of a turn that hangs: on a disk that does not answer, or a fault of ours that loops.

It lives on the event loop, outside of what it watches, and looks at real time, whatever clock the wheel goes by.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from taskwheel_server.wheel import Wheel

# A turn takes milliseconds; the store itself gives up waiting for a lock after 10 s.
HANGS_AFTER = 15.0
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
        self._hangs = False

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self.look(time.monotonic())
            await asyncio.sleep(LOOK_EVERY)

    async def look(self, now: float) -> None:
        """Look once, at an instant of the monotonic clock in seconds."""
        began = self._wheel.turn_began
        hangs = began is not None and now - began > HANGS_AFTER
        if hangs != self._hangs:
            self._hangs = hangs
            if hangs:
                _log.error("turn_hangs", seconds=HANGS_AFTER)
            else:
                _log.info("turn_ended")
            await self._tell(not hangs)
