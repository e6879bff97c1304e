"""A namespace's tail and its watchers over a store that is a list: every event once and in order, whatever happens."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskwheel_server.errors import ResourceExhausted, Unavailable
from taskwheel_server.feed import tail as tail_module
from taskwheel_server.feed.batch import Batch, Codec
from taskwheel_server.feed.tail import Tail
from taskwheel_server.feed.watcher import STRIKES, Watcher
from taskwheel_server.model.event import Event, EventType

CODEC = Codec(event=lambda event: b"e%d " % event.sequence, mark=lambda sequence: b"m%d " % sequence)


def event(sequence: int) -> Event:
    return Event("default", sequence, EventType.RUN_PENDING, 0, "r", "t", "t", None, None, None, None)


def batch(first: int, last: int, *, weight: int = 1) -> Batch:
    parts = [CODEC.event(event(sequence)) + b" " * weight for sequence in range(first, last + 1)]
    ends = list(itertools.accumulate(len(part) for part in parts))
    return Batch([event(sequence) for sequence in range(first, last + 1)], b"".join(parts) + CODEC.mark(last), ends)


class Store:
    """Events 1 to `newest`; pages end where a random page would."""

    def __init__(self, newest: int = 0, page: int = 1_000, weight: int = 1) -> None:
        self.newest = newest
        self.page = page
        self.weight = weight
        self.reads: list[int] = []
        self.failing = False

    async def load(self, after: int) -> Batch | None:
        self.reads.append(after)
        await asyncio.sleep(0)
        if self.failing:
            raise Unavailable("STORE_UNAVAILABLE", "no")
        if after >= self.newest:
            return None
        return batch(after + 1, min(after + self.page, self.newest), weight=self.weight)


class Reader:
    """What a subscriber has got; it may be told to hold still."""

    def __init__(self, tail: Tail, position: int, matches=None) -> None:
        self.got: list[int] = []
        self.marks: list[int] = []
        self.open = asyncio.Event()
        self.open.set()
        self.watcher = Watcher(tail, CODEC, position, matches, self._send)
        self.task = asyncio.create_task(self.watcher.run())

    async def _send(self, message: bytes) -> None:
        await self.open.wait()
        for part in message.decode().split():
            (self.got if part.startswith("e") else self.marks).append(int(part[1:]))


async def settle() -> None:
    for _ in range(200):
        await asyncio.sleep(0)


async def end(*readers: Reader) -> None:
    for reader in readers:
        reader.task.cancel()
    await asyncio.gather(*(reader.task for reader in readers), return_exceptions=True)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_each_watcher_gets_each_event_once_and_in_order(data):
    async def scenario() -> None:
        store = Store(newest=data.draw(st.integers(0, 30)), page=data.draw(st.integers(1, 7)))
        tail = Tail(store.load, store.newest)
        readers: list[tuple[Reader, int]] = []
        for _ in range(data.draw(st.integers(1, 25))):
            match data.draw(st.sampled_from(["commit", "join", "hold", "go", "run"])):
                case "commit":
                    store.newest += data.draw(st.integers(1, 9))
                    tail.notify(store.newest)
                case "join":
                    position = data.draw(st.integers(0, store.newest))
                    readers.append((Reader(tail, position), position))
                case "hold" if readers:
                    data.draw(st.sampled_from(readers))[0].open.clear()
                case "go" if readers:
                    data.draw(st.sampled_from(readers))[0].open.set()
                case "run":
                    await settle()
        for reader, _ in readers:
            reader.open.set()
        await settle()
        for reader, position in readers:
            assert reader.got == list(range(position + 1, store.newest + 1))
            assert reader.marks == sorted(reader.marks)
            assert reader.marks[-1] == max(position, store.newest)
        await end(*(reader for reader, _ in readers))

    ring = tail_module.RING_EVENTS
    tail_module.RING_EVENTS = 10
    try:
        asyncio.run(scenario())
    finally:
        tail_module.RING_EVENTS = ring


async def test_a_page_is_read_once_for_all_who_watch():
    store = Store(newest=5)
    tail = Tail(store.load, 5)
    readers = [Reader(tail, 5) for _ in range(50)]
    await settle()
    store.newest = 8
    tail.notify(8)
    await settle()
    assert [reader.got for reader in readers] == [[6, 7, 8]] * 50
    assert store.reads == [5]
    await end(*readers)


async def test_nothing_is_read_while_nobody_wants_more():
    store = Store()
    tail = Tail(store.load, 0)
    store.newest = 3
    tail.notify(3)
    await settle()
    assert store.reads == []


async def test_a_filter_skips_events_but_not_the_place():
    store = Store(newest=6)
    tail = Tail(store.load, 6)
    reader = Reader(tail, 0, lambda event: event.sequence % 3 == 0)
    await settle()
    assert (reader.got, reader.marks[-1]) == ([3, 6], 6)
    await end(reader)


async def test_who_falls_off_the_ring_pages_from_the_store_and_comes_back(monkeypatch):
    monkeypatch.setattr(tail_module, "RING_EVENTS", 4)
    store = Store(page=3)
    tail = Tail(store.load, 0)
    fast, slow = Reader(tail, 0), Reader(tail, 0)
    await settle()
    slow.open.clear()
    for newest in range(1, 31):
        store.newest = newest
        tail.notify(newest)
        await settle()
    assert (fast.got, slow.got) == (list(range(1, 31)), [])
    slow.open.set()
    await settle()
    store.newest = 31
    tail.notify(31)
    await settle()
    assert slow.got == list(range(1, 32))
    await end(fast, slow)


async def test_a_read_that_fails_ends_those_who_wait_and_the_next_one_reads_anew():
    store = Store()
    tail = Tail(store.load, 0)
    first = [Reader(tail, 0), Reader(tail, 0)]
    await settle()
    store.newest, store.failing = 2, True
    tail.notify(2)
    errors = await asyncio.gather(*(reader.task for reader in first), return_exceptions=True)
    assert [type(error) for error in errors] == [Unavailable, Unavailable]
    store.failing = False
    again = Reader(tail, 0)
    await settle()
    assert again.got == [1, 2]
    await end(again)


class TestCut:
    """A blocked write is cut when the feed has moved on too far, and only then."""

    @staticmethod
    async def blocked(store: Store, *, position: int = 0, head: int = 0) -> tuple[Tail, Reader, Reader]:
        tail = Tail(store.load, head)
        slow, fast = Reader(tail, position), Reader(tail, head)
        await settle()
        store.newest += 1
        slow.open.clear()
        tail.notify(store.newest)
        await settle()
        return tail, slow, fast

    @staticmethod
    async def advance(store: Store, tail: Tail, events: int) -> None:
        store.newest += events
        tail.notify(store.newest)
        await settle()

    @pytest.mark.parametrize(
        ("events", "weight", "cut"),
        [
            (1_000, 1, False),
            (1_001, 1, True),
            (100, 50_000, True),
            (100, 20_000, False),
        ],
        ids=["1,000 events behind", "1,001 events behind", "more than 4 MiB behind", "less than 4 MiB behind"],
    )
    async def test_at_a_thousand_events_or_four_mebibytes(self, events, weight, cut):
        store = Store(weight=weight)
        tail, slow, fast = await self.blocked(store)
        await self.advance(store, tail, events)
        for _ in range(STRIKES):
            slow.watcher.inspect()
            fast.watcher.inspect()
        await settle()
        assert slow.task.done() is cut
        assert not fast.task.done()
        if cut:
            error = slow.task.exception()
            assert isinstance(error, ResourceExhausted)
            # The message that was under way reaches the reader before the status does.
            assert (error.reason, error.metadata) == ("SUBSCRIBER_TOO_SLOW", {"after_sequence": "1"})
        await end(slow, fast)

    async def test_not_at_the_first_looks(self):
        store = Store()
        tail, slow, fast = await self.blocked(store)
        await self.advance(store, tail, 5_000)
        for _ in range(STRIKES - 1):
            slow.watcher.inspect()
        slow.open.set()
        await settle()
        slow.watcher.inspect()
        await settle()
        assert slow.got == fast.got == list(range(1, 5_002))
        await end(slow, fast)

    async def test_not_while_it_catches_up_from_the_past(self):
        store = Store(newest=3_000)
        tail = Tail(store.load, 3_000)
        late = Reader(tail, 0)
        late.open.clear()
        await settle()
        await self.advance(store, tail, 5_000)
        for _ in range(2 * STRIKES):
            late.watcher.inspect()
        late.open.set()
        await settle()
        assert late.got == list(range(1, 8_001))
        await end(late)


async def test_closing_ends_every_stream_with_its_place_blocked_or_not():
    store = Store(newest=2)
    tail = Tail(store.load, 2)
    idle, blocked = Reader(tail, 2), Reader(tail, 1)
    blocked.open.clear()
    await settle()
    for reader in (idle, blocked):
        reader.watcher.close()
    errors = await asyncio.gather(idle.task, blocked.task, return_exceptions=True)
    assert all(isinstance(error, Unavailable) for error in errors)
    assert [vars(error)["metadata"] for error in errors] == [{"after_sequence": "2"}, {"after_sequence": "1"}]


async def test_a_cancelled_watcher_is_cancelled_and_harms_no_other():
    store = Store()
    tail = Tail(store.load, 0)
    leaving, staying = Reader(tail, 0), Reader(tail, 0)
    await settle()
    leaving.task.cancel()
    await settle()
    assert leaving.task.cancelled()
    store.newest = 1
    tail.notify(1)
    await settle()
    assert staying.got == [1]
    await end(staying)


async def test_an_idle_stream_tells_how_far_it_has_come(monkeypatch):
    monkeypatch.setattr("taskwheel_server.feed.watcher.IDLE", 0.0)
    tail = Tail(Store(newest=7).load, 7)
    reader = Reader(tail, 7)
    await settle()
    assert set(reader.marks) == {7}
    assert len(reader.marks) > 1
    await end(reader)
