"""One subscriber: its place in the stream, its pace and its end.

It takes the next message only when the last one has been written, so nothing piles up for it. While it waits, the
stream's flow control waits; two things end such a write from outside:

    cut     it has been blocked for a while, and the feed has moved on too far: only who reads the ring is judged; who
            catches up from the store goes at its own pace
    close   the server stops
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from taskwheel_server.errors import ResourceExhausted, TaskwheelError, Unavailable
from taskwheel_server.feed.batch import Batch, Codec, Matcher
from taskwheel_server.feed.tail import Tail

# How far the feed may move while a write is blocked.
MAX_BEHIND_EVENTS = 1_000
MAX_BEHIND_BYTES = 4 * 1024 * 1024
# A busy machine delays everybody for a moment; only a write found blocked this often in a row is a slow reader's.
STRIKES = 3
# Seconds without a message after which the stream tells how far it has come.
IDLE = 15.0

Send = Callable[[bytes], Awaitable[None]]


class Watcher:
    """A subscription to a tail.

    Args:
        tail: what to follow.
        codec: encodes the marks.
        position: the sequence to begin after.
        matches: which events to send; None: all.
        send: writes a message; returns when the stream has room for the next.
    """

    def __init__(self, tail: Tail, codec: Codec, position: int, matches: Matcher | None, send: Send) -> None:
        self._tail = tail
        self._codec = codec
        self._position = position
        self._matches = matches
        self._send = send
        self._end = asyncio.timeout(None)
        self._error: TaskwheelError | None = None
        self._from_ring = False
        self._writing = False
        self._strikes = 0
        self._passed = 0
        self._sent_at = 0.0

    async def run(self) -> None:
        """Send until cancelled, cut or closed.

        Raises:
            ResourceExhausted: SUBSCRIBER_TOO_SLOW, with `after_sequence`.
            Unavailable: SHUTTING_DOWN, with `after_sequence`; or the store cannot be read.
        """
        try:
            async with self._end:
                await self._write(self._codec.mark(self._position))
                while True:
                    await self._step()
        except TimeoutError:
            if self._error is None:
                raise
            # As far as it came: it may have written once more since its end was ordered.
            self._error.metadata["after_sequence"] = str(self._position)
            raise self._error from None

    async def _step(self) -> None:
        self._from_ring = self._position >= self._tail.floor
        if self._from_ring:
            batches = self._tail.after(self._position)
        else:
            page = await self._tail.load(self._position)
            batches = [page] if page else []
        if batches:
            await self._forward(batches)
        else:
            await self._idle()

    async def _forward(self, batches: list[Batch]) -> None:
        parts = [batch.part(self._position, self._matches) for batch in batches]
        # Moved before the write: who gets the end of the stream has got what was written before.
        self._position = batches[-1].last
        if message := b"".join(parts):
            await self._write(message)
        elif self._silence >= IDLE:
            await self._write(self._codec.mark(self._position))

    async def _idle(self) -> None:
        try:
            async with asyncio.timeout(max(IDLE - self._silence, 0)):
                await self._tail.arrival()
        except TimeoutError:
            await self._write(self._codec.mark(self._position))

    @property
    def _silence(self) -> float:
        return asyncio.get_running_loop().time() - self._sent_at

    async def _write(self, message: bytes) -> None:
        self._strikes, self._passed, self._writing = 0, self._tail.passed, True
        try:
            await self._send(message)
        finally:
            self._writing = False
        self._sent_at = asyncio.get_running_loop().time()

    def inspect(self) -> None:
        """Cut the stream off if it has been found blocked and behind often enough."""
        events = self._tail.newest - self._position
        size = self._tail.passed - self._passed
        if self._writing and self._from_ring and (events > MAX_BEHIND_EVENTS or size > MAX_BEHIND_BYTES):
            self._strikes += 1
            if self._strikes == STRIKES:
                self._stop(
                    ResourceExhausted(
                        "SUBSCRIBER_TOO_SLOW",
                        "the stream is not read as fast as events come; resume after the sequence given",
                    )
                )

    def close(self) -> None:
        """End the stream because the server stops."""
        self._stop(Unavailable("SHUTTING_DOWN", "the server is shutting down; resume after the sequence given"))

    def _stop(self, error: TaskwheelError) -> None:
        if self._error is None:
            self._error = error
            self._end.reschedule(asyncio.get_running_loop().time())
