"""Edits: tasks created, changed, renamed, paused, resumed, deleted; each is an event with a snapshot of the task."""

from __future__ import annotations

from typing import Any

import pytest

from taskwheel_server.clock import DAY, HOUR, MINUTE
from taskwheel_server.db import events, tasks
from taskwheel_server.errors import Aborted, AlreadyExists, FailedPrecondition, NotFound
from taskwheel_server.model.names import TaskRef
from taskwheel_server.model.state import State
from taskwheel_server.model.task import Task
from taskwheel_server.schedule import Schedule
from taskwheel_server.wheel.commands import (
    AdmitRuns,
    Attach,
    CreateTask,
    DeleteTask,
    PauseTask,
    ReleaseRuns,
    RenameTask,
    ResumeTask,
    UpdateTask,
)
from tests.wheel.handwheel import RETENTION, START, HandWheel, lease_of, task_ref

EVERY_MINUTE = [Schedule(interval=MINUTE)]


def delete(wheel: HandWheel, **fields: Any) -> None:
    assert wheel.call(DeleteTask(task=task_ref("t"), **fields)) is None


def snapshots(wheel: HandWheel) -> list[tuple[str, Task]]:
    """Return (event, task as it was then) of all events of tasks."""
    found = wheel.store.read(lambda connection: list(events.after(connection, "default", 0, 1000)))
    return [(event.type.label, tasks.load(event.detail)) for event in found if event.detail]


def test_every_edit_is_an_event_with_the_task_as_it_was_then(wheel: HandWheel) -> None:
    created = wheel.task(payload=b"\x00\xff", schedules=EVERY_MINUTE)
    wheel.clock.advance(1)
    updated = wheel.update(priority=3)
    paused = wheel.call(PauseTask(task=task_ref("t"), reason="lunch", actor="ann"))
    resumed = wheel.call(ResumeTask(task=task_ref("t")))
    renamed = wheel.call(RenameTask(task=task_ref("t"), task_id="u"))
    wheel.call(DeleteTask(task=task_ref("u")))
    assert snapshots(wheel) == [
        ("task_created", created),
        ("task_updated", updated),
        ("task_paused", paused),
        ("task_resumed", resumed),
        ("task_renamed", renamed),
        ("task_deleted", renamed),
    ]


def test_the_etag_moves_with_every_change_and_guards_edits(wheel: HandWheel) -> None:
    first = wheel.task()
    second = wheel.update(priority=1)
    assert first.etag != second.etag
    for guarded in (
        UpdateTask(task=task_ref("t"), changes={"priority": 2}, etag=first.etag),
        DeleteTask(task=task_ref("t"), etag=first.etag),
    ):
        with pytest.raises(Aborted) as stale:
            wheel.call(guarded)
        assert stale.value.reason == "ETAG_MISMATCH"
    wheel.call(UpdateTask(task=task_ref("t"), changes={"priority": 2}, etag=second.etag))
    assert wheel.get_task().priority == 2


def test_runs_do_not_move_the_etag(wheel: HandWheel) -> None:
    before = wheel.task(schedules=EVERY_MINUTE, max_concurrent_runs=1)
    wheel.advance(MINUTE)
    wheel.succeed(wheel.claim_one())
    assert wheel.get_task().etag == before.etag


def test_an_edit_that_changes_nothing_is_no_event(wheel: HandWheel) -> None:
    task = wheel.task(priority=1, paused=True)
    assert wheel.update(priority=1) == task
    assert wheel.call(PauseTask(task=task_ref("t"), reason="", actor="x")) == task
    wheel.call(ResumeTask(task=task_ref("t")))
    wheel.call(ResumeTask(task=task_ref("t")))
    wheel.call(RenameTask(task=task_ref("t"), task_id="t"))
    assert wheel.events() == ["task_created", "task_resumed"]


