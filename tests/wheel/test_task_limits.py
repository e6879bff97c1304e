"""max_concurrent_runs: one counter a task, runs beyond it held, the best of them released first."""

from __future__ import annotations

import pytest

from taskwheel_server.clock import HOUR, SECOND
from taskwheel_server.errors import FailedPrecondition, NotFound
from taskwheel_server.model.names import RunRef
from taskwheel_server.model.state import State
from taskwheel_server.retry import FixedDelays, RetryPolicy
from taskwheel_server.wheel.commands import AdmitRuns, Attach, CancelRun, CompleteRuns, ReleaseRuns, Result, UpdateTask
from tests.wheel.handwheel import LEASE, START, HandWheel, lease_of, task_ref


def test_no_more_runs_start_than_the_limit_lets(wheel: HandWheel) -> None:
    wheel.task(max_concurrent_runs=2)
    worker = wheel.worker(10)
    wheel.run_many(5)
    assert len(worker.take()) == 2
    assert wheel.states() == ["RUNNING", "RUNNING", "HELD", "HELD", "HELD"]
    assert {run.state_reason for run in wheel.runs() if run.state is State.HELD} == {"CONCURRENCY_LIMIT"}


def test_an_ended_run_lets_the_next_one_start_in_the_same_turn(wheel: HandWheel) -> None:
    wheel.task(max_concurrent_runs=1)
    worker = wheel.worker(10)
    wheel.run_many(3)
    for _ in range(3):
        assert wheel.succeed(worker.take_one())
    assert wheel.states() == ["SUCCEEDED"] * 3


def test_held_runs_go_on_in_claim_order(wheel: HandWheel) -> None:
    wheel.task(max_concurrent_runs=1)
    worker = wheel.worker(10)
    wheel.run()
    low, high, middle = wheel.run(priority=1), wheel.run(priority=3), wheel.run(priority=2)
    order = []
    running = worker.take_one()
    for _ in range(3):
        wheel.succeed(running)
        running = worker.take_one()
        order.append(running.uid)
    assert order == [high.uid, middle.uid, low.uid]


def test_a_graver_run_that_arrives_with_the_free_place_goes_first(wheel: HandWheel) -> None:
    wheel.task(max_concurrent_runs=1)
    worker = wheel.worker(10)
    wheel.run()
    wheel.run(priority=1)
    graver = wheel.new_run(priority=2)
    running = worker.take_one()
    wheel.send(AdmitRuns(runs=[graver]))
    wheel.succeed(running)
    assert worker.take_one().uid == graver.uid
    assert sorted(wheel.states()) == ["HELD", "RUNNING", "SUCCEEDED"]


def test_a_limited_task_does_not_block_others_of_its_handler(wheel: HandWheel) -> None:
    wheel.task("limited", max_concurrent_runs=1)
    wheel.task("free")
    wheel.run_many(3, "limited", priority=9)
    wheel.run_many(2, "free")
    worker = wheel.worker(3)
    wheel.settle()
    assert sorted(run.task_id for run in worker.take()) == ["free", "free", "limited"]


@pytest.mark.parametrize("ready", [600, 1200])
def test_thousands_of_held_runs_are_passed_over(wheel: HandWheel, ready: int) -> None:
    wheel.task("limited", max_concurrent_runs=1)
    wheel.task("free")
    wheel.run_many(ready, "limited", priority=9)
    other = wheel.run("free")
    worker = wheel.worker(2)
    wheel.settle()
    assert {run.task_id for run in worker.take()} == {"free", "limited"}
    assert wheel.state(other) is State.RUNNING


@pytest.mark.parametrize(("limit", "started"), [(1, 0), (2, 0), (3, 1), (5, 3), (0, 4)])
def test_an_edited_limit_holds_at_once(wheel: HandWheel, limit: int, started: int) -> None:
    wheel.task(max_concurrent_runs=2)
    worker = wheel.worker(10)
    wheel.run_many(6)
    worker.take()
    wheel.update(max_concurrent_runs=limit)
    wheel.settle()
    assert len(worker.take()) == started
    assert wheel.get_task().running == (2 + started if limit else 2 + 0)


