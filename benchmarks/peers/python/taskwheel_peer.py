"""taskwheel over gRPC, with its Python client and worker: the server is at TASKWHEEL_ADDRESS."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime

import uvloop

import taskwheel
from benchmarks.peers.python.protocol import End, Payload, Peer, Record, batches, drive, produce

NOOP = "noop"
# Batches under way at a time, so that the server has one while the client makes the next.
FILLERS = 2
CONCURRENCY = 4000
CREATORS = 32


class Taskwheel(Peer):
    """A server, whatever its database."""

    def __init__(self) -> None:
        self.client = taskwheel.AsyncClient()

    async def setup(self) -> None:
        await self.client.create_task(NOOP, handler=NOOP)

    async def producer(self, callers: int) -> Callable[[Payload], Awaitable[object]]:
        await self.client.server_info()
        return self.client.task(NOOP).run

    async def fill(self, runs: int) -> None:
        remaining = batches(runs)

        async def filler() -> None:
            for batch in remaining:
                await self.client.run_many(taskwheel.RunRequest(task=NOOP, payload=payload) for payload in batch)

        await asyncio.gather(*(filler() for _ in range(FILLERS)))

    async def work(self, record: Record) -> End:
        worker = taskwheel.Worker(max_concurrent_runs=CONCURRENCY)

        @worker.handler(NOOP)
        async def handle(run: taskwheel.Run) -> None:
            record.seen(run.payload)

        serving = asyncio.create_task(worker.serve())

        async def end() -> None:
            worker.stop()
            await serving

        return end

    async def schedule(self, count: int, due: datetime, record: Record) -> End:
        schedule = taskwheel.cron(f"{due.minute} {due.hour} * * *")

        async def create(payload: Payload) -> None:
            await self.client.create_task(f"{NOOP}{payload['id']}", handler=NOOP, schedules=[schedule], payload=payload)

        await produce(create, count, CREATORS)
        return await self.work(record)

    async def left(self) -> int:
        runs = self.client.list_runs(filter="done = false", page_size=1000)
        return sum([1 async for _ in runs])


if __name__ == "__main__":
    uvloop.run(drive(Taskwheel()))
