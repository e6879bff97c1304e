"""Faults of the store: at every statement and every COMMIT of some scenes, until one passes unbroken.

Whatever breaks, once it is over everything is as if nothing had broken: the same runs in the same states, each event
once, and whatever was acknowledged is there.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from taskwheel_server.clock import DAY, MINUTE, SECOND, ManualClock
from taskwheel_server.errors import NotFound, TaskwheelError, Unavailable
from taskwheel_server.model.event import EventType
from taskwheel_server.model.names import RunRef
from taskwheel_server.model.run import Run, RunError
from taskwheel_server.model.state import OverlapPolicy
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
    LogLine,
    ReleaseRuns,
    RenameTask,
    Renewal,
    RenewLeases,
    Result,
    UpdateTask,
)
from tests.wheel.breaker import Breaker, Bug, Killed, Point, unavailable
from tests.wheel.handwheel import LEASE, START, HandWheel, Worker, all_events, all_tasks, lease_of, task_ref
from tests.wheel.invariants import check


class Caller(HandWheel):
    """Callers and workers that try again until they are answered, against a server that may be killed at any time."""

    breaker: Breaker | None = None
    worker_: Worker | None = None

    def open(self) -> None:
        super().open()
        if self.breaker:
            self.breaker.watch(self.store)
        if self.worker_:
            # A worker comes back with the leases it has; it does not know of runs it was not given.
            self.worker_ = self._attached(self.worker_)

    def _attached(self, before: Worker) -> Worker:
        worker = self.new_worker(before.session.max_concurrent_runs)
        worker.assigned = before.assigned
        self.send(Attach(session=worker.session))
        return worker

    def spin(self) -> None:
        """Turn once; when that kills the server, start it again."""
        try:
            self.wheel.turn()
        except Killed:
            self.reopen()

    def reopen(self) -> None:
        while True:
            try:
                self.restart()
            except (Killed, Bug, Unavailable):
                continue
            return

    def call(self, command: Command) -> Any:
        for _ in range(20):
            if isinstance(command, ClaimRuns):
                command = ClaimRuns(demand=self.new_demand(command.demand.max_runs))
            ticket = self.send(command)
            self.spin()
            if not ticket.done():
                continue
            error = ticket.exception()
            if error is None:
                return ticket.result()
            if isinstance(error, TaskwheelError) and not isinstance(error, Unavailable):
                raise error
        raise AssertionError(f"{command} is never answered")

    def settle(self) -> None:
        for _ in range(200):
            if not self.wheel.busy:
                return
            self.spin()
        raise AssertionError("the wheel does not come to rest")

    def advance(self, duration: int) -> None:
        """Let time pass; then a little more, for what backs off after a failure."""
        for step in (duration, SECOND, SECOND):
            self.clock.advance(step)
            self.spin()
            self.settle()

    def lose_leases(self) -> None:
        """Let time pass until no lease is left: a server that was killed meanwhile has given them a new full one."""
        for _ in range(2):
            self.advance(LEASE + SECOND)

    def claim_all(self, count: int) -> list[Run]:
        """Claim until `count` runs came, or none is left; in the order of their payloads."""
        claimed: list[Run] = []
        while len(claimed) < count and (more := self.call(ClaimRuns(demand=self.new_demand(count)))):
            claimed += more
        return sorted(claimed, key=lambda run: (run.payload or b"", run.attempt))

    def admit(self, task: str, name: str, **fields: Any) -> Run:
        new = self.new_run(task, payload=name.encode(), request_id=name, request_digest=b"", **fields)
        [run] = self.call(AdmitRuns(runs=[new]))
        assert isinstance(run, Run)
        return run


def ok(run: Run) -> Result:
    return Result(lease_of(run), result=b"ok")


def boom(run: Run) -> Result:
    return Result(lease_of(run), error=RunError("", "Boom", ""))


def settled_work(caller: Caller) -> None:
    """Runs are admitted, claimed, renewed, logged, handed back, settled, retried."""
    retry = RetryPolicy(3, FixedDelays((0,)))
    caller.call(CreateTask(task=caller.new_task(retry=retry, tags='["a"]', labels='{"k":"v"}')))
    for name in ("a", "b", "c"):
        caller.admit("t", name, labels={"name": name})
    a, b, c = caller.claim_all(3)
    caller.call(RenewLeases(renewals=[Renewal(lease_of(run), 0.5) for run in (a, b)]))
    caller.call(ReleaseRuns(leases=[lease_of(c)]))
    assert caller.call(CompleteRuns(results=[ok(a), boom(b)])) == [True, True]
    b2, c2 = caller.claim_all(2)
    assert caller.call(CompleteRuns(results=[boom(b2), ok(c2)])) == [True, True]
    [b3] = caller.claim_all(1)
    assert caller.call(CompleteRuns(results=[boom(b3)])) == [True]


def limited_work(caller: Caller) -> None:
    """A limit holds runs back, is raised and taken off."""
    caller.call(CreateTask(task=caller.new_task(max_concurrent_runs=1)))
    for index, name in enumerate("abcd"):
        # Within a millisecond the uids of two processes are in no order.
        caller.admit("t", name, priority=-index)
    [a] = caller.claim_all(4)
    assert caller.call(CompleteRuns(results=[ok(a)])) == [True]
    caller.call(UpdateTask(task=task_ref("t"), changes={"max_concurrent_runs": 2}))
    caller.settle()
    b, c = caller.claim_all(4)
    caller.call(UpdateTask(task=task_ref("t"), changes={"max_concurrent_runs": 0}))
    caller.settle()
    [d] = caller.claim_all(4)
    assert caller.call(CompleteRuns(results=[ok(b), boom(c), ok(d)])) == [True] * 3


def passing_time(caller: Caller) -> None:
    """Slots come, overlap, leases end, a waiting run becomes due, another is too late."""
    caller.call(
        CreateTask(
            task=caller.new_task(
                "timed",
                schedules=[Schedule(interval=2 * MINUTE)],
                overlap_policy=OverlapPolicy.QUEUE_ONE,
                retry=RetryPolicy(2, FixedDelays((0,)), retry_on_lost=True),
            )
        )
    )
    caller.call(CreateTask(task=caller.new_task("late", start_deadline=10 * SECOND)))
    caller.admit("late", "late", schedule_time=START + 20 * SECOND)
    caller.advance(2 * MINUTE)
    [slot] = caller.claim_all(2)
    caller.lose_leases()
    caller.advance(2 * MINUTE - 2 * (LEASE + SECOND))
    [again] = caller.claim_all(2)
    assert again.attempt == slot.attempt + 1
    assert caller.call(CompleteRuns(results=[ok(again)])) == [True]
    [queued] = caller.claim_all(2)
    assert caller.call(CompleteRuns(results=[ok(queued)])) == [True]
    caller.call(UpdateTask(task=task_ref("timed"), changes={"paused": True}))


def cancelled_work(caller: Caller) -> None:
    """Pending and running runs are cancelled, a task is renamed and deleted, retention passes."""
    caller.call(CreateTask(task=caller.new_task(tags='["a"]')))
    [a, b, c] = [caller.admit("t", name, tags=("b",)) for name in ("a", "b", "c")]
    caller.call(CancelRun(run=RunRef("default", a.uid)))
    b, c = caller.claim_all(2)
    for run in (b, c):
        caller.call(CancelRun(run=RunRef("default", run.uid)))
    assert caller.call(CompleteRuns(results=[Result(lease_of(b), cancelled=True)])) == [True]
    caller.admit("t", "d")
    try:
        caller.call(RenameTask(task=task_ref("t"), task_id="u"))
    except NotFound:
        assert caller.get_task("u").task_id == "u"
    caller.call(DeleteTask(task=task_ref("u"), allow_missing=True))
    caller.lose_leases()
    caller.advance(7 * DAY)
    caller.advance(MINUTE)


def filled_slots(caller: Caller) -> None:
    """Slots of the past are started, running ones cancelled by them."""
    schedules = [Schedule(interval=MINUTE)]
    caller.call(CreateTask(task=caller.new_task(schedules=schedules, paused=True)))
    instants = [START - minutes * MINUTE for minutes in (3, 2, 1)]
    for policy in (OverlapPolicy.ALLOW, OverlapPolicy.CANCEL_RUNNING):
        caller.call(
            AdmitSlots(
                task=task_ref("t"),
                uids=[caller.wheel.minter.mint() for _ in instants],
                slots=instants,
                backfill=policy.name,
                overlap_policy=policy,
                request_digest=b"",
            )
        )
        caller.settle()
        if policy is OverlapPolicy.ALLOW:
            caller.claim_all(1)
    caller.lose_leases()


def streamed_work(caller: Caller) -> None:
    """A stream is given runs as they come and settles them."""
    caller.call(CreateTask(task=caller.new_task(max_concurrent_runs=2)))
    caller.worker_ = caller.new_worker(2)
    caller.call(Attach(session=caller.worker_.session))
    for name in ("a", "b", "c"):
        caller.admit("t", name)
    for _ in range(6):
        for run in caller.worker_.take():
            caller.call(CompleteRuns(results=[ok(run)]))
        caller.settle()
        # Runs that a killed server had given out, but had not told of, come back when their leases end.
        caller.advance(0)


SCENES = [settled_work, limited_work, passing_time, cancelled_work, filled_slots, streamed_work]


def outcome(caller: HandWheel) -> tuple[list[Any], list[Any], list[Any]]:
    """Return what a scene has come to: runs, tasks and events, without what may differ when something broke."""
    runs = [
        (
            run.task_id,
            run.payload,
            run.attempt,
            run.state.name,
            run.trigger.name,
            run.scheduled_time,
            run.error_name,
            run.result,
            run.log_count,
            len(json.loads(run.retry_for_runs or "[]")),
        )
        for run in caller.runs()
    ]
    tasks = [
        (task.task_id, task.paused, task.next_time, task.max_concurrent_runs, task.running)
        for task in caller.store.read(all_tasks)
    ]
    told: Counter[tuple[str, str]] = Counter()
    for _, kind, _, uid, _ in caller.store.read(all_events):
        # A run that was given out and not told of is handed back: it starts anew.
        if kind not in {EventType.RUN_PENDING, EventType.RUN_STARTED}:
            told[kind.label, caller.get(uid).task_id if uid else ""] += 1
    return sorted(runs, key=repr), sorted(tasks), sorted(told.items())


def played(scene: Callable[[Caller], None], url: str, breaker: Breaker) -> tuple[bool, Any]:
    """Play a scene with a breaker; return whether it broke anything, and what the scene has come to."""
    caller = Caller(url, ManualClock(START))
    try:
        caller.breaker = breaker
        with breaker:
            breaker.watch(caller.store)
            scene(caller)
            caller.settle()
        caller.settle()
        check(caller)
        return breaker.reached, outcome(caller)
    finally:
        caller.close()


# What a server that is killed right after a COMMIT had given out ends with its lease: see the random walk.
FAULTS = [
    (point, error, times)
    for point in Point
    for error, times in ((unavailable, 1), (unavailable, 3), (Bug, 1), (Killed, 1))
    if (point, error) != (Point.AFTER_COMMIT, Killed)
]
# The whole table takes minutes: by default each number is tried with one of its kinds in turn.
THOROUGH = "THOROUGH" in os.environ


@pytest.mark.timeout(3600 if THOROUGH else 600)
@pytest.mark.parametrize("point", Point, ids=lambda point: point.name.lower())
@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_a_scene_comes_to_the_same_wherever_it_is_broken(
    fresh_database: Callable[[], str], scene: Callable[[Caller], None], point: Point
) -> None:
    faults = [(error, times) for kind, error, times in FAULTS if kind is point]
    url = fresh_database()
    # At a server, which takes several times as long, every fifth: the statements are the same.
    step = 1 if THOROUGH or url.startswith("sqlite") else 5
    _, expected = played(scene, url, Breaker(point, 1_000_000, Bug))
    for number in count(1, step):
        kinds = faults if THOROUGH else [faults[number % len(faults)]]
        results = [played(scene, fresh_database(), Breaker(point, number, error, times)) for error, times in kinds]
        for (error, times), (broken, found) in zip(kinds, results, strict=True):
            assert found == expected, f"{times} × {error.__name__} at {point.name} {number}, {broken}"
        if not any(broken for broken, _ in results):
            break
    assert number > 1


@pytest.mark.parametrize("error", [unavailable, Bug])
@pytest.mark.parametrize("point", Point, ids=lambda point: point.name.lower())
def test_log_lines_are_not_doubled_by_a_replay(
    wheel: HandWheel, point: Point, error: Callable[[], BaseException]
) -> None:
    wheel.task()
    run, other = wheel.started(), wheel.started()
    line = LogLine(None, 2, 1, "hello")
    for number in range(1, 8):
        with Breaker(point, number, error) as breaker:
            breaker.watch(wheel.store)
            batches = [(lease_of(run), [line]), (lease_of(other), [line]), (lease_of(run), [line, line])]
            tickets = [wheel.send(AppendLogs(batches=batches)) for _ in range(2)]
            wheel.turn()
        assert [ticket.result() for ticket in tickets] == [[True] * 3] * 2
        assert [wheel.get(lease).log_count for lease in (run, other)] == [6 * number, 2 * number]
