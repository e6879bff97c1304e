"""A random walk: any command at any time, leaps of the clock, failures, kills; every turn leaves every invariant."""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from taskwheel_server.clock import HOUR, MINUTE, SECOND, ManualClock
from taskwheel_server.errors import Aborted, AlreadyExists, FailedPrecondition, NotFound, Unavailable
from taskwheel_server.model.names import RunRef
from taskwheel_server.model.run import Run, RunError
from taskwheel_server.model.state import LEASED, MisfireMode, OverlapPolicy, State
from taskwheel_server.retry import FixedDelays, RetryPolicy
from taskwheel_server.schedule import Schedule
from taskwheel_server.wheel.commands import (
    AdmitRuns,
    AdmitSlots,
    AppendLogs,
    Attach,
    CancelRun,
    ClaimRuns,
    Command,
    CompleteRuns,
    CreateTask,
    DeleteTask,
    Detach,
    Drain,
    LogLine,
    PauseTask,
    ReleaseRuns,
    RenameTask,
    Renewal,
    RenewLeases,
    Result,
    ResumeTask,
    UpdateTask,
    Withdraw,
)
from taskwheel_server.workers import Demand
from tests.wheel.breaker import Breaker, Bug, Killed, Point, unavailable
from tests.wheel.handwheel import RETENTION, START, HandWheel, Worker, lease_of, task_ref
from tests.wheel.invariants import Snapshot, check

NAMES = ["a", "b", "c"]
MINUTELY = [Schedule(interval=MINUTE)]
JITTERY = [Schedule(interval=MINUTE, jitter=MINUTE)]
AGAIN = RetryPolicy(3, FixedDelays((0, 20 * SECOND)), retry_on_lost=True)

TASKS: list[dict[str, Any]] = [
    {},
    {"max_concurrent_runs": 1, "tags": '["tag"]'},
    {"max_concurrent_runs": 2, "retry": AGAIN, "start_deadline": 40 * SECOND},
    {"retry": AGAIN, "run_timeout": 20 * SECOND, "labels": '{"k":"v"}'},
    {"schedules": MINUTELY, "overlap_policy": OverlapPolicy.SKIP, "misfire_mode": MisfireMode.SKIP},
    {"schedules": MINUTELY, "overlap_policy": OverlapPolicy.QUEUE_ONE, "max_concurrent_runs": 1, "retry": AGAIN},
    {"schedules": JITTERY, "overlap_policy": OverlapPolicy.CANCEL_RUNNING, "start_deadline": 90 * SECOND},
    {"schedules": MINUTELY, "misfire_mode": MisfireMode.RUN_ALL, "max_catchup_runs": 3, "max_concurrent_runs": 2},
]
CHANGES: list[dict[str, Any]] = [
    {"max_concurrent_runs": 0},
    {"max_concurrent_runs": 1},
    {"max_concurrent_runs": 3},
    {"schedules": '[{"interval": 30000000}]'},
    {"schedules": ""},
    {"overlap_policy": OverlapPolicy.ALLOW},
    {"overlap_policy": OverlapPolicy.QUEUE_ONE},
    {"paused": True},
    {"paused": False},
    {"handler": "i"},
    {"tags": '["x", "y"]'},
]
LEAPS = [1, SECOND, 10 * SECOND, 30 * SECOND, 61 * SECOND, 10 * MINUTE, 3 * HOUR]
PICK = st.integers(0, 1000)
# Whether to turn at once, or to let further commands meet in the turn.
NOW = st.booleans()
# How many walks to take instead of the few of every day, which are always the same.
THOROUGH = int(os.environ.get("THOROUGH", "0"))
# What a caller may be told; anything else is a defect.
TOLD = (NotFound, AlreadyExists, FailedPrecondition, Aborted, Unavailable)


