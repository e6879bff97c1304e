"""The newest events of a namespace, as long as anybody watches: each is read and encoded once for all.

A ring of batches behind one growing head. It grows at the pace of the fastest watcher: whoever has seen the head and
wants more has the next page read; all who wait get it. Who falls off the ring pages from the store until it is back.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from itertools import takewhile

from taskwheel_server.feed.batch import PAGE_BYTES, Batch

# Several bursts of a turn; a watcher that hangs for a moment finds its place again without the store.
RING_EVENTS = 8_192
RING_BYTES = 16 * 1024 * 1024

Load = Callable[[int], Awaitable[Batch | None]]


class Tail:
    """A namespace's ring.

    Args:
        load: reads the page that follows a sequence.
        head: the sequence that the ring begins after.
    """

    def __init__(self, load: Load, head: int) -> None:
        self.load = load
        self.head = head
        self.newest = head
        self.watchers = 0
        # How many bytes have ever passed through the ring: watchers compare.
        self.passed = 0
        self._ring: deque[Batch] = deque()
        self._events = 0
        self._bytes = 0
        self._waiting = 0
        self._reading: asyncio.Task[None] | None = None
        self._arrival: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def floor(self) -> int:
        """The sequence after which the ring holds everything."""
        return self._ring[0].first - 1 if self._ring else self.head

    def after(self, sequence: int) -> list[Batch]:
        """Return the batches with the events that follow `sequence`, not below the floor; a page of them at most."""
        behind = list(takewhile(lambda batch: batch.last > sequence, reversed(self._ring)))
        page: list[Batch] = []
        size = 0
        for batch in reversed(behind):
            size += len(batch.message)
            if page and size > PAGE_BYTES:
                break
            page.append(batch)
        return page

    def notify(self, newest: int) -> None:
        """Learn that events up to `newest` are stored."""
        if newest > self.newest:
            self.newest = newest
            if self._waiting:
                self._read()

    async def arrival(self) -> None:
        """Return when the head has moved.

        Raises:
            TaskwheelError: the next page cannot be read.
        """
        self._waiting += 1
        try:
            self._read()
            await asyncio.shield(self._arrival)
        finally:
            self._waiting -= 1

    def _read(self) -> None:
        if self._reading is None and self.newest > self.head:
            self._reading = asyncio.create_task(self._grow())

    async def _grow(self) -> None:
        arrival, failure = self._arrival, None
        try:
            if batch := await self.load(self.head):
                self._append(batch)
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait are told
            failure = error
        self._reading = None
        self._arrival = asyncio.get_running_loop().create_future()
        if failure is None:
            arrival.set_result(None)
        elif self._waiting:
            arrival.set_exception(failure)

    def _append(self, batch: Batch) -> None:
        self._ring.append(batch)
        self.head = batch.last
        self.newest = max(self.newest, self.head)
        self.passed += len(batch.message)
        self._events += len(batch.events)
        self._bytes += len(batch.message)
        while len(self._ring) > 1 and (self._events > RING_EVENTS or self._bytes > RING_BYTES):
            oldest = self._ring.popleft()
            self._events -= len(oldest.events)
            self._bytes -= len(oldest.message)