def test_a_limit_set_while_runs_are_running_counts_them(wheel: HandWheel) -> None:
    wheel.task()
    worker = wheel.worker(10)
    wheel.run_many(3)
    running = worker.take()
    wheel.update(max_concurrent_runs=2)
    wheel.run_many(2)
    assert worker.take() == []
    wheel.succeed(running[0])
    assert worker.take() == []
    wheel.succeed(running[1])
    assert len(worker.take()) == 1


def test_a_limit_that_is_set_in_the_turn_that_would_start_runs_holds(wheel: HandWheel) -> None:
    wheel.task()
    worker = wheel.worker(3)
    wheel.run_many(9)
    first, *others = worker.take()
    ended = wheel.send(CompleteRuns(results=[Result(lease_of(run)) for run in (first, *others)]))
    wheel.send(UpdateTask(task=task_ref("t"), changes={"max_concurrent_runs": 2}))
    wheel.turn()
    wheel.settle()
    assert ended.result() == [True] * 3
    assert len(worker.take()) == 2


def test_a_new_run_does_not_start_before_those_that_were_not_looked_at(wheel: HandWheel) -> None:
    wheel.task("limited", max_concurrent_runs=1)
    wheel.task("free")
    wheel.run_many(3, "limited", priority=1)
    stored = [run.uid for run in wheel.run_many(2, "free")]
    worker = wheel.new_worker(2)
    wheel.send(Attach(session=worker.session))
    wheel.send(AdmitRuns(runs=[wheel.new_run("free", priority=-1)]))
    wheel.turn()
    assert [run.uid for run in worker.take() if run.task_id == "free"] == stored[:1]


def test_a_limit_taken_off_and_set_again_counts_anew(wheel: HandWheel) -> None:
    wheel.task(max_concurrent_runs=1)
    worker = wheel.worker(10)
    wheel.run_many(3)
    wheel.update(max_concurrent_runs=0)
    wheel.settle()
    assert len(worker.take()) == 3
    wheel.update(max_concurrent_runs=3)
    assert wheel.get_task().running == 3
    wheel.run()
    assert worker.take() == []


def test_a_limit_and_an_end_in_one_turn_count_right(wheel: HandWheel) -> None:
    wheel.task()
    first, second = wheel.started(), wheel.started()
    wheel.send(UpdateTask(task=task_ref("t"), changes={"max_concurrent_runs": 1}))
    wheel.send(CompleteRuns(results=[Result(lease_of(first))]))
    wheel.send(ReleaseRuns(leases=[lease_of(second)]))
    wheel.turn()
    assert wheel.get_task().running == 0


@pytest.mark.parametrize("ending", ["succeed", "fail", "stop", "cancel", "lose", "hand_back"])
def test_every_way_to_leave_a_worker_gives_the_place_back(wheel: HandWheel, ending: str) -> None:
    wheel.task(max_concurrent_runs=1)
    worker = wheel.worker(10)
    wheel.run_many(2)
    run = worker.take_one()
    match ending:
        case "cancel":
            wheel.cancel(run)
            assert worker.take() == []
            wheel.stop(run)
        case "lose":
            wheel.advance(LEASE)
        case "hand_back":
            wheel.call(ReleaseRuns(leases=[lease_of(run)]))
        case _:
            getattr(wheel, ending)(run)
    assert wheel.get_task().running == 1
    assert len(worker.take()) == 1


def test_held_runs_can_be_cancelled_and_can_run_out_of_time(wheel: HandWheel) -> None:
    wheel.task(max_concurrent_runs=1, start_deadline=10 * SECOND)
    wheel.started()
    first, second = wheel.run(), wheel.run()
    assert wheel.cancel(first).state is State.CANCELLED
    wheel.advance(10 * SECOND)
    assert wheel.get(second).error_name == "startDeadlineExceeded"


