"""A wheel turned by hand: no threads, no sleeps; commands go in and answers come out as they do in the server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import Connection

from taskwheel_server.clock import DAY, SECOND, ManualClock
from taskwheel_server.db import events, runs, tasks
from taskwheel_server.db.dialect import fetch, fetch_value
from taskwheel_server.db.store import Store
from taskwheel_server.model.event import EventType
from taskwheel_server.model.names import RunRef, TaskRef
from taskwheel_server.model.run import RUN_COLUMNS, Run, RunError
from taskwheel_server.model.state import State
from taskwheel_server.model.task import TASK_COLUMNS, Task
from taskwheel_server.retry import RetryPolicy
from taskwheel_server.schedule import Schedule, dump
from taskwheel_server.wheel import Wheel
from taskwheel_server.wheel.commands import (
    AdmitRuns,
    Attach,
    CancelRun,
    ClaimRuns,
    Command,
    CompleteRuns,
    CreateTask,
    Lease,
    NewRun,
    Renewal,
    Renewed,
    RenewLeases,
    Result,
    UpdateTask,
)
from taskwheel_server.wheel.outcome import Outcome, resolve
from taskwheel_server.workers import Demand, Session, Stop

# 2027-01-15 08:00:00 UTC, a Friday.
START = 1_800_000_000 * SECOND
LEASE = 30 * SECOND
RETENTION = 7 * DAY

T = TypeVar("T")


def task_ref(task: Task | str) -> TaskRef:
    return TaskRef("default", task_id=task) if isinstance(task, str) else TaskRef("default", uid=task.uid)


def lease_of(run: Run) -> Lease:
    return Lease(run.uid, run.attempt, run.lease_token or "")


@dataclass(eq=False)
class Worker:
    """A worker's stream, which keeps what it is pushed."""

    session: Session
    assigned: list[Run] = field(default_factory=list)
    stops: list[Stop] = field(default_factory=list)

    def take(self) -> list[Run]:
        """Return what was assigned since the last call."""
        taken, self.assigned[:] = self.assigned[:], []
        return taken

    def take_one(self) -> Run:
        [run] = self.take()
        return run


