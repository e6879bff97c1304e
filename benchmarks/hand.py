"""A wheel turned by hand, without threads and gRPC, and the workloads of the figures as its commands."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from taskwheel_server import schedule
from taskwheel_server.clock import DAY, HOUR, SECOND, ManualClock
from taskwheel_server.db.store import Store
from taskwheel_server.model.names import DEFAULT_NAMESPACE, TaskRef
from taskwheel_server.model.task import Task
from taskwheel_server.wheel import Wheel
from taskwheel_server.wheel.commands import AdmitRuns, Attach, CompleteRuns, CreateTask, Detach, Lease, NewRun, Result
from taskwheel_server.wheel.outcome import resolve
from taskwheel_server.workers import Session

if TYPE_CHECKING:
    from taskwheel_server.model.run import Run
    from taskwheel_server.wheel.commands import Command

TASK = HANDLER = "bench"
_REF = TaskRef(DEFAULT_NAMESPACE, task_id=TASK)
# A serialized Value that is null.
NULL = b"\x08\x00"


class HandWheel:
    """A wheel on a database.

    Args:
        database_url: as the server has it.
    """

    def __init__(self, database_url: str) -> None:
        self._clock = ManualClock(time.time_ns() // 1000)
        self._store = Store(database_url, self._clock)
        self._wheel = Wheel(self._store, lease=30 * SECOND, retention=7 * DAY, deliver=resolve)
        self._arrived: dict[Session, list[Run]] = {}

    def close(self) -> None:
        """Close the database."""
        self._store.close()

    def now(self) -> int:
        """Return the wheel's time, µs."""
        return self._clock.now()

    def create_task(self) -> None:
        """Create the task that all workloads run."""
        asyncio.run(self._turn(CreateTask(task=self._task(TASK))))

    def create_schedules(self, tasks: int, first: int) -> None:
        """Create tasks that are all due at `first` (µs), then each hour."""
        schedules = schedule.dump([schedule.Schedule(interval=HOUR, start_time=first)])
        commands = [CreateTask(task=self._task(f"due-{first}-{number}", schedules)) for number in range(tasks)]
        for start in range(0, tasks, 500):
            asyncio.run(self._turn(*commands[start : start + 500]))

    def tick(self, instant: int) -> None:
        """Let it be `instant` (µs), and turn until all that is due is done."""
        self._clock.advance(instant - self._clock.now())
        asyncio.run(self._tick())

    def enqueue(self, runs: int, batch: int, payload: bytes) -> None:
        """Admit runs, a batch a turn."""
        asyncio.run(self._enqueue([self._batch(batch, payload) for _ in range(runs // batch)]))

    def drain(self, runs: int, credit: int) -> None:
        """Work runs on two streams, the results of one of them a turn."""
        asyncio.run(self._work(runs, credit, []))

    def enqueue_and_drain(self, runs: int, batch: int, credit: int, payload: bytes) -> None:
        """Admit a batch a turn and work the runs on two streams meanwhile."""
        asyncio.run(self._work(runs, credit, [self._batch(batch, payload) for _ in range(runs // batch)]))

    async def _turn(self, *commands: Command) -> None:
        self._clock.advance(1000)
        tickets = [self._wheel.submit(command) for command in commands]
        while self._wheel.busy:
            self._wheel.turn()
        await asyncio.gather(*tickets)

    async def _tick(self) -> None:
        while self._wheel.busy:
            self._wheel.turn()

    async def _enqueue(self, batches: list[AdmitRuns]) -> None:
        for batch in batches:
            await self._turn(batch)

    async def _work(self, runs: int, credit: int, batches: list[AdmitRuns]) -> None:
        sessions = [self._session(credit), self._session(credit)]
        await self._turn(*(Attach(session=session) for session in sessions))
        done = turn = 0
        while done < runs:
            arrived = self._arrived[sessions[turn % 2]]
            results = [_succeeded(run) for run in arrived]
            arrived.clear()
            settled = [CompleteRuns(results=results)] if results else []
            await self._turn(*settled, *(batches.pop() for _ in batches[:1]))
            done += len(results)
            turn += 1
        await self._turn(*(Detach(session=session) for session in sessions))

    def _session(self, credit: int) -> Session:
        arrived: list[Run] = []

        def push(assignments: list[Run], _cancellations: list[Any]) -> None:
            arrived.extend(assignments)

        session = Session(DEFAULT_NAMESPACE, "hand", frozenset({HANDLER}), credit, push)
        self._arrived[session] = arrived
        return session

    def _task(self, task_id: str, schedules: str = "") -> Task:
        return Task(self._wheel.minter.mint(), DEFAULT_NAMESPACE, task_id, HANDLER, schedules=schedules)

    def _batch(self, runs: int, payload: bytes) -> AdmitRuns:
        return AdmitRuns(runs=[NewRun(self._wheel.minter.mint(), _REF, payload) for _ in range(runs)])


def _succeeded(run: Run) -> Result:
    return Result(Lease(run.uid, run.attempt, run.lease_token or ""), NULL)
