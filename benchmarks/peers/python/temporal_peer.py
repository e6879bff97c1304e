"""Temporal's development server: a run is a workflow that does nothing, without activities."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from temporalio import workflow
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleCalendarSpec,
    ScheduleRange,
    ScheduleSpec,
)
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from benchmarks.peers.python.protocol import End, Payload, Peer, Record, drive, produce

QUEUE = "noop"
FILLERS = 32
# What the server counts lags behind what it does.
LAG = 0.2

# The workflow's class is the library's to construct.
_seen: list[Callable[[Payload], Any]] = []


@workflow.defn(name="noop")
class Noop:
    """The workflow."""

    @workflow.run
    async def run(self, run: Payload) -> None:
        if not workflow.unsafe.is_replaying():
            _seen[0](run)


class Temporal(Peer):
    """A task queue of the server at TEMPORAL_ADDRESS."""

    async def _client(self) -> Client:
        return await Client.connect(os.environ["TEMPORAL_ADDRESS"])

    async def setup(self) -> None:
        await self._client()

    async def producer(self, callers: int) -> Callable[[Payload], Awaitable[object]]:
        client = await self._client()
        return lambda run: client.start_workflow("noop", run, id=f"run{run['id']}", task_queue=QUEUE)

    async def fill(self, runs: int) -> None:
        await produce(await self.producer(FILLERS), runs, FILLERS)

    async def work(self, record: Record) -> End:
        # Workflows run in threads.
        loop = asyncio.get_running_loop()
        _seen.append(lambda run: loop.call_soon_threadsafe(record.seen, run))
        runner = UnsandboxedWorkflowRunner()
        worker = Worker(await self._client(), task_queue=QUEUE, workflows=[Noop], workflow_runner=runner)
        working = asyncio.create_task(worker.run())

        async def end() -> None:
            await worker.shutdown()
            await working

        return end

    async def schedule(self, count: int, due: datetime, record: Record) -> End:
        client = await self._client()
        calendar = ScheduleCalendarSpec(hour=[ScheduleRange(due.hour)], minute=[ScheduleRange(due.minute)])

        async def create(run: Payload) -> None:
            name = f"schedule{run['id']}"
            action = ScheduleActionStartWorkflow("noop", run, id=name, task_queue=QUEUE)
            await client.create_schedule(name, Schedule(action=action, spec=ScheduleSpec(calendars=[calendar])))

        await produce(create, count, FILLERS)
        return await self.work(record)

    async def left(self) -> int:
        client = await self._client()
        counts = [-1, 0]
        while counts[-2] != counts[-1]:
            await asyncio.sleep(LAG)
            counts.append((await client.count_workflows("ExecutionStatus = 'Running'")).count)
        return counts[-1]


if __name__ == "__main__":
    asyncio.run(drive(Temporal()))