@pytest.mark.parametrize(
    "edit",
    [
        UpdateTask(task=TaskRef("default", "missing"), changes={}),
        RenameTask(task=TaskRef("default", "missing"), task_id="x"),
        PauseTask(task=TaskRef("default", "missing"), reason="", actor=""),
        ResumeTask(task=TaskRef("default", "missing")),
        DeleteTask(task=TaskRef("default", "missing")),
    ],
)
def test_an_edit_of_a_missing_task_is_refused_alone(wheel: HandWheel, edit: Any) -> None:
    created = wheel.send(CreateTask(task=wheel.new_task()))
    with pytest.raises(NotFound):
        wheel.call(edit)
    assert created.result().task_id == "t"


def test_edits_of_one_turn_are_carried_out_in_order(wheel: HandWheel) -> None:
    wheel.send(CreateTask(task=wheel.new_task()))
    for priority in (1, 2, 3):
        wheel.send(UpdateTask(task=task_ref("t"), changes={"priority": priority}))
    wheel.send(RenameTask(task=task_ref("t"), task_id="u"))
    wheel.send(CreateTask(task=wheel.new_task()))
    wheel.turn()
    assert (wheel.get_task("u").priority, wheel.get_task("t").priority) == (3, 0)


# Pause.


def test_a_run_admitted_in_the_turn_of_an_edit_is_of_the_task_as_edited(wheel: HandWheel) -> None:
    wheel.task()
    admission = wheel.send(AdmitRuns(runs=[wheel.new_run()]))
    wheel.send(UpdateTask(task=task_ref("t"), changes={"handler": "edited"}))
    wheel.turn()
    [run] = admission.result()
    assert run.handler == wheel.get(run).handler == "edited"


def test_pausing_stops_the_schedules_only(wheel: HandWheel) -> None:
    wheel.task(schedules=EVERY_MINUTE)
    pending = wheel.run(schedule_time=START + MINUTE)
    paused = wheel.call(PauseTask(task=task_ref("t"), reason="lunch", actor="ann"))
    assert (paused.pause_reason, paused.pause_actor, paused.pause_time, paused.next_time) == (
        "lunch",
        "ann",
        START,
        None,
    )
    wheel.advance(MINUTE)
    assert wheel.claim_one().uid == pending.uid
    assert wheel.run().state is State.READY
    assert wheel.slots() == []


def test_resuming_starts_from_now(wheel: HandWheel) -> None:
    wheel.task(schedules=EVERY_MINUTE)
    wheel.call(PauseTask(task=task_ref("t"), reason="", actor=""))
    wheel.advance(HOUR + 1)
    resumed = wheel.call(ResumeTask(task=task_ref("t")))
    assert resumed.next_time == START + HOUR + MINUTE
    assert (resumed.pause_reason, resumed.pause_actor, resumed.pause_time) == ("", "", None)
    wheel.advance(MINUTE)
    assert [slot for slot, *_ in wheel.slots()] == [3660]


def test_update_paused_is_pause_without_a_reason(wheel: HandWheel) -> None:
    wheel.task(schedules=EVERY_MINUTE)
    paused = wheel.call(UpdateTask(task=task_ref("t"), changes={"paused": True}, actor="ann"))
    assert (paused.pause_reason, paused.pause_actor, paused.pause_time) == ("", "ann", START)
    wheel.update(paused=False)
    assert wheel.events() == ["task_created", "task_paused", "task_resumed"]


def test_a_task_created_paused_has_no_next_time(wheel: HandWheel) -> None:
    task = wheel.task(schedules=EVERY_MINUTE, paused=True)
    assert (task.next_time, task.pause_time) == (None, START)


def test_new_schedules_of_a_paused_task_wait_for_its_resumption(wheel: HandWheel) -> None:
    wheel.task(paused=True)
    assert wheel.update(schedules='[{"interval": 60000000}]').next_time is None
    assert wheel.call(ResumeTask(task=task_ref("t"))).next_time == START + MINUTE


def test_a_task_with_an_impossible_schedule_cannot_be_resumed_and_says_why(wheel: HandWheel) -> None:
    wheel.task(schedules=EVERY_MINUTE)
    with wheel.store.write() as connection:
        connection.exec_driver_sql("UPDATE tasks SET schedules = 'not JSON'")
    wheel.advance(MINUTE)
    with pytest.raises(FailedPrecondition):
        wheel.call(ResumeTask(task=task_ref("t")))


# Rename.


