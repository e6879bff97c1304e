"""The protocol of the drivers, see ../README.md, for those written in Python."""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

BATCH = 1000
# No latency is told of the first runs.
WARMUP = 5

Payload = dict[str, Any]
End = Callable[[], Awaitable[None]]


def payload(number: int) -> Payload:
    """Return the payload of a run, about 100 bytes of JSON; `time` in µs."""
    return {"id": number, "time": time.time_ns() // 1000, "text": "x" * 60}


def batches(runs: int) -> Iterator[list[Payload]]:
    """Yield the payloads of a fill."""
    for first in range(0, runs, BATCH):
        yield [payload(number) for number in range(first, min(first + BATCH, runs))]


class Peer(ABC):
    """What a queue is asked to do."""

    @abstractmethod
    async def setup(self) -> None:
        """Make what runs need to be stored."""

    @abstractmethod
    async def producer(self, callers: int) -> Callable[[Payload], Awaitable[object]]:
        """Return what enqueues one run, for so many concurrent callers."""

    @abstractmethod
    async def fill(self, runs: int) -> None:
        """Enqueue runs as fast as the peer can."""

    @abstractmethod
    async def work(self, record: Record) -> End:
        """Start a worker that notes each run's start; return what stops it."""

    @abstractmethod
    async def schedule(self, count: int, due: datetime, record: Record) -> End:
        """Have `count` schedules due once, at `due`, and start a worker for them; return what stops it."""

    @abstractmethod
    async def left(self) -> int:
        """Count the runs that are stored and not done."""


class Record:
    """What a worker has seen.

    Args:
        runs: how many it is to see.
    """

    def __init__(self, runs: int) -> None:
        self.runs = runs
        self.starts: list[float] = []
        self.distinct: set[int] = set()
        self.latencies: list[float] = []
        self._complete = asyncio.Event()

    def seen(self, run: Payload) -> None:
        """Note that a run's handler has started."""
        self.note(time.time(), int(run["id"]), run["time"])

    def note(self, start: float, number: int, enqueued: float) -> None:
        """Note a start, s since the epoch, of a run that was enqueued at `enqueued`, µs since the epoch."""
        self.starts.append(start)
        self.distinct.add(number)
        self.latencies.append(1e3 * start - enqueued / 1e3)
        if len(self.distinct) == self.runs:
            self._complete.set()

    async def finish(self, peer: Peer, limit: float) -> None:
        """Wait until all runs are handled and stored as done, or until `limit`, and tell what was seen."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._complete.wait(), limit - time.time())
        while left := await peer.left():
            if time.time() > limit:
                break
            await asyncio.sleep(0.001)
        stored = time.time()
        await asyncio.sleep(0.5)  # a run that comes twice may do so late
        latencies = sorted(self.latencies[WARMUP:]) or [0.0]
        await finish(
            handled=len(self.starts),
            distinct=len(self.distinct),
            left=left,
            first=min(self.starts, default=0.0),
            last=max(self.starts, default=0.0),
            stored=stored,
            p50=latencies[len(latencies) // 2],
            p99=latencies[len(latencies) * 99 // 100],
        )


def say(line: str) -> None:
    """Tell the reader something."""
    print(line, flush=True)


async def begin() -> None:
    """Say that the driver is ready and wait for the word."""
    say("ready")
    await asyncio.to_thread(sys.stdin.readline)


async def finish(**measured: Any) -> None:
    """Print what was measured and wait until its reader has looked at this process."""
    say(json.dumps(measured))
    await asyncio.to_thread(sys.stdin.readline)


async def drive(peer: Peer) -> None:
    """Carry out the scenario that the command line names."""
    numbers = [int(text) for text in sys.argv[2:]]
    match sys.argv[1]:
        case "setup":
            await begin()
            await peer.setup()
            await finish()
        case "insert":
            await _insert(peer, *numbers)
        case "fill":
            await begin()
            start = time.time()
            await peer.fill(*numbers)
            await finish(start=start, seconds=time.time() - start)
        case "pace":
            await _pace(peer, *numbers)
        case "work":
            runs, seconds = numbers
            await begin()
            record = Record(runs)
            end = await peer.work(record)
            say("working")
            await record.finish(peer, time.time() + seconds)
            await end()
        case "schedules":
            count, due, seconds = numbers
            record = Record(count)
            end = await peer.schedule(count, datetime.fromtimestamp(due, UTC), record)
            await begin()
            await record.finish(peer, due + seconds)
            await end()


async def _insert(peer: Peer, runs: int, callers: int) -> None:
    one = await peer.producer(callers)
    await begin()
    start = time.time()
    await produce(one, runs, callers)
    seconds = time.time() - start
    await finish(start=start, seconds=seconds, left=await peer.left())


async def produce(one: Callable[[Payload], Awaitable[object]], runs: int, callers: int) -> None:
    """Enqueue runs from so many callers, each its next one when the last is stored."""
    numbers = iter(range(runs))

    async def caller() -> None:
        for number in numbers:
            await one(payload(number))

    await asyncio.gather(*(caller() for _ in range(callers)))


async def _pace(peer: Peer, runs: int) -> None:
    one = await peer.producer(1)
    await begin()
    for number in range(runs):
        await asyncio.sleep(random.uniform(0.02, 0.05))
        await one(payload(number))
    await finish()
