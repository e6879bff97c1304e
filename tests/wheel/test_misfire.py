"""Slots: when a task is due, what becomes of slots that were missed; no slot goes by without a row that says why."""

from __future__ import annotations

from typing import Any

import pytest

from taskwheel_server.clock import DAY, HOUR, MINUTE, SECOND
from taskwheel_server.db.dialect import execute
from taskwheel_server.model.run import Run
from taskwheel_server.model.state import MisfireMode, OverlapPolicy, State
from taskwheel_server.schedule import Schedule, load, slots_between
from taskwheel_server.wheel import slots
from taskwheel_server.wheel.commands import CreateTask
from tests.wheel.handwheel import START, HandWheel

EVERY_MINUTE = [Schedule(interval=MINUTE)]


def missed(wheel: HandWheel) -> tuple[int, int, int] | None:
    """Return (first slot, last slot, count) of the one SKIPPED run of missed slots, slots in minutes since START."""
    found = [run for run in wheel.runs() if run.state is State.SKIPPED]
    if not found:
        return None
    [run] = found
    assert run.state_reason == "MISSED"
    assert wheel.events(run) == ["run_skipped"]
    return minutes(run.first_scheduled_time), minutes(run.scheduled_time), run.skipped_count


def minutes(instant: int | None) -> int:
    assert instant is not None
    return (instant - START) // MINUTE


def started(wheel: HandWheel, trigger: str) -> list[int]:
    """Return the slots that brought about a run, in minutes since START."""
    return [
        minutes(run.scheduled_time)
        for run in wheel.runs()
        if run.trigger.name == trigger and run.state is not State.SKIPPED
    ]


@pytest.mark.parametrize(
    ("fields", "downtime", "skipped", "caught_up"),
    [
        # RUN_ONCE runs the newest missed slot; those before it are one SKIPPED run.
        ({}, 10 * MINUTE, (1, 8, 8), [9 - 0]),
        ({}, 2 * MINUTE + SECOND, None, [1]),
        ({}, DAY, (1, 1437, 1437), [1438]),
        # RUN_ALL runs the newest of them, oldest first.
        ({"misfire_mode": MisfireMode.RUN_ALL}, 10 * MINUTE, None, list(range(1, 9))),
        ({"misfire_mode": MisfireMode.RUN_ALL, "max_catchup_runs": 3}, 10 * MINUTE, (1, 5, 5), [6, 7, 8]),
        # SKIP runs none.
        ({"misfire_mode": MisfireMode.SKIP}, 10 * MINUTE, (1, 8, 8), []),
        # Nothing older than the window is caught up.
        ({"misfire_mode": MisfireMode.RUN_ALL, "catchup_window": 3 * MINUTE}, 10 * MINUTE, (1, 6, 6), [7, 8]),
        ({"catchup_window": MINUTE}, 10 * MINUTE, (1, 8, 8), []),
        ({"catchup_window": 0}, 10 * MINUTE, (1, 8, 8), []),
        # By default the window is an hour and the runs a hundred.
        ({"misfire_mode": MisfireMode.RUN_ALL}, 3 * HOUR, (1, 119, 119), list(range(120, 179))),
        (
            {"misfire_mode": MisfireMode.RUN_ALL, "catchup_window": DAY},
            3 * HOUR,
            (1, 78, 78),
            list(range(79, 179)),
        ),
    ],
)
def test_what_becomes_of_missed_slots(
    wheel: HandWheel,
    fields: dict[str, Any],
    downtime: int,
    skipped: tuple[int, int, int] | None,
    caught_up: list[int],
) -> None:
    wheel.task(schedules=EVERY_MINUTE, **fields)
    wheel.advance(downtime)
    now = downtime // MINUTE
    on_time = [slot for slot in (now - 1, now) if slot * MINUTE >= downtime - MINUTE]
    if not fields and skipped:
        # RUN_ONCE: the newest missed slot is the one right before those on time.
        caught_up = [on_time[0] - 1]
        skipped = (1, on_time[0] - 2, on_time[0] - 2)
    assert started(wheel, "SCHEDULE") == on_time
    assert started(wheel, "CATCH_UP") == caught_up
    assert missed(wheel) == skipped
    # Every slot is accounted for.
    assert len(on_time) + len(caught_up) + (skipped[2] if skipped else 0) == now


@pytest.mark.parametrize(("late", "trigger"), [(0, "SCHEDULE"), (MINUTE, "SCHEDULE"), (MINUTE + 1, "CATCH_UP")])
def test_a_slot_is_missed_when_met_over_a_minute_late(wheel: HandWheel, late: int, trigger: str) -> None:
    wheel.task(schedules=[Schedule(interval=HOUR)])
    wheel.advance(HOUR + late)
    assert wheel.slots() == [(3600, trigger, "READY")]


