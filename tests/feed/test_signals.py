"""Who waits for runs."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from taskwheel_server.clock import SECOND, ManualClock
from taskwheel_server.errors import Unavailable
from taskwheel_server.feed import Codec, Feed

CODEC = Codec(event=lambda _: b"", mark=lambda _: b"")


@dataclass
class News:
    sequences: dict[str, int] = field(default_factory=dict)
    logged: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    untold: bool = False


async def never_read(*_: Any) -> Any:
    raise AssertionError


@pytest.fixture
async def clock() -> ManualClock:
    return ManualClock(0)


@pytest.fixture
async def feed(clock):
    feed = Feed(never_read, CODEC, clock)
    yield feed
    feed.close()


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("news", "wakes"),
    [
        (News(ended={"a"}), True),
        (News(logged={"a", "b"}), True),
        (News(ended={"b"}, logged={"c"}), False),
        (News(sequences={"default": 3}), False),
        (News(untold=True), True),
    ],
)
async def test_a_run_that_logs_or_ends_wakes_those_who_wait_for_it(feed, news, wakes):
    with feed.signal("a") as signal:
        waiting = asyncio.create_task(signal.wait())
        await settle()
        feed.notify(news)
        await settle()
        assert waiting.done() is wakes
        waiting.cancel()


async def test_what_happens_before_the_wait_is_not_missed(feed):
    with feed.signal("a") as signal:
        feed.notify(News(ended={"a"}))
        await signal.wait()


async def test_a_deadline_counts_by_the_clock_of_the_server(feed, clock):
    with feed.signal("a") as signal:
        waiting = asyncio.create_task(signal.wait(5 * SECOND))
        await settle()
        assert not waiting.done()
        clock.advance(5 * SECOND)
        await waiting
        await signal.wait(5 * SECOND)


async def test_closing_ends_every_wait_and_lets_none_begin(feed):
    with feed.signal("a") as signal:
        waiting = asyncio.create_task(signal.wait())
        await settle()
        feed.close()
        with pytest.raises(Unavailable):
            await waiting
    with pytest.raises(Unavailable), feed.signal("a"):
        pass


async def test_a_signal_that_was_left_is_forgotten(feed):
    with feed.signal("a"), feed.signal("a"):
        pass
    assert feed._signals.all() == []
