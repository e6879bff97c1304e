"""Leases: renewed or ended, never rescued by age; every word of a worker is fenced by (run, attempt, token)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from taskwheel_server.clock import SECOND
from taskwheel_server.model.run import RunError
from taskwheel_server.model.state import State
from taskwheel_server.retry import FixedDelays, RetryPolicy
from taskwheel_server.wheel.commands import (
    AppendLogs,
    CompleteRuns,
    Lease,
    LogLine,
    ReleaseRuns,
    Renewal,
    Renewed,
    RenewLeases,
    Result,
)
from tests.wheel.handwheel import LEASE, START, HandWheel, lease_of

AT_ONCE = FixedDelays((0,))
LINE = LogLine(None, 2, 1, "hello")


def test_a_lease_is_renewed_from_the_moment_it_is_asked(wheel: HandWheel) -> None:
    wheel.task()
    run = wheel.started()
    for _ in range(10):
        wheel.clock.advance(LEASE // 3)
        assert wheel.renew(run) == Renewed(wheel.now + LEASE)
        wheel.settle()
    assert wheel.state(run) is State.RUNNING


def test_a_lease_that_is_not_renewed_ends_on_time(wheel: HandWheel) -> None:
    wheel.task()
    worker = wheel.worker()
    wheel.run()
    run = worker.take_one()
    wheel.advance(LEASE - 1)
    assert wheel.state(run) is State.RUNNING
    wheel.advance(1)
    assert wheel.state(run) is State.FAILED
    # Its worker is told to stop, and its credit is free again.
    assert [(stop.uid, stop.lost) for stop in worker.stops] == [(run.uid, True)]
    assert not worker.session.held


def test_a_renewal_carries_progress_and_keeps_what_it_does_not_name(wheel: HandWheel) -> None:
    wheel.task()
    run = wheel.started()
    wheel.call(RenewLeases(renewals=[Renewal(lease_of(run), 0.5, "half")]))
    assert (wheel.get(run).progress_ratio, wheel.get(run).progress_message) == (0.5, "half")
    wheel.renew(run)
    assert (wheel.get(run).progress_ratio, wheel.get(run).progress_message) == (0.5, "half")


def test_a_renewal_does_not_outlast_the_run_timeout(wheel: HandWheel) -> None:
    wheel.task(run_timeout=LEASE + SECOND)
    run = wheel.started()
    wheel.advance(LEASE - SECOND)
    wheel.renew(run)
    wheel.advance(2 * SECOND)
    assert wheel.get(run).error_name == "runTimeout"


def hand_back(wheel: HandWheel, lease: Lease) -> None:
    wheel.call(ReleaseRuns(leases=[lease]))


def writes(wheel: HandWheel, lease: Lease) -> list[object]:
    """Return the answers to all that a worker can write with a lease."""
    return [
        wheel.call(CompleteRuns(results=[Result(lease, result=b"late")])),
        wheel.call(CompleteRuns(results=[Result(lease, error=RunError("", "Late", ""))])),
        wheel.call(CompleteRuns(results=[Result(lease, cancelled=True)])),
        wheel.call(RenewLeases(renewals=[Renewal(lease, 0.9, "late")])),
        wheel.call(AppendLogs(batches=[(lease, [LINE])])),
        wheel.call(ReleaseRuns(leases=[lease])),
    ]


LOST: list[object] = [[False], [False], [False], [Renewed(None)], [False], [False]]


@pytest.mark.parametrize(
    "alter",
    [
        lambda lease: lease._replace(token="other"),
        lambda lease: lease._replace(token=""),
        lambda lease: lease._replace(attempt=2),
        lambda lease: lease._replace(uid="00000000-0000-7000-8000-000000000000"),
    ],
)
def test_nothing_is_written_with_the_wrong_lease(wheel: HandWheel, alter: Callable[[Lease], Lease]) -> None:
    wheel.task()
    run = wheel.started()
    assert writes(wheel, alter(lease_of(run))) == LOST
    assert wheel.get(run) == run


def test_nothing_is_written_with_a_lease_that_has_just_ended(wheel: HandWheel) -> None:
    wheel.task()
    run = wheel.started()
    wheel.clock.advance(LEASE)
    # The result comes in the very turn that would end the lease: it is late all the same.
    assert not wheel.succeed(run)
    assert wheel.get(run).error_name == "zombieTaskCleaned"
    assert writes(wheel, lease_of(run)) == LOST


def test_nothing_is_written_with_the_lease_of_an_attempt_that_was_retried(wheel: HandWheel) -> None:
    wheel.task(retry=RetryPolicy(2, AT_ONCE, retry_on_lost=True))
    lost = wheel.started()
    wheel.advance(LEASE)
    again = wheel.claim_one()
    assert writes(wheel, lease_of(lost)) == LOST
    assert wheel.state(again) is State.RUNNING
    assert wheel.succeed(again)


def test_a_result_that_was_accepted_is_accepted_again_and_changes_nothing(wheel: HandWheel) -> None:
    wheel.task()
    run = wheel.started()
    assert wheel.succeed(run, b"first")
    ended = wheel.get(run)
    assert wheel.succeed(run, b"second")
    assert wheel.get(run) == ended
    assert wheel.events(run)[-1] == "run_succeeded"


def test_one_result_twice_in_a_batch_is_accepted_twice_and_settled_once(wheel: HandWheel) -> None:
    wheel.task()
    run = wheel.started()
    assert wheel.complete(Result(lease_of(run), result=b"1"), Result(lease_of(run), result=b"2")) == [True, True]
    assert wheel.get(run).result == b"1"


def test_results_are_acknowledged_one_by_one(wheel: HandWheel) -> None:
    wheel.task()
    good, bad = wheel.started(), wheel.started()
    stale = lease_of(bad)._replace(token="other")
    assert wheel.complete(Result(stale), Result(lease_of(good))) == [False, True]
    assert wheel.states() == ["SUCCEEDED", "RUNNING"]


def test_the_words_of_one_turn_are_heard_in_the_order_that_loses_least(wheel: HandWheel) -> None:
    # A worker sends its last lines and its renewal just before the result; all three meet in one turn.
    wheel.task()
    run = wheel.started()
    lines = wheel.send(AppendLogs(batches=[(lease_of(run), [LINE])]))
    wheel.send(RenewLeases(renewals=[Renewal(lease_of(run), 1.0, "done")]))
    result = wheel.send(CompleteRuns(results=[Result(lease_of(run), result=b"ok")]))
    wheel.turn()
    assert (lines.result(), result.result()) == ([True], [True])
    assert wheel.get(run).log_count == 1


# Hand-back.


def test_a_run_handed_back_is_pending_again_the_same_attempt_with_a_new_token(wheel: HandWheel) -> None:
    wheel.task()
    run = wheel.started()
    hand_back(wheel, lease_of(run))
    back = wheel.get(run)
    assert (back.state, back.state_reason, back.attempt) == (State.READY, "HANDED_BACK", 1)
    again = wheel.claim_one()
    assert (again.uid, again.attempt) == (run.uid, 1)
    assert again.lease_token != run.lease_token
    assert writes(wheel, lease_of(run)) == LOST
    assert wheel.succeed(again)
    assert wheel.events(run) == ["run_pending", "run_started", "run_pending", "run_started", "run_succeeded"]


def test_a_run_handed_back_frees_its_workers_credit_in_the_same_turn(wheel: HandWheel) -> None:
    wheel.task()
    worker = wheel.worker(1)
    wheel.run_many(2)
    first = worker.take_one()
    hand_back(wheel, lease_of(first))
    assert worker.take_one().uid == first.uid


def test_a_run_handed_back_while_it_is_to_be_cancelled_is_cancelled(wheel: HandWheel) -> None:
    wheel.task()
    run = wheel.started()
    wheel.cancel(run)
    hand_back(wheel, lease_of(run))
    assert wheel.state(run) is State.CANCELLED
    # What its worker still sends is not taken for the word that ended it.
    assert writes(wheel, lease_of(run)) == LOST


def test_a_lease_handed_back_twice_in_a_turn_is_handed_back_once(wheel: HandWheel) -> None:
    wheel.task(max_concurrent_runs=2)
    run = wheel.started()
    wheel.call(ReleaseRuns(leases=[lease_of(run), lease_of(run)]))
    assert wheel.events(run) == ["run_pending", "run_started", "run_pending"]
    assert wheel.get_task().running == 0


def test_a_result_and_a_hand_back_in_one_turn_count_the_result(wheel: HandWheel) -> None:
    wheel.task()
    run = wheel.started()
    wheel.send(ReleaseRuns(leases=[lease_of(run)]))
    assert wheel.succeed(run)


# Cancel.


def test_a_pending_run_is_cancelled_for_certain(wheel: HandWheel) -> None:
    wheel.task()
    ready, waiting = wheel.run(), wheel.run(schedule_time=START + SECOND)
    for run in (ready, waiting):
        assert wheel.cancel(run, pending_only=True).state is State.CANCELLED
        assert wheel.get(run).state_reason == "CANCEL_REQUESTED"
    wheel.advance(SECOND)
    assert wheel.claim() == []


@pytest.mark.parametrize(
    ("report", "fate"),
    [
        # A result that arrives first stands.
        (Result(Lease("", 0, ""), result=b"r"), State.SUCCEEDED),
        (Result(Lease("", 0, ""), error=RunError("", "Boom", "")), State.CANCELLED),
        (Result(Lease("", 0, ""), cancelled=True), State.CANCELLED),
    ],
)
def test_a_running_run_is_cancelling_until_its_worker_reports(wheel: HandWheel, report: Result, fate: State) -> None:
    wheel.task(retry=RetryPolicy(3, AT_ONCE, retry_on_lost=True))
    worker = wheel.worker()
    wheel.run()
    run = worker.take_one()
    assert wheel.cancel(run, "not needed").state is State.CANCELLING
    assert [(stop.uid, stop.lost) for stop in worker.stops] == [(run.uid, False)]
    assert wheel.complete(report._replace(lease=lease_of(run))) == [True]
    assert wheel.state(run) is fate
    assert fate is not State.CANCELLED or wheel.get(run).state_reason == "not needed"
    # A cancelled run is never retried.
    assert len(wheel.runs()) == 1


def test_a_cancelled_run_ends_with_its_lease(wheel: HandWheel) -> None:
    wheel.task(retry=RetryPolicy(3, AT_ONCE, retry_on_lost=True))
    run = wheel.started()
    wheel.cancel(run)
    wheel.advance(LEASE)
    assert wheel.states() == ["CANCELLED"]
    assert wheel.events(run) == ["run_pending", "run_started", "run_cancelling", "run_cancelled"]


def test_a_cancelled_run_is_not_renewed_past_sixty_seconds(wheel: HandWheel) -> None:
    wheel.task()
    run = wheel.started()
    wheel.advance(10 * SECOND)
    wheel.cancel(run)
    ends = []
    for _ in range(4):
        wheel.advance(15 * SECOND)
        renewed = wheel.renew(run)
        assert renewed.cancel_requested == (renewed.expire_time is not None)
        ends.append(renewed.expire_time and (renewed.expire_time - START) // SECOND)
    # Cancelled at 10 s: no lease reaches beyond 70 s.
    assert ends == [55, 70, 70, None]
    assert wheel.state(run) is State.CANCELLED


def test_a_worker_that_reports_cancelled_unasked_ends_the_run_as_cancelled(wheel: HandWheel) -> None:
    wheel.task()
    run = wheel.started()
    assert wheel.stop(run)
    assert (wheel.state(run), wheel.get(run).state_reason) == (State.CANCELLED, "WORKER_CANCELLED")
