"""Overlap: what a slot does when its task still has a run that is not done."""

from __future__ import annotations

from typing import Any

import pytest

from taskwheel_server.clock import HOUR, MINUTE, SECOND
from taskwheel_server.model.run import Run
from taskwheel_server.model.state import MisfireMode, OverlapPolicy, State
from taskwheel_server.retry import FixedDelays, RetryPolicy
from taskwheel_server.schedule import Schedule
from taskwheel_server.wheel.commands import AdmitSlots, CompleteRuns, Result
from taskwheel_server.wheel.turn import SLICE
from tests.wheel.handwheel import START, HandWheel, lease_of, task_ref

EVERY_MINUTE = [Schedule(interval=MINUTE)]


def kept_alive(wheel: HandWheel, run: Run, duration: int) -> None:
    """Let time pass while a worker renews its lease."""
    for _ in range(duration // (20 * SECOND)):
        wheel.clock.advance(20 * SECOND)
        wheel.renew(run)
        wheel.settle()


def task(wheel: HandWheel, policy: OverlapPolicy, **fields: Any) -> None:
    wheel.task(schedules=EVERY_MINUTE, overlap_policy=policy, **fields)


def clearing(wheel: HandWheel) -> AdmitSlots:
    """Return a backfill of one slot that stops all other runs."""
    return AdmitSlots(
        task=task_ref("t"),
        uids=[wheel.wheel.minter.mint()],
        slots=[START - MINUTE],
        backfill="b",
        overlap_policy=OverlapPolicy.CANCEL_RUNNING,
        request_digest=b"",
    )


@pytest.mark.parametrize(
    ("policy", "states"),
    [
        (OverlapPolicy.ALLOW, ["RUNNING", "READY", "READY", "READY"]),
        (OverlapPolicy.SKIP, ["RUNNING", "SKIPPED", "SKIPPED", "SKIPPED"]),
        (OverlapPolicy.QUEUE_ONE, ["RUNNING", "HELD", "SKIPPED", "SKIPPED"]),
        # A new slot takes the place of the one that waits.
        (OverlapPolicy.CANCEL_RUNNING, ["CANCELLING", "CANCELLED", "CANCELLED", "HELD"]),
    ],
)
def test_slots_that_meet_a_running_run(wheel: HandWheel, policy: OverlapPolicy, states: list[str]) -> None:
    task(wheel, policy)
    run = wheel.started()
    kept_alive(wheel, run, MINUTE)
    if policy is OverlapPolicy.CANCEL_RUNNING:
        # Its lease will not be renewed for ever: the slots follow one another within the grace.
        wheel.update(schedules='[{"interval": 10000000}]')
        for _ in range(2):
            wheel.clock.advance(10 * SECOND)
            wheel.renew(run)
            wheel.settle()
    else:
        kept_alive(wheel, run, 2 * MINUTE)
    assert wheel.states() == states


@pytest.mark.parametrize("policy", OverlapPolicy)
def test_run_task_is_never_skipped_nor_queued(wheel: HandWheel, policy: OverlapPolicy) -> None:
    task(wheel, policy)
    wheel.started()
    assert wheel.run().state is State.READY


@pytest.mark.parametrize("policy", [OverlapPolicy.SKIP, OverlapPolicy.QUEUE_ONE])
def test_a_manual_run_that_waits_counts_as_not_done(wheel: HandWheel, policy: OverlapPolicy) -> None:
    task(wheel, policy)
    wheel.run(schedule_time=START + HOUR)
    wheel.advance(MINUTE)
    assert wheel.slots() == [(60, "SCHEDULE", "SKIPPED" if policy is OverlapPolicy.SKIP else "HELD")]


def test_a_pending_retry_counts_as_not_done(wheel: HandWheel) -> None:
    task(wheel, OverlapPolicy.SKIP, retry=RetryPolicy(2, FixedDelays((HOUR,))))
    wheel.fail(wheel.started())
    wheel.advance(MINUTE)
    assert wheel.slots() == [(60, "SCHEDULE", "SKIPPED")]


def test_a_skipped_slot_says_why(wheel: HandWheel) -> None:
    task(wheel, OverlapPolicy.SKIP)
    kept_alive(wheel, wheel.started(), MINUTE)
    [skipped] = [run for run in wheel.runs() if run.state is State.SKIPPED]
    assert (skipped.state_reason, skipped.skipped_count) == ("OVERLAP_SKIPPED", 1)
    assert wheel.events(skipped) == ["run_skipped"]


def test_a_queued_run_goes_on_when_the_other_has_ended_in_the_same_turn(wheel: HandWheel) -> None:
    task(wheel, OverlapPolicy.QUEUE_ONE)
    worker = wheel.worker(10)
    wheel.run()
    run = worker.take_one()
    kept_alive(wheel, run, MINUTE)
    wheel.succeed(run)
    assert worker.take_one().scheduled_time == START + MINUTE


def test_a_queued_run_waits_for_the_retries_of_the_other(wheel: HandWheel) -> None:
    task(wheel, OverlapPolicy.QUEUE_ONE, retry=RetryPolicy(2, FixedDelays((MINUTE,))))
    worker = wheel.worker(10)
    wheel.run()
    run = worker.take_one()
    kept_alive(wheel, run, MINUTE)
    wheel.fail(run)
    assert worker.take() == []
    wheel.advance(MINUTE)
    again = worker.take_one()
    assert again.attempt == 2
    wheel.succeed(again)
    assert worker.take_one().scheduled_time == START + MINUTE


def test_a_slot_that_meets_the_end_of_the_other_run_does_not_overtake_the_queued_one(wheel: HandWheel) -> None:
    task(wheel, OverlapPolicy.QUEUE_ONE)
    worker = wheel.worker(10)
    wheel.run()
    run = worker.take_one()
    kept_alive(wheel, run, 2 * MINUTE - 20 * SECOND)
    wheel.clock.advance(20 * SECOND)
    wheel.call(CompleteRuns(results=[Result(lease_of(run))]))
    assert wheel.slots() == [(60, "SCHEDULE", "RUNNING"), (120, "SCHEDULE", "HELD")]


def test_cancel_running_starts_the_new_run_when_the_old_one_has_ended(wheel: HandWheel) -> None:
    task(wheel, OverlapPolicy.CANCEL_RUNNING)
    worker = wheel.worker(10)
    wheel.run()
    run = worker.take_one()
    kept_alive(wheel, run, MINUTE)
    assert wheel.get(run).state_reason == "OVERLAP_CANCELLED"
    assert [stop.uid for stop in worker.stops] == [run.uid]
    assert worker.take() == []
    wheel.stop(run)
    assert worker.take_one().scheduled_time == START + MINUTE


def test_cancel_running_cancels_what_waits_and_starts_at_once(wheel: HandWheel) -> None:
    task(wheel, OverlapPolicy.CANCEL_RUNNING, retry=RetryPolicy(2, FixedDelays((HOUR,))))
    wheel.fail(wheel.started())
    wheel.advance(MINUTE)
    assert wheel.states() == ["RETRIED", "CANCELLED", "READY"]


def test_cancel_running_takes_on_many_runs_in_slices_before_the_slot_starts(wheel: HandWheel) -> None:
    task(wheel, OverlapPolicy.CANCEL_RUNNING)
    wheel.run_many(2 * SLICE + 7)
    wheel.clock.advance(MINUTE - 10 * SECOND)
    wheel.settle()
    running = wheel.claim(3)
    wheel.clock.advance(10 * SECOND)
    stopped = []
    while wheel.wheel.busy:
        wheel.wheel.turn()
        states = wheel.states()
        stopped.append(states.count("CANCELLED") + states.count("CANCELLING"))
        assert ("HELD" in states) == (stopped[-1] == 2 * SLICE + 7)
    assert sorted(set(stopped)) == [SLICE, 2 * SLICE, 2 * SLICE + 7]
    assert wheel.slots() == [(60, "SCHEDULE", "HELD")]
    for run in running:
        assert wheel.stop(run)
    assert wheel.slots() == [(60, "SCHEDULE", "READY")]


def test_cancel_running_of_a_backfill_does_so_too_and_is_answered_at_the_end(wheel: HandWheel) -> None:
    task(wheel, OverlapPolicy.ALLOW)
    wheel.run_many(2 * SLICE + 7)
    ticket = wheel.send(clearing(wheel))
    cancelled = []
    while not ticket.done():
        wheel.wheel.turn()
        cancelled.append(wheel.states().count("CANCELLED"))
    assert cancelled == [SLICE, 2 * SLICE, 2 * SLICE + 7]
    assert [run.state for run in ticket.result()] == [State.READY]


def test_a_command_that_goes_on_in_later_turns_is_carried_out_before_the_wheel_stops(wheel: HandWheel) -> None:
    task(wheel, OverlapPolicy.ALLOW)
    wheel.run_many(SLICE)
    ticket = wheel.send(clearing(wheel))
    wheel.wheel.start()
    wheel.wheel.stop()
    assert [run.state for run in ticket.result()] == [State.READY]


def test_cancel_running_ends_with_the_lease_of_a_silent_worker(wheel: HandWheel) -> None:
    task(wheel, OverlapPolicy.CANCEL_RUNNING)
    run = wheel.started()
    kept_alive(wheel, run, MINUTE)
    wheel.advance(30 * SECOND)
    assert wheel.states() == ["CANCELLED", "READY"]


@pytest.mark.parametrize(
    ("policy", "states"),
    [
        (OverlapPolicy.ALLOW, ["READY", "READY", "READY"]),
        (OverlapPolicy.SKIP, ["READY", "SKIPPED", "SKIPPED"]),
        (OverlapPolicy.QUEUE_ONE, ["READY", "HELD", "SKIPPED"]),
        # The last of them wins; it was of no use to start the others.
        (OverlapPolicy.CANCEL_RUNNING, ["SKIPPED", "SKIPPED", "READY"]),
    ],
)
@pytest.mark.parametrize("start_deadline", [None, 10 * SECOND])
def test_slots_caught_up_in_one_turn_overlap_one_another(
    wheel: HandWheel, policy: OverlapPolicy, states: list[str], start_deadline: int | None
) -> None:
    task(wheel, policy, misfire_mode=MisfireMode.RUN_ALL, max_catchup_runs=2, start_deadline=start_deadline)
    wheel.advance(3 * MINUTE + 30 * SECOND)
    found = wheel.slots()
    # At 1 min it was missed for good, at 2 min it is caught up, at 3 min it is on time.
    assert [state for slot, _, state in found if slot > 0][-3:] == states
    assert [slot for slot, *_ in found] == [60, 120, 180]
    wheel.advance(10 * SECOND)


def test_overlap_of_a_limited_task_holds_and_then_meets_the_limit(wheel: HandWheel) -> None:
    task(wheel, OverlapPolicy.QUEUE_ONE, max_concurrent_runs=1)
    worker = wheel.worker(10)
    wheel.run_many(2)
    run = worker.take_one()
    kept_alive(wheel, run, MINUTE)
    assert wheel.states() == ["RUNNING", "HELD", "HELD"]
    wheel.succeed(run)
    second = worker.take_one()
    assert second.scheduled_time is None
    wheel.succeed(second)
    assert worker.take_one().scheduled_time == START + MINUTE


def test_a_queued_run_still_waits_out_its_jitter(wheel: HandWheel) -> None:
    wheel.task(schedules=[Schedule(interval=HOUR, jitter=HOUR)], overlap_policy=OverlapPolicy.QUEUE_ONE)
    run = wheel.started()
    kept_alive(wheel, run, HOUR)
    [held] = [other for other in wheel.runs() if other.scheduled_time is not None]
    assert held.state is State.HELD
    wheel.succeed(run)
    assert wheel.state(held) is State.WAITING
    wheel.advance(held.schedule_time - wheel.now)
    assert wheel.claim_one().uid == held.uid


def test_a_queued_run_can_run_out_of_time(wheel: HandWheel) -> None:
    task(wheel, OverlapPolicy.QUEUE_ONE, start_deadline=20 * SECOND)
    run = wheel.started()
    kept_alive(wheel, run, MINUTE + 20 * SECOND)
    assert [name for *_, name in wheel.slots()] == ["FAILED"]