def test_a_slot_is_one_run_however_often_the_wheel_turns(wheel: HandWheel) -> None:
    wheel.task(schedules=EVERY_MINUTE)
    for _ in range(4):
        wheel.advance(30 * SECOND)
        wheel.turn()
    assert [slot for slot, *_ in wheel.slots()] == [60, 120]


def test_a_slot_starts_in_the_turn_of_its_tick(wheel: HandWheel) -> None:
    wheel.task(schedules=EVERY_MINUTE)
    worker = wheel.worker()
    wheel.clock.advance(MINUTE)
    wheel.turn()
    run = worker.take_one()
    assert (run.scheduled_time, run.schedule_time, run.start_time) == (START + MINUTE,) * 3


def test_coinciding_schedules_are_one_slot(wheel: HandWheel) -> None:
    wheel.task(schedules=[Schedule(cron="*/5 * * * *"), Schedule(cron="*/10 * * * *"), Schedule(interval=5 * MINUTE)])
    for _ in range(4):
        wheel.advance(5 * MINUTE)
    assert [slot // 60 for slot, *_ in wheel.slots()] == [5, 10, 15, 20]


def test_missed_coinciding_slots_are_counted_once(wheel: HandWheel) -> None:
    wheel.task(schedules=[Schedule(cron="*/5 * * * *"), Schedule(cron="*/10 * * * *")], misfire_mode=MisfireMode.SKIP)
    wheel.advance(HOUR)
    assert missed(wheel) == (5, 55, 11)


def test_jitter_delays_the_start_and_not_the_slot(wheel: HandWheel) -> None:
    wheel.task(schedules=[Schedule(interval=HOUR, jitter=10 * MINUTE)])
    starts = []
    for slot in range(1, 6):
        wheel.advance(START + slot * HOUR - wheel.now)
        run = wheel.runs()[-1]
        assert run.scheduled_time == START + slot * HOUR
        assert 0 <= run.schedule_time - run.scheduled_time < 10 * MINUTE
        starts.append(run.schedule_time - run.scheduled_time)
    assert len(set(starts)) > 1


def test_a_jittered_run_waits_until_its_start(wheel: HandWheel) -> None:
    wheel.task(schedules=[Schedule(interval=HOUR, jitter=10 * MINUTE)])
    wheel.advance(HOUR)
    [run] = wheel.runs()
    assert run.state is State.WAITING
    wheel.advance(run.schedule_time - wheel.now)
    assert wheel.claim_one().uid == run.uid


def test_a_schedule_that_has_ended_leaves_its_task_without_a_next_time(wheel: HandWheel) -> None:
    wheel.task(schedules=[Schedule(at=START + HOUR)])
    wheel.advance(HOUR)
    assert wheel.get_task().next_time is None
    assert wheel.slots() == [(3600, "SCHEDULE", "READY")]
    wheel.advance(DAY)
    assert len(wheel.runs()) == 1


def test_slots_missed_across_a_restart_are_met(wheel: HandWheel) -> None:
    wheel.task(schedules=EVERY_MINUTE)
    wheel.clock.advance(10 * MINUTE)
    wheel.restart()
    wheel.turn()
    wheel.settle()
    assert missed(wheel) == (1, 7, 7)


def test_more_tasks_than_a_slice_are_all_met(wheel: HandWheel) -> None:
    for index in range(1100):
        wheel.send(CreateTask(task=wheel.new_task(f"t{index}", schedules=EVERY_MINUTE)))
    wheel.turn()
    wheel.settle()
    wheel.advance(MINUTE)
    assert len(wheel.runs()) == 1100


def test_a_year_of_missed_seconds_is_one_row(wheel: HandWheel) -> None:
    wheel.task(schedules=[Schedule(interval=SECOND)], misfire_mode=MisfireMode.SKIP)
    wheel.advance(365 * DAY)
    [skipped] = [run for run in wheel.runs() if run.state is State.SKIPPED]
    assert skipped.skipped_count == 365 * 86_400 - 61


# Pausing, editing.


def test_a_paused_tasks_slots_do_not_count_as_missed(wheel: HandWheel) -> None:
    task = wheel.task(schedules=EVERY_MINUTE)
    assert task.next_time == START + MINUTE
    wheel.update(paused=True)
    assert wheel.get_task().next_time is None
    wheel.advance(HOUR)
    wheel.update(paused=False)
    wheel.settle()
    assert wheel.runs() == []
    assert wheel.get_task().next_time == START + HOUR + MINUTE


def test_an_edited_schedule_is_anchored_anew_and_catches_nothing_up(wheel: HandWheel) -> None:
    wheel.task(schedules=EVERY_MINUTE)
    wheel.clock.advance(90 * SECOND)
    # The edit meets a slot that is due: it goes first.
    task = wheel.update(schedules='[{"interval": 3600000000}]')
    assert task.next_time == START + 90 * SECOND + HOUR
    assert wheel.runs() == []


def test_an_edit_of_something_else_leaves_the_schedule_alone(wheel: HandWheel) -> None:
    before = wheel.task(schedules=EVERY_MINUTE)
    wheel.clock.advance(30 * SECOND)
    after = wheel.update(description="new", priority=3)
    assert (after.next_time, after.anchor_time) == (before.next_time, before.anchor_time)
    wheel.advance(30 * SECOND)
    assert [slot for slot, *_ in wheel.slots()] == [60]


@pytest.mark.parametrize(
    "stored",
    [
        '[{"cron": "99 * * * *"}]',
        '[{"cron": "* * * * *", "time_zone": "Mars/Olympus"}]',
        # Of a version that knew more.
        '[{"cron": "* * * * *", "colour": "blue"}]',
        '[{"cron": "* * * * *", "dst_gap": 9}]',
        '[{"cron": 5}]',
        '[{"interval": 0}]',
        "[{}]",
        '{"cron": "* * * * *"}',
        "not JSON",
    ],
)
def test_an_impossible_schedule_pauses_its_task_and_no_other(wheel: HandWheel, stored: str) -> None:
    wheel.task("bad", schedules=EVERY_MINUTE)
    wheel.task("good", schedules=EVERY_MINUTE)
    with wheel.store.write() as connection:
        execute(connection, "UPDATE tasks SET schedules = ? WHERE task_id = 'bad'", stored)
    wheel.advance(MINUTE)
    paused = wheel.get_task("bad")
    assert paused.paused
    assert paused.next_time is None
    assert paused.pause_reason.startswith("taskwheel:")
    assert "task_paused" in wheel.events()
    assert len(wheel.runs("good")) == 1
    assert wheel.runs("bad") == []
    # And it can be mended.
    assert wheel.update("bad", schedules='[{"interval": 60000000}]', paused=False).next_time == wheel.now + MINUTE


def test_overlapping_catch_up_runs_follow_the_overlap_policy(wheel: HandWheel) -> None:
    wheel.task(schedules=EVERY_MINUTE, misfire_mode=MisfireMode.RUN_ALL, overlap_policy=OverlapPolicy.SKIP)
    wheel.advance(5 * MINUTE)
    states: list[Run] = [run for run in wheel.runs() if run.state is not State.SKIPPED]
    assert len(states) == 1
    assert minutes(states[0].scheduled_time) == 1


def test_one_slot_missed_alone_is_no_range(wheel: HandWheel) -> None:
    wheel.task(schedules=EVERY_MINUTE, misfire_mode=MisfireMode.SKIP)
    wheel.advance(2 * MINUTE + SECOND)
    [skipped] = [run for run in wheel.runs() if run.state is State.SKIPPED]
    assert (minutes(skipped.scheduled_time), skipped.first_scheduled_time, skipped.skipped_count) == (1, None, 1)


def test_a_turn_starts_a_bounded_number_of_runs_whatever_was_missed(
    wheel: HandWheel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "MAX_FRESH", 10)
    for task_id in "abc":
        wheel.task(task_id, schedules=EVERY_MINUTE, misfire_mode=MisfireMode.RUN_ALL)
    wheel.clock.advance(10 * MINUTE)
    wheel.turn()
    assert len(wheel.runs()) == 10
    wheel.settle()
    assert len(wheel.runs()) == 30


def test_no_slot_of_the_last_minute_is_left_out_however_dense(wheel: HandWheel) -> None:
    schedules = [Schedule(interval=SECOND, start_time=START + index * 1000) for index in range(64)]
    wheel.task(schedules=schedules)
    wheel.clock.advance(20 * SECOND)
    wheel.settle()
    assert len(wheel.runs()) == 64 * 20


SHARED = [
    [Schedule(cron="*/2 * * * *")],
    [Schedule(cron="H/3 * * * *")],
    [Schedule(interval=3 * MINUTE)],
    [Schedule(interval=3 * MINUTE, start_time=START)],
    [Schedule(cron="*/2 * * * *"), Schedule(interval=5 * MINUTE)],
    [Schedule(cron="1-59/2 * * * *", end_time=START + 6 * MINUTE)],
]


def test_tasks_of_one_schedule_are_due_each_at_its_own_times(wheel: HandWheel) -> None:
    tasks = []
    for number in range(3):
        wheel.clock.advance(number * 7 * SECOND)
        tasks += [wheel.task(f"t{number}-{index}", schedules=each) for index, each in enumerate(SHARED)]
    for _ in range(12):
        wheel.advance(MINUTE)
    for task in tasks:
        due = slots_between(
            load(task.schedules), task.anchor_time, wheel.now, anchor=task.anchor_time, seed=task.uid, limit=99
        )
        assert [run.scheduled_time for run in wheel.runs(task)] == due
