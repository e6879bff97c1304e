"""What a request would do, for validate_only (AIP-163): every check, no effect. Functions to read with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskwheel_server.db import runs, tasks
from taskwheel_server.wheel.admit import find_task, new_run, reused
from taskwheel_server.wheel.edits import begin, check_etag, check_free, edited

if TYPE_CHECKING:
    from taskwheel_server.db import Connection
    from taskwheel_server.model.run import Run
    from taskwheel_server.model.task import Task
    from taskwheel_server.wheel.commands import NewRun, UpdateTask


def would_create(connection: Connection, task: Task, now: int) -> Task:
    """Return the task that CreateTask would answer."""
    if task.request_id is not None and (known := tasks.by_request(connection, task.namespace, task.request_id)):
        if known.request_digest != task.request_digest:
            raise reused(task.request_id)
        return known
    check_free(connection, task.namespace, task.task_id)
    begin(task, now)
    return task


def would_update(connection: Connection, command: UpdateTask, now: int) -> Task:
    """Return the task that UpdateTask would answer."""
    task = find_task(connection, command.task)
    check_etag(task, command.etag)
    return edited(task, command, now)


def would_admit(connection: Connection, request: NewRun, now: int) -> Run:
    """Return the run that RunTask would answer."""
    task = find_task(connection, request.task)
    if request.request_id is not None:
        known = runs.by_request(connection, task.namespace, [request.request_id]).get(request.request_id)
        if known and (known.task_uid, known.request_digest) != (task.uid, request.request_digest):
            raise reused(request.request_id)
        if known:
            return known
    return new_run(task, request, now)
