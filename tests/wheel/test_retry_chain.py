"""Retries: each failed attempt and the next are linked rows of one transaction."""

from __future__ import annotations

import json

import pytest

from taskwheel_server.clock import DAY, HOUR, SECOND
from taskwheel_server.db.dialect import execute
from taskwheel_server.model.run import Run, RunError
from taskwheel_server.model.state import State, Trigger
from taskwheel_server.retry import ExponentialBackoff, FixedDelays, RetryPolicy
from taskwheel_server.schedule import Schedule
from taskwheel_server.wheel.commands import AdmitRuns, CompleteRuns, DeleteTask, Result
from tests.wheel.handwheel import LEASE, START, HandWheel, lease_of, task_ref

AT_ONCE = FixedDelays((0,))


def attempts(wheel: HandWheel, policy: RetryPolicy, limit: int = 12) -> list[int]:
    """Fail every attempt of a run at once and return the delays of those that follow the first, in s."""
    wheel.task(retry=policy)
    run = wheel.started()
    delays: list[int] = []
    while wheel.fail(run) and len(delays) < limit:
        run = wheel.get(run)
        if run.retried_by_run is None:
            break
        again = wheel.get(run.retried_by_run)
        delays.append((again.schedule_time - wheel.now) // SECOND)
        wheel.advance(again.schedule_time - wheel.now)
        run = wheel.claim_one()
    return delays


def test_a_chain_of_attempts_names_all_its_links(wheel: HandWheel) -> None:
    wheel.task(retry=RetryPolicy(max_attempts=3, backoff=AT_ONCE), payload=b"p", priority=3, tags='["a"]')
    first = wheel.started(labels={"k": "v"}, request_id="r", creator_user="ann")
    wheel.fail(first)
    second = wheel.claim_one()
    wheel.fail(second)
    third = wheel.claim_one()
    wheel.succeed(third)
    chain = [wheel.get(run) for run in (first, second, third)]
    assert [run.state for run in chain] == [State.RETRIED, State.RETRIED, State.SUCCEEDED]
    assert [run.attempt for run in chain] == [1, 2, 3]
    assert [run.retried_by_run for run in chain] == [second.uid, third.uid, None]
    assert [run.root_run for run in chain] == [None, first.uid, first.uid]
    assert json.loads(chain[2].retry_for_runs) == [first.uid, second.uid]
    assert {run.payload for run in chain} == {b"p"}
    assert {run.priority for run in chain} == {3}
    assert {run.tags for run in chain} == {'["a"]'}
    assert {run.labels for run in chain} == {'{"k": "v"}'}
    assert {run.creator_user for run in chain} == {"ann"}
    assert [run.trigger for run in chain] == [Trigger.MANUAL, Trigger.RETRY, Trigger.RETRY]
    # The request id stays with the run that it admitted.
    assert [run.request_id for run in chain] == ["r", None, None]


def test_an_attempt_keeps_its_slot(wheel: HandWheel) -> None:
    wheel.task(schedules=[Schedule(interval=60 * SECOND)], retry=RetryPolicy(max_attempts=2, backoff=AT_ONCE))
    wheel.advance(60 * SECOND)
    wheel.fail(wheel.claim_one())
    assert wheel.claim_one().scheduled_time == START + 60 * SECOND


def test_a_failure_that_is_retried_is_told_as_such(wheel: HandWheel) -> None:
    wheel.task(retry=RetryPolicy(max_attempts=2, backoff=AT_ONCE))
    run = wheel.started()
    wheel.fail(run)
    last = wheel.claim_one()
    wheel.fail(last)
    assert wheel.events(run) == ["run_pending", "run_started", "run_retried"]
    # task_failed comes once for the whole chain, with the attempt that was the last.
    assert wheel.events(last) == ["run_pending", "run_started", "run_failed", "task_failed"]
    assert wheel.events().count("task_failed") == 1


def test_the_error_is_kept_on_the_attempt_that_met_it(wheel: HandWheel) -> None:
    wheel.task(retry=RetryPolicy(max_attempts=2, backoff=AT_ONCE))
    run = wheel.started()
    wheel.complete(Result(lease_of(run), error=RunError("type", "Name", "message", "stack")))
    failed = wheel.get(run)
    error = (failed.error_type, failed.error_name, failed.error_message, failed.error_stack)
    assert error == ("type", "Name", "message", "stack")
    assert wheel.claim_one().error_name is None


@pytest.mark.parametrize(
    ("policy", "delays"),
    [
        # The default is one attempt.
        (RetryPolicy(), []),
        (RetryPolicy(max_attempts=2), [1]),
        # 1 s × 2.
        (RetryPolicy(max_attempts=5), [1, 2, 4, 8]),
        # Document 003.
        (RetryPolicy(4, FixedDelays((2 * SECOND, 5 * SECOND, 10 * SECOND))), [2, 5, 10]),
        # Past the list the last delay repeats.
        (RetryPolicy(5, FixedDelays((SECOND, 3 * SECOND))), [1, 3, 3, 3]),
        (RetryPolicy(3, ExponentialBackoff(2 * SECOND, 3.0, DAY)), [2, 6]),
        (RetryPolicy(4, ExponentialBackoff(SECOND, 10.0, 5 * SECOND)), [1, 5, 5]),
        (RetryPolicy(3, AT_ONCE), [0, 0]),
        # Names that were not met.
        (RetryPolicy(3, AT_ONCE, retryable_error_names=("Other",)), []),
        (RetryPolicy(3, AT_ONCE, retryable_error_names=("Boom",)), [0, 0]),
        (RetryPolicy(3, AT_ONCE, non_retryable_error_names=("Boom",)), []),
        (RetryPolicy(3, AT_ONCE, non_retryable_error_names=("Other",)), [0, 0]),
    ],
)
def test_how_often_and_how_far_apart_a_run_is_attempted(
    wheel: HandWheel, policy: RetryPolicy, delays: list[int]
) -> None:
    assert attempts(wheel, policy) == delays


def test_jitter_takes_away_at_most_its_ratio(wheel: HandWheel) -> None:
    wheel.task(retry=RetryPolicy(2, FixedDelays((100 * SECOND,)), jitter_ratio=0.5))
    wheel.run_many(20)
    runs = wheel.claim(20)
    wheel.complete(*(Result(lease_of(run), error=RunError("", "Boom", "")) for run in runs))
    delays = [run.schedule_time - START for run in wheel.runs() if run.attempt == 2]
    assert all(50 * SECOND <= delay <= 100 * SECOND for delay in delays)
    assert len(set(delays)) > 1


def test_a_hundred_attempts_make_a_chain_of_a_hundred(wheel: HandWheel) -> None:
    wheel.task(retry=RetryPolicy(100, AT_ONCE))
    worker = wheel.worker(1)
    wheel.run()
    for _ in range(100):
        wheel.fail(worker.take_one())
    assert wheel.states() == ["RETRIED"] * 99 + ["FAILED"]


def test_the_policy_is_that_of_the_admission(wheel: HandWheel) -> None:
    wheel.task(retry=RetryPolicy(3, AT_ONCE))
    run = wheel.started()
    wheel.update(retry_policy="")
    wheel.fail(run)
    wheel.fail(wheel.claim_one())
    assert wheel.states() == ["RETRIED", "RETRIED", "READY"]


@pytest.mark.parametrize(
    ("policy", "fate"),
    [
        (RetryPolicy(), ["FAILED"]),
        # A lost lease is no error of the handler: only retry_on_lost asks for another attempt.
        (RetryPolicy(3, AT_ONCE), ["FAILED"]),
        (RetryPolicy(3, AT_ONCE, retry_on_lost=True), ["RETRIED", "READY"]),
        (RetryPolicy(1, AT_ONCE, retry_on_lost=True), ["FAILED"]),
    ],
)
def test_a_lost_lease_is_an_attempt_where_the_policy_says_so(
    wheel: HandWheel, policy: RetryPolicy, fate: list[str]
) -> None:
    wheel.task(retry=policy)
    run = wheel.started()
    wheel.advance(LEASE)
    assert wheel.states() == fate
    lost = wheel.get(run)
    assert (lost.error_type, lost.error_name) == ("system", "zombieTaskCleaned")
    assert lost.state_reason == "LEASE_LOST"


@pytest.mark.parametrize(
    ("policy", "fate"),
    [(RetryPolicy(), ["FAILED"]), (RetryPolicy(2, AT_ONCE), ["RETRIED", "READY"])],
)
def test_a_run_past_its_timeout_fails_and_may_be_retried(
    wheel: HandWheel, policy: RetryPolicy, fate: list[str]
) -> None:
    wheel.task(retry=policy, run_timeout=5 * SECOND)
    run = wheel.started()
    wheel.advance(5 * SECOND - 1)
    assert wheel.state(run) is State.RUNNING
    wheel.advance(1)
    assert wheel.states() == fate
    assert (wheel.get(run).error_type, wheel.get(run).error_name) == ("system", "runTimeout")
    # Its worker comes too late.
    assert not wheel.succeed(run)


def test_a_run_that_nobody_starts_in_time_fails_and_is_not_retried(wheel: HandWheel) -> None:
    wheel.task(retry=RetryPolicy(3, AT_ONCE), start_deadline=5 * SECOND)
    run = wheel.run()
    wheel.advance(5 * SECOND - 1)
    assert wheel.state(run) is State.READY
    wheel.advance(1)
    failed = wheel.get(run)
    assert (failed.state, failed.error_type, failed.error_name) == (State.FAILED, "system", "startDeadlineExceeded")
    assert wheel.events(run) == ["run_pending", "run_failed", "task_failed"]


def test_a_start_deadline_counts_from_the_time_a_run_is_due(wheel: HandWheel) -> None:
    wheel.task(start_deadline=5 * SECOND)
    later, late = wheel.run(schedule_time=START + HOUR), wheel.run(schedule_time=START - HOUR)
    wheel.advance(5 * SECOND)
    # One that was late from the start counts from its admission.
    assert wheel.state(late) is State.FAILED
    wheel.advance(HOUR - SECOND)
    assert wheel.state(later) is State.READY
    wheel.advance(SECOND)
    assert wheel.state(later) is State.FAILED


def test_a_run_whose_start_deadline_passed_while_the_server_was_down_is_not_started(wheel: HandWheel) -> None:
    wheel.task(start_deadline=5 * SECOND)
    run = wheel.run(schedule_time=START + SECOND)
    wheel.clock.advance(HOUR)
    assert wheel.claim() == []
    assert wheel.state(run) is State.FAILED


def test_a_retry_waits_its_own_start_deadline(wheel: HandWheel) -> None:
    wheel.task(retry=RetryPolicy(2, FixedDelays((HOUR,))), start_deadline=5 * SECOND)
    wheel.fail(wheel.started())
    wheel.advance(HOUR + SECOND)
    assert wheel.claim_one().attempt == 2


@pytest.mark.parametrize("ending", ["succeed", "stop"])
def test_only_failures_are_retried(wheel: HandWheel, ending: str) -> None:
    wheel.task(retry=RetryPolicy(3, AT_ONCE, retry_on_lost=True))
    run = wheel.started()
    assert getattr(wheel, ending)(run)
    assert len(wheel.runs()) == 1


def test_the_next_attempt_is_claimed_in_the_turn_that_made_it(wheel: HandWheel) -> None:
    wheel.task(retry=RetryPolicy(2, AT_ONCE))
    worker = wheel.worker(1)
    wheel.run()
    wheel.fail(worker.take_one())
    assert worker.take_one().attempt == 2


def test_failures_of_one_batch_each_get_their_own_next_attempt(wheel: HandWheel) -> None:
    wheel.task(retry=RetryPolicy(2, AT_ONCE))
    wheel.run_many(5)
    runs: list[Run] = wheel.claim(5)
    wheel.send(AdmitRuns(runs=[wheel.new_run()]))
    wheel.call(CompleteRuns(results=[Result(lease_of(run), error=RunError("", "Boom", "")) for run in runs]))
    assert sorted(wheel.states()) == sorted(["RETRIED"] * 5 + ["READY"] * 6)


def test_a_deleted_tasks_failures_are_not_retried(wheel: HandWheel) -> None:
    wheel.task(retry=RetryPolicy(3, AT_ONCE))
    first, second = wheel.started(), wheel.started()
    wheel.call(DeleteTask(task=task_ref("t")))
    wheel.fail(first)
    wheel.settle()
    wheel.fail(second)
    assert [run.state for run in wheel.runs()] == [State.FAILED, State.FAILED]
    assert wheel.events().count("task_failed") == 2


def test_retries_wait_through_a_restart(wheel: HandWheel) -> None:
    wheel.task(retry=RetryPolicy(2, FixedDelays((10 * SECOND,))))
    wheel.fail(wheel.started())
    wheel.restart()
    wheel.advance(10 * SECOND)
    assert wheel.claim_one().attempt == 2


@pytest.mark.parametrize("stored", ["not JSON", "[]", "5", '{"colour": "blue"}', '{"exponential": 5}'])
def test_a_policy_that_cannot_be_read_ends_the_run_and_stops_nothing(wheel: HandWheel, stored: str) -> None:
    wheel.task()
    with wheel.store.write() as connection:
        execute(connection, "UPDATE tasks SET retry_policy = ?", stored)
    failed, lost = wheel.started(), wheel.started()
    wheel.run(schedule_time=START + LEASE)
    assert wheel.fail(failed)
    wheel.advance(LEASE)
    assert wheel.state(lost) is State.FAILED
    assert wheel.states() == ["FAILED", "FAILED", "READY"]