class Walk(RuleBasedStateMachine):
    """Callers and workers without a plan, who note what they are told and hold the wheel to it.

    Args:
        database_url: of an empty database.
    """

    def __init__(self, database_url: str) -> None:
        super().__init__()
        self.wheel = HandWheel(database_url, ManualClock(START))
        self.before: Snapshot = check(self.wheel)
        self.waiting: list[tuple[asyncio.Future[Any], Callable[[Any], None]]] = []
        self.breaker: Breaker | None = None
        self.workers: list[Worker] = []
        self.demands: list[Demand] = []
        # Every lease that a worker was ever told of, and every run that a caller was.
        self.leases: list[Run] = []
        self.told: set[str] = set()
        self.requests: dict[str, str] = {}
        # How each run may have ended by what was said of it, and of which of them something was accepted.
        self.endings: dict[str, set[State]] = defaultdict(set)
        self.accepted: set[str] = set()

    def teardown(self) -> None:
        self.breaker = None
        self._turn()
        self.wheel.settle()
        check(self.wheel, self.before)
        self.wheel.close()

    # The server's side.

    def _send(self, command: Command, *, now: bool, then: Callable[[Any], None] = lambda _: None) -> None:
        self.waiting.append((self.wheel.send(command), then))
        if now or len(self.waiting) > 8:
            self._turn()

    def _turn(self) -> None:
        try:
            if self.breaker:
                with self.breaker as breaker:
                    breaker.watch(self.wheel.store)
                    self.wheel.wheel.turn()
            else:
                self.wheel.wheel.turn()
        except Killed:
            self._die()
        self._hear()
        self._judge()

    def _die(self) -> None:
        """The process is gone, and with it all that it had not told anybody; a worker comes back."""
        self.waiting = [item for item in self.waiting if item[0].done()]
        self.workers.clear()
        self.demands.clear()
        self.wheel.restart()
        worker = self.wheel.new_worker(2, ("h", "i"), "again")
        self.workers.append(worker)
        self.wheel.send(Attach(session=worker.session))

    def _hear(self) -> None:
        for ticket, then in self.waiting:
            if not ticket.done():
                continue
            error = ticket.exception()
            if error is None:
                then(ticket.result())
            else:
                assert isinstance(error, TOLD) or (isinstance(error, Bug) and self.breaker), error
        self.waiting = [item for item in self.waiting if not item[0].done()]
        self.breaker = None
        for worker in self.workers:
            self._given(worker.take())

    def _given(self, runs: list[Run]) -> None:
        for run in runs:
            assert run.state is State.RUNNING
            assert all(lease_of(run) != lease_of(other) for other in self.leases)
            self.leases.append(run)

    def _judge(self) -> None:
        stored = check(self.wheel, self.before)
        horizon = self.wheel.now - RETENTION
        for uid, run in self.before.runs.items():
            assert uid in stored.runs or (run.end_time is not None and run.end_time <= horizon), f"lost: {run}"
        assert self.told <= stored.runs.keys() | self.before.runs.keys(), "acknowledged and never stored"
        for request_id, uid in self.requests.items():
            found = stored.runs.get(uid)
            assert found is None or found.request_id == request_id
        for uid in self.accepted:
            settled = stored.runs.get(uid)
            assert settled is None or settled.state in self.endings[uid], f"not as accepted: {settled}"
        self.before = stored
        self.told.clear()

    # Callers.

    def _admitted(self, runs: list[Run]) -> None:
        self.told |= {run.uid for run in runs}
        for run in runs:
            if run.request_id is not None:
                known = self.requests.get(run.request_id, run.uid)
                assert known == run.uid or known not in self.before.runs, f"two runs of one request: {run}"
                self.requests[run.request_id] = run.uid

    @initialize(fields=st.lists(st.sampled_from(TASKS), min_size=3, max_size=3), credit=st.integers(1, 5))
    def set_up(self, fields: list[dict[str, Any]], credit: int) -> None:
        for name, columns in zip(NAMES, fields, strict=True):
            self._send(CreateTask(task=self.wheel.new_task(name, **columns)), now=False)
        self.attach(credit, ("h", "i"), now=True)

    @rule(name=st.sampled_from(NAMES), fields=st.sampled_from(TASKS), now=NOW)
    def create_task(self, name: str, fields: dict[str, Any], *, now: bool) -> None:
        self._send(CreateTask(task=self.wheel.new_task(name, **fields)), now=now)

    @rule(
        name=st.sampled_from(NAMES),
        count=st.integers(1, 4),
        priority=st.sampled_from([None, -1, 5]),
        delay=st.sampled_from([None, None, -HOUR, 10 * SECOND, HOUR]),
        request_id=st.sampled_from([None, None, "r1", "r2", "r3"]),
        now=NOW,
    )
    def run_task(
        self, name: str, count: int, priority: int | None, delay: int | None, request_id: str | None, *, now: bool
    ) -> None:
        when = None if delay is None else self.wheel.now + delay
        fields: dict[str, Any] = {"priority": priority, "schedule_time": when, "tags": ("run",)}
        new = [self.wheel.new_run(name, **fields) for _ in range(count)]
        new[0].request_id = request_id
        self._send(AdmitRuns(runs=new), now=now, then=self._admitted)

    @rule(name=st.sampled_from(NAMES), count=st.integers(1, 4), policy=st.sampled_from(OverlapPolicy), now=NOW)
    def backfill(self, name: str, count: int, policy: OverlapPolicy, *, now: bool) -> None:
        slots = [START - slot * HOUR for slot in range(count, 0, -1)]
        uids = [self.wheel.wheel.minter.mint() for _ in slots]
        command = AdmitSlots(
            task=task_ref(name), uids=uids, slots=slots, backfill="b", overlap_policy=policy, request_digest=b""
        )
        self._send(command, now=now, then=self._admitted)

    @precondition(lambda self: self.before.runs)
    @rule(pick=PICK, pending_only=NOW, now=NOW)
    def cancel(self, pick: int, *, pending_only: bool, now: bool) -> None:
        uids = sorted(self.before.runs)
        run = RunRef("default", uids[pick % len(uids)])
        self._send(CancelRun(run=run, pending_only=pending_only), now=now)

    @rule(name=st.sampled_from(NAMES), changes=st.sampled_from(CHANGES), now=NOW)
    def update_task(self, name: str, changes: dict[str, Any], *, now: bool) -> None:
        self._send(UpdateTask(task=task_ref(name), changes=changes), now=now)

    @rule(
        name=st.sampled_from(NAMES),
        other=st.sampled_from(NAMES),
        # Deleted rarely: there is little to do without tasks.
        kind=st.sampled_from([0, 1, 1, 2, 3]),
        now=NOW,
    )
    def edit_task(self, name: str, other: str, kind: int, *, now: bool) -> None:
        task = task_ref(name)
        command = [
            PauseTask(task=task, reason="", actor=""),
            ResumeTask(task=task),
            RenameTask(task=task, task_id=other),
            DeleteTask(task=task),
        ][kind]
        self._send(command, now=now)

    # Workers.

    @precondition(lambda self: len(self.workers) < 3)
    @rule(credit=st.integers(1, 5), handlers=st.sampled_from([("h",), ("h", "i")]), now=NOW)
    def attach(self, credit: int, handlers: tuple[str, ...], *, now: bool) -> None:
        worker = self.wheel.new_worker(credit, handlers, f"w{len(self.workers)}")
        self.workers.append(worker)
        self._send(Attach(session=worker.session), now=now)

    @precondition(lambda self: self.workers)
    @rule(pick=PICK, drain=NOW, now=NOW)
    def leave(self, pick: int, *, drain: bool, now: bool) -> None:
        worker = self.workers[pick % len(self.workers)]
        if drain:
            self._send(Drain(session=worker.session), now=now)
        else:
            self._send(Detach(session=worker.session), now=True)
            self.workers = [other for other in self.workers if other is not worker]

    @rule(max_runs=st.integers(1, 3), wait=st.sampled_from([0, 10 * SECOND]), now=NOW)
    def claim(self, max_runs: int, wait: int, *, now: bool) -> None:
        demand = self.wheel.new_demand(max_runs, ["h", "i"], wait)
        self.demands.append(demand)
        self._send(ClaimRuns(demand=demand), now=now, then=self._given)

    @precondition(lambda self: self.demands)
    @rule(pick=PICK, now=NOW)
    def withdraw(self, pick: int, *, now: bool) -> None:
        self._send(Withdraw(demand=self.demands.pop(pick % len(self.demands))), now=now)

    def _lease(self, pick: int) -> Run:
        """Return a lease that a worker knows of: mostly one that still holds."""
        tokens = {run.lease_token for run in self.before.runs.values() if run.state in LEASED}
        good = [run for run in self.leases if run.lease_token in tokens]
        known = good if good and pick % 4 else self.leases
        return known[pick % len(known)]

    @precondition(lambda self: self.leases)
    @rule(count=st.integers(2, 9), ending=st.sampled_from(["ok", "error"]))
    def work_off(self, count: int, ending: str) -> None:
        for pick in range(1, count):
            self.complete(pick * 4 + 1, ending, now=False)
        self._turn()

    @precondition(lambda self: self.leases)
    @rule(pick=PICK, ending=st.sampled_from(["ok", "error", "cancelled"]), now=NOW)
    def complete(self, pick: int, ending: str, *, now: bool) -> None:
        run = self._lease(pick)
        result, states = {
            "ok": (Result(lease_of(run), result=b"ok"), {State.SUCCEEDED}),
            "error": (
                Result(lease_of(run), error=RunError("", "Boom", "")),
                {State.FAILED, State.RETRIED, State.CANCELLED},
            ),
            "cancelled": (Result(lease_of(run), cancelled=True), {State.CANCELLED}),
        }[ending]

        self.endings[run.uid] |= states

        def heard(answer: list[bool]) -> None:
            if answer == [True]:
                self.accepted.add(run.uid)

        self._send(CompleteRuns(results=[result]), now=now, then=heard)

    @precondition(lambda self: self.leases)
    @rule(pick=PICK, at=PICK, now=NOW)
    def renew(self, pick: int, at: int, *, now: bool) -> None:
        run = self._lease(pick)
        session = self.workers[at % len(self.workers)].session if self.workers and at % 2 else None
        self._send(RenewLeases(renewals=[Renewal(lease_of(run), 0.5)], session=session), now=now)

    @precondition(lambda self: self.leases)
    @rule(pick=PICK, now=NOW)
    def hand_back(self, pick: int, *, now: bool) -> None:
        self._send(ReleaseRuns(leases=[lease_of(self._lease(pick))]), now=now)

    @precondition(lambda self: self.leases)
    @rule(pick=PICK, now=NOW)
    def log(self, pick: int, *, now: bool) -> None:
        lines = [LogLine(None, 2, 1, "hello")] * 2
        self._send(AppendLogs(batches=[(lease_of(self._lease(pick)), lines)]), now=now)

    # Time and trouble.

    @rule(leap=st.sampled_from(LEAPS))
    def pass_time(self, leap: int) -> None:
        self.wheel.clock.advance(leap)
        self._turn()

    @rule(pick=PICK)
    def pass_retention(self, pick: int) -> None:
        self.wheel.clock.advance(RETENTION + MINUTE if pick % 8 == 0 else SECOND)
        self._turn()

    @rule()
    def turn(self) -> None:
        self._turn()

    @rule()
    def rest(self) -> None:
        for _ in range(50):
            if not self.wheel.wheel.busy:
                return
            self._turn()
        raise AssertionError("the wheel does not come to rest")

    @rule(
        point=st.sampled_from(Point),
        number=st.integers(1, 25),
        error=st.sampled_from([unavailable, Bug, Killed]),
        times=st.integers(1, 3),
    )
    def break_next_turn(self, point: Point, number: int, error: Callable[[], BaseException], times: int) -> None:
        self.breaker = Breaker(point, number if point is Point.STATEMENT else 1, error, times)

    @rule()
    def kill(self) -> None:
        self._die()
        self._judge()


@pytest.mark.timeout(3600 if THOROUGH else 600)
def test_any_walk_keeps_every_promise(fresh_database: Callable[[], str]) -> None:
    # A turn at a server takes several times as long.
    examples = 80 if fresh_database().startswith("sqlite") else 30

    def walk() -> Walk:
        return Walk(fresh_database())

    run_state_machine_as_test(
        walk,  # type: ignore[arg-type]
        settings=settings(
            max_examples=THOROUGH or examples,
            stateful_step_count=50,
            derandomize=not THOROUGH,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
