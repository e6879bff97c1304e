"""Edits: tasks created, changed, renamed, paused, resumed and deleted, one at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from taskwheel_server import schedule
from taskwheel_server.db import runs, tasks
from taskwheel_server.db.dialect import wait_for_turns
from taskwheel_server.errors import Aborted, AlreadyExists, FailedPrecondition, NotFound, TaskwheelError
from taskwheel_server.model.event import EventType
from taskwheel_server.model.names import TaskRef, task_name
from taskwheel_server.wheel.admit import find_task, owned_labels, reused
from taskwheel_server.wheel.commands import CreateTask, DeleteTask, PauseTask, RenameTask, ResumeTask, UpdateTask
from taskwheel_server.wheel.slots import next_time
from taskwheel_server.wheel.sweep import cancel_pending

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskwheel_server.db import Connection
    from taskwheel_server.model.task import Task
    from taskwheel_server.wheel.turn import Turn

Edit = CreateTask | UpdateTask | RenameTask | PauseTask | ResumeTask | DeleteTask


def edit(turn: Turn, commands: list[Edit]) -> None:
    """Carry out edits in the order in which they came."""
    for command in commands:
        carry_out: Callable[[Turn, Any], Task | None] = _EDITS[type(command)]
        try:
            turn.answer(command, carry_out(turn, command))
        except TaskwheelError as error:
            turn.answer(command, error)
        except schedule.InvalidSchedule as error:
            # Checked at the door, hence stored by a version that knew more, or less.
            turn.answer(command, FailedPrecondition("SCHEDULE_IMPOSSIBLE", f"the schedule cannot be kept: {error}"))


def _create(turn: Turn, command: CreateTask) -> Task:
    task = command.task
    if turn.replay and (stored := tasks.by_uid(turn.connection, [task.uid]).get(task.uid)):
        return stored
    if task.request_id is not None and (known := tasks.by_request(turn.connection, task.namespace, task.request_id)):
        if known.request_digest != task.request_digest:
            raise reused(task.request_id)
        return known
    if stored := tasks.find(turn.connection, TaskRef(task.namespace, task_id=task.task_id)):
        if stored.uid != task.uid:
            raise _taken(task.namespace, task.task_id)
        return stored
    begin(task, turn.now)
    tasks.insert(turn.connection, task)
    turn.look_at(task.next_time)
    runs.index_labels(turn.connection, owned_labels(task.uid, task.tags, task.labels))
    turn.emit_task(EventType.TASK_CREATED, task, tasks.dump(task))
    return task


def begin(task: Task, now: int) -> None:
    """Give a new task its times, µs."""
    task.create_time = task.update_time = task.anchor_time = now
    task.pause_time = now if task.paused else None
    task.next_time = next_time(task, now)


def check_free(connection: Connection, namespace: str, task_id: str) -> None:
    """Refuse a task id that is in use.

    Raises:
        AlreadyExists: TASK_ALREADY_EXISTS.
    """
    if tasks.find(connection, TaskRef(namespace, task_id=task_id)):
        raise _taken(namespace, task_id)


def _taken(namespace: str, task_id: str) -> AlreadyExists:
    name = task_name(namespace, task_id)
    return AlreadyExists("TASK_ALREADY_EXISTS", f"task '{name}' exists already", task=name)


def check_etag(task: Task, etag: str) -> None:
    """Refuse an edit of a task that has changed since its caller read it.

    Raises:
        Aborted: ETAG_MISMATCH (AIP-154).
    """
    if etag and etag != task.etag:
        raise Aborted("ETAG_MISMATCH", "the task has changed since it was read: read it again", etag=task.etag)


def _update(turn: Turn, command: UpdateTask) -> Task:
    before = find_task(turn.connection, command.task, lock=True)
    check_etag(before, command.etag)
    task = edited(before, command, turn.now)
    if task == before:
        return before
    if task.max_concurrent_runs != before.max_concurrent_runs:
        if not before.max_concurrent_runs:
            # Turns of other servers under way may have begun or ended runs without counting them.
            wait_for_turns(turn.connection)
            # Those that left a worker in this turn are still to be subtracted.
            task.running = runs.count_running(turn.connection, task.uid) + turn.vacated.get(task.uid, 0)
            tasks.set_running(turn.connection, task.uid, task.running)
        turn.eased.add(task.uid)
    if (task.tags, task.labels) != (before.tags, before.labels):
        runs.unindex_labels(turn.connection, owned_labels(task.uid, before.tags, before.labels))
        runs.index_labels(turn.connection, owned_labels(task.uid, task.tags, task.labels))
    kind = EventType.TASK_UPDATED
    if command.changes.keys() == {"paused"}:
        kind = EventType.TASK_PAUSED if task.paused else EventType.TASK_RESUMED
    return _write(turn, task, kind)


def edited(before: Task, command: UpdateTask, now: int) -> Task:
    """Return the task as an update at `now` (µs) leaves it; `before` itself stays as it is."""
    task = replace(before, **command.changes)
    if task.schedules != before.schedules:
        task.anchor_time = now
    if task.paused != before.paused:
        task.pause_reason = ""
        task.pause_actor, task.pause_time = (command.actor, now) if task.paused else ("", None)
    if (task.schedules, task.paused) != (before.schedules, before.paused):
        task.next_time = next_time(task, now)
    return task


def _write(turn: Turn, task: Task, kind: EventType) -> Task:
    task.update_time = turn.now
    task.version += 1
    tasks.update(turn.connection, [task])
    turn.look_at(task.next_time)
    turn.emit_task(kind, task, tasks.dump(task))
    return task


def _rename(turn: Turn, command: RenameTask) -> Task:
    task = find_task(turn.connection, command.task, lock=True)
    if task.task_id == command.task_id:
        return task
    check_free(turn.connection, task.namespace, command.task_id)
    task.task_id = command.task_id
    return _write(turn, task, EventType.TASK_RENAMED)


def _pause(turn: Turn, command: PauseTask) -> Task:
    task = find_task(turn.connection, command.task, lock=True)
    if task.paused and task.pause_reason == command.reason:
        return task
    task.paused, task.pause_reason, task.pause_actor, task.pause_time = True, command.reason, command.actor, turn.now
    task.next_time = None
    return _write(turn, task, EventType.TASK_PAUSED)


def _resume(turn: Turn, command: ResumeTask) -> Task:
    task = find_task(turn.connection, command.task, lock=True)
    if not task.paused:
        return task
    task.paused, task.pause_reason, task.pause_actor, task.pause_time = False, "", "", None
    task.next_time = next_time(task, turn.now)
    return _write(turn, task, EventType.TASK_RESUMED)


def _delete(turn: Turn, command: DeleteTask) -> None:
    try:
        task = find_task(turn.connection, command.task, lock=True)
    except NotFound:
        if command.allow_missing:
            return
        raise
    check_etag(task, command.etag)
    turn.emit_task(EventType.TASK_DELETED, task, tasks.dump(task))
    runs.unindex_labels(turn.connection, owned_labels(task.uid, task.tags, task.labels))
    task.delete_time = task.update_time = turn.now
    task.next_time = task.request_id = None
    task.tags = task.labels = ""
    tasks.update(turn.connection, [task])
    # Most tasks have few: they are gone when the caller is answered. The sweep goes on with the others, and with those
    # that another server had locked to start them, and did not.
    cancel_pending(turn, task.uid)
    turn.sweep |= runs.has_open(turn.connection, task.uid)


_EDITS: dict[type, Callable[[Turn, Any], Task | None]] = {
    CreateTask: _create,
    UpdateTask: _update,
    RenameTask: _rename,
    PauseTask: _pause,
    ResumeTask: _resume,
    DeleteTask: _delete,
}
