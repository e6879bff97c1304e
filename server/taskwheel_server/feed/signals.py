"""Who waits for a run: to end, or to log.

A wait begins before the store is read, so that nothing falls in between:

    with feed.signal(uid) as signal:
        while not enough(await read(uid)):
            await signal.wait(deadline)
"""

from __future__ import annotations

import asyncio
from collections.abc import Set as AbstractSet

from taskwheel_server.clock import Clock
from taskwheel_server.errors import Unavailable


class Signal:
    """What one caller waits with.

    Args:
        clock: by which deadlines count.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._event = asyncio.Event()
        self._closed = False

    async def wait(self, deadline: int | None = None) -> None:
        """Return when the run has moved since the last wait, or at `deadline` (µs) at the latest; now and then sooner.

        Raises:
            Unavailable: SHUTTING_DOWN.
        """
        timeout = None if deadline is None else self._clock.timeout(deadline)
        try:
            async with asyncio.timeout(timeout):
                await self._event.wait()
        except TimeoutError:
            return
        self._event.clear()
        if self._closed:
            raise Unavailable("SHUTTING_DOWN", "the server is shutting down; try again")

    def wake(self) -> None:
        """End the current or next wait."""
        self._event.set()

    def close(self) -> None:
        """End the current or next wait for good."""
        self._closed = True
        self._event.set()


class Signals:
    """Every signal, by the run it waits for."""

    def __init__(self) -> None:
        self._by_run: dict[str, set[Signal]] = {}

    def add(self, uid: str, signal: Signal) -> None:
        """Have a signal woken when the run moves."""
        self._by_run.setdefault(uid, set()).add(signal)

    def remove(self, uid: str, signal: Signal) -> None:
        """Forget a signal."""
        waiting = self._by_run[uid]
        waiting.remove(signal)
        if not waiting:
            del self._by_run[uid]

    def wake(self, uids: AbstractSet[str]) -> None:
        """Wake those who wait for these runs."""
        for uid in self._by_run.keys() & uids:
            for signal in self._by_run[uid]:
                signal.wake()

    def all(self) -> list[Signal]:
        """Return every signal."""
        return [signal for waiting in self._by_run.values() for signal in waiting]