class HandWheel:
    """A store and its wheel on a database.

    Args:
        database_url: whose file is made on first use.
        clock: cranked by the test.
    """

    def __init__(self, database_url: str, clock: ManualClock) -> None:
        self.database_url = database_url
        self.clock = clock
        self.loop = asyncio.new_event_loop()
        # Nobody may be left to hear what a command has met.
        self.loop.set_exception_handler(lambda *_: None)
        self.outcomes: list[Outcome] = []
        self.open()

    def open(self) -> None:
        self.store = Store(self.database_url, self.clock)
        self.wheel = Wheel(self.store, lease=LEASE, retention=RETENTION, deliver=self._deliver)

    def _deliver(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        resolve(outcome)

    def close(self) -> None:
        checked_out = self.checked_out()
        self.store.close()
        self.loop.close()
        assert checked_out == 0

    def restart(self) -> None:
        """Close the store as a killed server would leave it and open it anew; what waits in memory is lost."""
        self.store.close()
        self.open()

    def checked_out(self) -> int:
        """Return how many connections of both pools are in use, the one kept for the next turn apart."""
        pools = [engine.pool for engine in (self.store._writer, self.store._reader)]
        return sum(pool.checkedout() for pool in pools) - (self.store._connection is not None)  # type: ignore[attr-defined]

    # What the server does.

    @property
    def now(self) -> int:
        return self.clock.now()

    def send(self, command: Command) -> asyncio.Future[Any]:
        """Hand in a command; the next turn carries it out."""

        async def hand_in() -> asyncio.Future[Any]:
            return self.wheel.submit(command)

        return self.loop.run_until_complete(hand_in())

    def call(self, command: Command) -> Any:
        """Hand in a command, turn once and return its answer."""
        ticket = self.send(command)
        self.wheel.turn()
        assert ticket.done(), f"{command} was not answered in its turn"
        return ticket.result()

    def turn(self) -> Outcome:
        self.wheel.turn()
        return self.outcomes[-1]

    def settle(self) -> None:
        """Turn until nothing is left to do now."""
        for _ in range(100):
            if not self.wheel.busy:
                return
            self.wheel.turn()
        raise AssertionError("the wheel does not come to rest")

    def advance(self, duration: int) -> None:
        """Let time pass in one leap, then turn until nothing is left to do."""
        self.clock.advance(duration)
        self.wheel.turn()
        self.settle()

    # What callers do.

    def new_task(
        self,
        task_id: str = "t",
        handler: str = "h",
        *,
        schedules: Sequence[Schedule] = (),
        retry: RetryPolicy | None = None,
        **columns: Any,
    ) -> Task:
        return Task(
            self.wheel.minter.mint(),
            "default",
            task_id,
            handler,
            schedules=dump(schedules),
            retry_policy=json.dumps(retry.to_dict()) if retry else "",
            **columns,
        )

    def task(self, task_id: str = "t", handler: str = "h", **fields: Any) -> Task:
        """Create a task."""
        task: Task = self.call(CreateTask(task=self.new_task(task_id, handler, **fields)))
        return task

    def update(self, task: Task | str = "t", **changes: Any) -> Task:
        updated: Task = self.call(UpdateTask(task=task_ref(task), changes=changes))
        return updated

    def new_run(self, task: Task | str = "t", **fields: Any) -> NewRun:
        return NewRun(self.wheel.minter.mint(), task_ref(task), **fields)

    def run(self, task: Task | str = "t", **fields: Any) -> Run:
        """Admit one run."""
        [run] = self.call(AdmitRuns(runs=[self.new_run(task, **fields)]))
        assert isinstance(run, Run)
        return run

    def run_many(self, count: int, task: Task | str = "t", **fields: Any) -> list[Run]:
        admitted: list[Run] = self.call(AdmitRuns(runs=[self.new_run(task, **fields) for _ in range(count)]))
        return admitted

    def cancel(self, run: Run, reason: str = "", *, pending_only: bool = False) -> Run:
        cancelled: Run = self.call(
            CancelRun(run=RunRef(run.namespace, run.uid), reason=reason, pending_only=pending_only)
        )
        return cancelled

    # What workers do.

    def new_worker(self, credit: int = 10, handlers: Sequence[str] = ("h",), worker_id: str = "w1") -> Worker:
        def push(assignments: list[Run], stops: list[Stop]) -> None:
            worker.assigned += assignments
            worker.stops += stops

        worker = Worker(Session("default", worker_id, frozenset(handlers), credit, push))
        return worker

    def worker(self, credit: int = 10, handlers: Sequence[str] = ("h",), worker_id: str = "w1") -> Worker:
        """Attach a stream."""
        worker = self.new_worker(credit, handlers, worker_id)
        self.call(Attach(session=worker.session))
        return worker

    def new_demand(self, max_runs: int = 1, handlers: Sequence[str] = ("h",), wait: int = 0) -> Demand:
        return Demand("default", "unary", frozenset(handlers), max_runs, self.now + wait, None)

    def claim(self, max_runs: int = 1, handlers: Sequence[str] = ("h",)) -> list[Run]:
        """Claim once, without waiting."""
        claimed: list[Run] = self.call(ClaimRuns(demand=self.new_demand(max_runs, handlers)))
        return claimed

    def claim_one(self) -> Run:
        [run] = self.claim()
        return run

    def started(self, task: Task | str = "t", **fields: Any) -> Run:
        """Admit a run and claim it at once."""
        self.run(task, **fields)
        return self.claim_one()

    def complete(self, *results: Result) -> list[bool]:
        accepted: list[bool] = self.call(CompleteRuns(results=list(results)))
        return accepted

    def succeed(self, run: Run, result: bytes = b"ok") -> bool:
        return self.complete(Result(lease_of(run), result=result)) == [True]

    def fail(self, run: Run, name: str = "Boom") -> bool:
        return self.complete(Result(lease_of(run), error=RunError("runtime", name, "it broke", "trace"))) == [True]

    def stop(self, run: Run) -> bool:
        return self.complete(Result(lease_of(run), cancelled=True)) == [True]

    def renew(self, run: Run, session: Session | None = None) -> Renewed:
        [renewed] = self.call(RenewLeases(renewals=[Renewal(lease_of(run))], session=session))
        assert isinstance(renewed, Renewed)
        return renewed

    # What is stored.

    def get(self, run: Run | str) -> Run:
        uid = run if isinstance(run, str) else run.uid
        return self.store.read(runs.by_uid, [uid], whole=True)[uid]

    def state(self, run: Run | str) -> State:
        return self.get(run).state

    def states(self, task: Task | str = "t") -> list[str]:
        """Return the states of a task's runs, oldest run first."""
        return [run.state.name for run in self.runs(task)]

    def get_task(self, task: Task | str = "t") -> Task:
        found = self.store.read(tasks.find, task_ref(task))
        assert found is not None
        return found

    def runs(self, task: Task | str | None = None) -> list[Run]:
        """Return all runs, or those of a task, oldest first."""
        found = self.store.read(all_runs)
        uid = None if task is None else task.uid if isinstance(task, Task) else self.get_task(task).uid
        return [run for run in found if uid is None or run.task_uid == uid]

    def slots(self, task: Task | str = "t") -> list[tuple[int, str, str]]:
        """Return (seconds since START, trigger, state) of a task's slots in order."""
        owned = [run for run in self.runs(task) if run.scheduled_time is not None and run.attempt == 1]
        owned.sort(key=lambda run: (run.scheduled_time, run.uid))
        return [
            ((run.scheduled_time or 0) // SECOND - START // SECOND, run.trigger.name, run.state.name) for run in owned
        ]

    def events(self, run: Run | str | None = None) -> list[str]:
        """Return the names of all events, or of a run's, in order."""
        uid = run.uid if isinstance(run, Run) else run
        found = self.store.read(lambda connection: list(events.after(connection, "default", 0, 1_000_000)))
        return [event.type.label for event in found if uid is None or event.run_uid == uid]

    def count_rows(self) -> int:
        """Return how many rows the side tables hold: labels and log lines."""
        counts = "SELECT (SELECT count(*) FROM labels) + (SELECT count(*) FROM logs)"
        return int(self.store.read(fetch_value, counts))


def all_runs(connection: Connection) -> list[Run]:
    """Return all runs, oldest first."""
    return [runs.run_of(row) for row in fetch(connection, f"SELECT {','.join(RUN_COLUMNS)} FROM runs ORDER BY uid")]


def all_tasks(connection: Connection) -> list[Task]:
    """Return all tasks, deleted ones whose rows still stand included."""
    return [tasks.task_of(row) for row in fetch(connection, f"SELECT {','.join(TASK_COLUMNS)} FROM tasks")]


def all_events(connection: Connection) -> list[tuple[int, EventType, int, str | None, str | None]]:
    """Return (sequence, type, time, run uid, reason) of all events in order."""
    rows = fetch(connection, "SELECT sequence, type, time, run_uid, reason FROM events ORDER BY sequence")
    return [(row[0], EventType(row[1]), row[2], row[3], row[4]) for row in rows]
