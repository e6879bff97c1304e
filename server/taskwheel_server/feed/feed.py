"""The feed: who watches, who waits, and what wakes them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from typing import Any, Protocol

from taskwheel_server.clock import Clock
from taskwheel_server.db import events
from taskwheel_server.errors import Unavailable
from taskwheel_server.feed.batch import Batch, Codec, Matcher, load, out_of_range
from taskwheel_server.feed.signals import Signal, Signals
from taskwheel_server.feed.tail import Tail
from taskwheel_server.feed.watcher import Send, Watcher

# Seconds between two looks at watchers that may be blocked.
PATROL = 0.5

Read = Callable[..., Awaitable[Any]]


class News(Protocol):
    """What has been committed.

    Attributes:
        sequences: the newest event by namespace, of those that got events.
        logged: uids of runs that got log lines.
        ended: uids of runs that ended.
        untold: whether any run may have logged or ended besides.
    """

    @property
    def sequences(self) -> Mapping[str, int]: ...  # noqa: D102
    @property
    def logged(self) -> AbstractSet[str]: ...  # noqa: D102
    @property
    def ended(self) -> AbstractSet[str]: ...  # noqa: D102
    @property
    def untold(self) -> bool: ...  # noqa: D102


class Feed:
    """Wakes those who wait for events and runs. Everything happens on one event loop, on which it is made.

    Args:
        read: awaits `function(connection, *args)` on a thread of its own.
        codec: encodes events.
        clock: by which waits for runs count.
    """

    def __init__(self, read: Read, codec: Codec, clock: Clock) -> None:
        self._read = read
        self._codec = codec
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._newest: dict[str, int] = {}
        self._tails: dict[str, Tail] = {}
        self._watchers: set[Watcher] = set()
        self._signals = Signals()
        self._patrol: asyncio.TimerHandle | None = None
        self._closed = False
        clock.on_change(self._time_moved)

    @property
    def watchers(self) -> int:
        """How many streams of events are open."""
        return len(self._watchers)

    def notify(self, news: News) -> None:
        """Wake whom it concerns, after a commit."""
        if news.untold:
            self._wake_all()
        self._signals.wake(news.logged)
        self._signals.wake(news.ended)
        for namespace, newest in news.sequences.items():
            self._newest[namespace] = newest
            if tail := self._tails.get(namespace):
                tail.notify(newest)

    def close(self) -> None:
        """End every stream and wait, because the server stops."""
        self._closed = True
        if self._patrol:
            self._patrol.cancel()
        for watcher in self._watchers:
            watcher.close()
        for signal in self._signals.all():
            signal.close()

    @contextmanager
    def signal(self, uid: str) -> Iterator[Signal]:
        """Give a signal that is woken whenever a run logs or ends.

        Raises:
            Unavailable: SHUTTING_DOWN.
        """
        self._check_open()
        signal = Signal(self._clock)
        self._signals.add(uid, signal)
        try:
            yield signal
        finally:
            self._signals.remove(uid, signal)

    async def watch(self, namespace: str, after: int | None, horizon: int, matches: Matcher | None, send: Send) -> None:
        """Send a namespace's events, in order and each once, until cancelled, cut or closed.

        Args:
            namespace: whose events.
            after: the sequence to begin after; 0: with the oldest that is kept; None: with the next one.
            horizon: events at or before this instant (µs) count as gone.
            matches: which events to send; None: all.
            send: writes a message; returns when the stream has room for the next.

        Raises:
            OutOfRange: EVENTS_COMPACTED or SEQUENCE_AHEAD.
            ResourceExhausted: SUBSCRIBER_TOO_SLOW.
            Unavailable: SHUTTING_DOWN, or the store cannot be read.
        """
        gone, newest = await self._read(events.bounds, namespace, horizon)
        position = _position(after, gone, newest)
        self._check_open()
        tail = self._tail(namespace, newest)
        watcher = Watcher(tail, self._codec, position, matches, send)
        tail.watchers += 1
        self._watchers.add(watcher)
        self._schedule_patrol()
        try:
            await watcher.run()
        finally:
            self._watchers.remove(watcher)
            tail.watchers -= 1
            if not tail.watchers:
                del self._tails[namespace]

    def _tail(self, namespace: str, newest: int) -> Tail:
        if namespace not in self._tails:

            async def following(after: int) -> Batch | None:
                page: Batch | None = await self._read(load, namespace, after, self._codec)
                return page

            self._tails[namespace] = Tail(following, newest)
        tail = self._tails[namespace]
        # News may have come while `newest` was on its way from the store.
        tail.notify(max(newest, self._newest.get(namespace, 0)))
        return tail

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("SHUTTING_DOWN", "the server is shutting down; try again")

    def _schedule_patrol(self) -> None:
        if self._patrol is None:
            self._patrol = self._loop.call_later(PATROL, self._inspect)

    def _inspect(self) -> None:
        self._patrol = None
        for watcher in self._watchers:
            watcher.inspect()
        if self._watchers:
            self._schedule_patrol()

    def _time_moved(self) -> None:
        """Wake all who wait until some instant; called on any thread."""
        if not self._closed:
            self._loop.call_soon_threadsafe(self._wake_all)

    def _wake_all(self) -> None:
        for signal in self._signals.all():
            signal.wake()


def _position(after: int | None, gone: int, newest: int) -> int:
    """Return the sequence to begin after."""
    if after is None:
        return newest
    if after == 0:
        return gone
    if gone <= after <= newest:
        return after
    raise out_of_range("SEQUENCE_AHEAD" if after > newest else "EVENTS_COMPACTED", after, gone + 1, newest)