def test_a_ready_run_that_goes_lets_another_held_one_go_on(wheel: HandWheel) -> None:
    wheel.task(max_concurrent_runs=1)
    running = wheel.started()
    wheel.run_many(2)
    wheel.succeed(running)
    # One of the two is ready now, the other still held.
    [ready] = [run for run in wheel.runs() if run.state is State.READY]
    wheel.cancel(ready)
    assert sorted(wheel.states()) == ["CANCELLED", "READY", "SUCCEEDED"]


def test_held_runs_go_on_after_a_restart(wheel: HandWheel) -> None:
    wheel.task(max_concurrent_runs=1)
    running = wheel.started()
    wheel.run_many(2)
    wheel.restart()
    assert wheel.succeed(running)
    assert wheel.claim_one().task_id == "t"


def test_runs_whose_time_comes_meet_the_limit(wheel: HandWheel) -> None:
    wheel.task(max_concurrent_runs=1)
    worker = wheel.worker(10)
    for _ in range(3):
        wheel.run(schedule_time=START + SECOND)
    wheel.advance(SECOND)
    assert len(worker.take()) == 1
    wheel.advance(SECOND)
    assert wheel.states() == ["RUNNING", "HELD", "HELD"]


def test_a_retry_that_waits_takes_up_no_place(wheel: HandWheel) -> None:
    wheel.task(max_concurrent_runs=1, retry=RetryPolicy(2, FixedDelays((HOUR,))))
    worker = wheel.worker(10)
    wheel.run_many(2)
    wheel.fail(worker.take_one())
    assert worker.take_one().attempt == 1


# Cancelling, beyond what the leases say.


def test_cancelling_twice_changes_nothing(wheel: HandWheel) -> None:
    wheel.task()
    pending, running = wheel.run(schedule_time=START + HOUR), wheel.started()
    for run in (pending, running):
        first = wheel.cancel(run, "one")
        assert wheel.cancel(run, "two") == first
    assert wheel.events(running) == ["run_pending", "run_started", "run_cancelling"]


def test_pending_only_spares_a_started_run(wheel: HandWheel) -> None:
    wheel.task()
    run = wheel.started()
    with pytest.raises(FailedPrecondition) as refused:
        wheel.cancel(run, pending_only=True)
    assert refused.value.reason == "RUN_STARTED"
    assert wheel.state(run) is State.RUNNING


@pytest.mark.parametrize("ending", ["succeed", "fail"])
def test_a_run_that_has_ended_cannot_be_cancelled(wheel: HandWheel, ending: str) -> None:
    wheel.task()
    run = wheel.started()
    getattr(wheel, ending)(run)
    with pytest.raises(FailedPrecondition) as refused:
        wheel.cancel(run)
    assert refused.value.reason == "RUN_DONE"


def test_a_result_and_a_cancellation_in_one_turn_count_the_result(wheel: HandWheel) -> None:
    wheel.task()
    run = wheel.started()
    cancelled = wheel.send(CancelRun(run=RunRef("default", run.uid)))
    assert wheel.succeed(run)
    assert isinstance(cancelled.exception(), FailedPrecondition)
    assert wheel.state(run) is State.SUCCEEDED


@pytest.mark.parametrize(
    ("ref", "reason"),
    [
        # Minted before the oldest instant kept.
        (RunRef("default", "00000000-0001-7000-8000-000000000000"), "RUN_EXPIRED"),
        (RunRef("default", "01a3185c-5000-7000-8000-000000000000"), "RUN_NOT_FOUND"),
        # No UUIDv7: says nothing of its time.
        (RunRef("default", "00000000-0001-4000-8000-000000000000"), "RUN_NOT_FOUND"),
    ],
)
def test_a_run_that_is_not_there_cannot_be_cancelled(wheel: HandWheel, ref: RunRef, reason: str) -> None:
    with pytest.raises(NotFound) as missing:
        wheel.call(CancelRun(run=ref))
    assert missing.value.reason == reason
