"""Backfill: slots of the past, each once per backfill, under an overlap policy of its own."""

from __future__ import annotations

from typing import Any

import pytest

from taskwheel_server.clock import HOUR
from taskwheel_server.errors import AlreadyExists, NotFound
from taskwheel_server.model.run import Run
from taskwheel_server.model.state import OverlapPolicy, State, Trigger
from taskwheel_server.schedule import Schedule
from taskwheel_server.wheel.commands import AdmitSlots
from tests.wheel.handwheel import START, HandWheel, task_ref

HOURLY = [Schedule(interval=HOUR, jitter=HOUR // 2)]


def slots(count: int) -> list[int]:
    return [START - hours * HOUR for hours in range(count, 0, -1)]


def command(wheel: HandWheel, instants: list[int], **fields: Any) -> AdmitSlots:
    return AdmitSlots(
        **{
            "task": task_ref("t"),
            "uids": [wheel.wheel.minter.mint() for _ in instants],
            "slots": instants,
            "backfill": "b",
            "overlap_policy": None,
            "request_digest": b"1",
            **fields,
        }
    )


def backfill(wheel: HandWheel, instants: list[int], **fields: Any) -> list[Run]:
    started: list[Run] = wheel.call(command(wheel, instants, **fields))
    return started


def test_each_slot_of_a_backfill_is_a_run(wheel: HandWheel) -> None:
    wheel.task(schedules=HOURLY, payload=b"p", priority=2, creator_user="owner")
    started = backfill(wheel, slots(3), creator_user="ann")
    assert [run.scheduled_time for run in started] == slots(3)
    assert {run.trigger for run in started} == {Trigger.BACKFILL}
    # Whoever asked is the creator; the jitter that spreads load in time has no use in the past.
    assert {(run.payload, run.priority, run.creator_user) for run in started} == {(b"p", 2, "ann")}
    assert [run.schedule_time for run in started] == slots(3)
    assert [run.scheduled_time for run in wheel.claim(3)] == slots(3)


def test_a_repeated_backfill_answers_the_same_runs_as_they_are_now(wheel: HandWheel) -> None:
    wheel.task(schedules=HOURLY)
    first = backfill(wheel, slots(3))
    wheel.succeed(wheel.claim_one())
    again = backfill(wheel, slots(3))
    assert [run.uid for run in again] == [run.uid for run in first]
    assert [run.state for run in again] == [State.SUCCEEDED, State.READY, State.READY]
    assert len(wheel.runs()) == 3


def test_a_backfill_broken_off_is_completed_by_its_repetition(wheel: HandWheel) -> None:
    wheel.task(schedules=HOURLY)
    part = backfill(wheel, slots(5)[:2])
    wheel.restart()
    whole = backfill(wheel, slots(5))
    assert [run.uid for run in whole[:2]] == [run.uid for run in part]
    assert len(wheel.runs()) == 5


def test_a_backfills_id_stands_for_one_request(wheel: HandWheel) -> None:
    wheel.task(schedules=HOURLY)
    backfill(wheel, slots(3))
    with pytest.raises(AlreadyExists) as reused:
        backfill(wheel, slots(2), request_digest=b"2")
    assert reused.value.reason == "REQUEST_ID_REUSED"


def test_another_backfill_may_run_the_same_slots(wheel: HandWheel) -> None:
    wheel.task(schedules=HOURLY)
    backfill(wheel, slots(2))
    backfill(wheel, slots(2), backfill="c")
    assert len(wheel.runs()) == 4


def test_a_backfill_may_run_a_slot_that_the_schedule_has_run(wheel: HandWheel) -> None:
    wheel.task(schedules=[Schedule(interval=HOUR)])
    wheel.advance(HOUR)
    backfill(wheel, [START + HOUR])
    assert [trigger for _, trigger, _ in wheel.slots()] == ["SCHEDULE", "BACKFILL"]


@pytest.mark.parametrize(
    ("task", "asked", "states"),
    [
        (OverlapPolicy.ALLOW, None, ["READY"] * 3),
        (OverlapPolicy.SKIP, None, ["READY", "SKIPPED", "SKIPPED"]),
        # The request's policy goes before the task's.
        (OverlapPolicy.SKIP, OverlapPolicy.ALLOW, ["READY"] * 3),
        (OverlapPolicy.ALLOW, OverlapPolicy.QUEUE_ONE, ["READY", "HELD", "SKIPPED"]),
        (OverlapPolicy.ALLOW, OverlapPolicy.CANCEL_RUNNING, ["SKIPPED", "SKIPPED", "READY"]),
    ],
)
def test_slots_of_a_backfill_overlap_one_another(
    wheel: HandWheel, task: OverlapPolicy, asked: OverlapPolicy | None, states: list[str]
) -> None:
    wheel.task(schedules=HOURLY, overlap_policy=task, start_deadline=HOUR)
    started = backfill(wheel, slots(3), overlap_policy=asked)
    assert [run.state.name for run in started] == states
    assert [wheel.get(run).state.name for run in started] == states


def test_the_slices_of_a_backfill_overlap_as_one(wheel: HandWheel) -> None:
    wheel.task(schedules=HOURLY, overlap_policy=OverlapPolicy.QUEUE_ONE)
    first = wheel.send(command(wheel, slots(4)[:2]))
    second = wheel.send(command(wheel, slots(4)[2:]))
    wheel.turn()
    states = [run.state.name for ticket in (first, second) for run in ticket.result()]
    assert states == ["READY", "HELD", "SKIPPED", "SKIPPED"]


def test_a_backfill_meets_the_limit_of_its_task(wheel: HandWheel) -> None:
    wheel.task(schedules=HOURLY, max_concurrent_runs=1)
    worker = wheel.worker(10)
    backfill(wheel, slots(3))
    for slot in slots(3):
        run = worker.take_one()
        assert run.scheduled_time == slot
        wheel.succeed(run)


def test_a_backfill_of_a_missing_task_is_refused_alone(wheel: HandWheel) -> None:
    wheel.task(schedules=HOURLY)
    good = wheel.send(command(wheel, slots(1)))
    with pytest.raises(NotFound):
        backfill(wheel, slots(1), task=task_ref("missing"))
    assert len(good.result()) == 1


def test_a_paused_task_can_be_backfilled(wheel: HandWheel) -> None:
    wheel.task(schedules=HOURLY, paused=True)
    assert [run.state for run in backfill(wheel, slots(2))] == [State.READY] * 2