def test_a_renamed_tasks_runs_keep_the_id_of_their_admission(wheel: HandWheel) -> None:
    task = wheel.task(schedules=EVERY_MINUTE)
    before = wheel.run()
    wheel.call(RenameTask(task=task_ref("t"), task_id="u"))
    after = wheel.run("u")
    assert (wheel.get(before).task_id, after.task_id) == ("t", "u")
    assert before.task_uid == after.task_uid == task.uid
    # The schedule goes on as it was.
    assert wheel.get_task("u").next_time == task.next_time


def test_a_task_cannot_be_renamed_to_a_name_that_is_taken(wheel: HandWheel) -> None:
    wheel.task()
    wheel.task("u")
    with pytest.raises(AlreadyExists) as taken:
        wheel.call(RenameTask(task=task_ref("t"), task_id="u"))
    assert taken.value.reason == "TASK_ALREADY_EXISTS"


# Delete.


def test_deleting_cancels_pending_runs_and_lets_running_ones_finish(wheel: HandWheel) -> None:
    wheel.task(max_concurrent_runs=1, schedules=EVERY_MINUTE)
    running = wheel.started()
    held, waiting = wheel.run(), wheel.run(schedule_time=START + DAY)
    delete(wheel)
    assert [wheel.get(run).state for run in (held, waiting)] == [State.CANCELLED] * 2
    assert {wheel.get(run).state_reason for run in (held, waiting)} == {"TASK_DELETED"}
    wheel.advance(20_000_000)
    assert wheel.succeed(running)
    wheel.advance(HOUR)
    # No slot of it comes any more.
    assert len(wheel.runs()) == 3
    assert wheel.store.read(tasks.by_uid, [running.task_uid]) == {}


def test_pending_runs_of_a_deleted_task_are_cancelled_in_slices_at_once(wheel: HandWheel) -> None:
    wheel.task()
    wheel.run_many(1300)
    delete(wheel)
    wheel.settle()
    assert {run.state for run in wheel.runs()} == {State.CANCELLED}
    assert wheel.claim() == []


def test_a_run_handed_back_after_its_task_was_deleted_can_still_finish(wheel: HandWheel) -> None:
    wheel.task(max_concurrent_runs=1)
    run = wheel.started()
    delete(wheel)
    wheel.settle()
    wheel.call(ReleaseRuns(leases=[lease_of(run)]))
    assert wheel.succeed(wheel.claim_one())


def test_the_id_of_a_deleted_task_is_free_again(wheel: HandWheel) -> None:
    old = wheel.task(request_id="r", request_digest=b"1", tags='["a"]')
    old_run = wheel.run()
    delete(wheel)
    new = wheel.task(request_id="r", request_digest=b"2")
    assert new.uid != old.uid
    assert wheel.run().task_uid == new.uid
    assert wheel.get(old_run).task_uid == old.uid


def test_deleting_twice_is_not_found_unless_allowed(wheel: HandWheel) -> None:
    wheel.task()
    delete(wheel)
    with pytest.raises(NotFound):
        delete(wheel)
    delete(wheel, allow_missing=True)
    assert wheel.events() == ["task_created", "task_deleted"]


def test_a_ready_run_of_a_deleted_task_is_not_claimed_in_the_turn_of_the_deletion(wheel: HandWheel) -> None:
    wheel.task()
    wheel.run_many(3)
    worker = wheel.new_worker()
    wheel.send(Attach(session=worker.session))
    delete(wheel)
    assert worker.take() == []


def test_a_deletion_that_a_restart_interrupts_is_completed(wheel: HandWheel) -> None:
    wheel.task()
    wheel.run_many(1300)
    wheel.send(DeleteTask(task=task_ref("t")))
    wheel.turn()
    wheel.restart()
    wheel.advance(MINUTE)
    assert {run.state for run in wheel.runs()} == {State.CANCELLED}


def test_no_run_is_admitted_for_a_deleted_task(wheel: HandWheel) -> None:
    wheel.task()
    delete(wheel)
    with pytest.raises(NotFound):
        wheel.call(AdmitRuns(runs=[wheel.new_run()]))
    wheel.advance(RETENTION)
    assert wheel.count_rows() == 0
