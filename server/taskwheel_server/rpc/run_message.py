"""Runs as messages."""

from __future__ import annotations

import json
from collections.abc import Callable
from operator import attrgetter
from typing import Any

from taskwheel_server.model.names import run_name, task_name
from taskwheel_server.model.run import RUN_COLUMNS, Run
from taskwheel_server.model.state import State
from taskwheel_server.rpc.messages import TaskRun
from taskwheel_server.rpc.times import put
from taskwheel_server.rpc.wire import field

STATES: dict[State, int] = {
    State.WAITING: TaskRun.PENDING,
    State.HELD: TaskRun.PENDING,
    State.READY: TaskRun.PENDING,
    State.RUNNING: TaskRun.RUNNING,
    State.CANCELLING: TaskRun.CANCELLING,
    State.SUCCEEDED: TaskRun.SUCCEEDED,
    State.FAILED: TaskRun.FAILED,
    State.CANCELLED: TaskRun.CANCELLED,
    State.RETRIED: TaskRun.RETRIED,
    State.SKIPPED: TaskRun.SKIPPED,
}

_REQUEST_ID = TaskRun.REQUEST_ID_FIELD_NUMBER
_OWN = {"uid", "request_id", "request_digest", "payload", "result"}
_alike = attrgetter(*(column for column in RUN_COLUMNS if column not in _OWN))


def run_message(run: Run, *, full: bool = True) -> TaskRun:
    """Return a run as a message; without payload, result and error.stack unless `full`."""
    message = TaskRun()
    put_run(message, run, full=full)
    return message


def put_run(message: Any, run: Run, *, full: bool = True) -> None:
    """Set an empty message to a run; without payload, result and error.stack unless `full`."""
    message.name = run_name(run.namespace, run.uid)
    message.uid = run.uid
    message.task = task_name(run.namespace, run.task_id)
    message.task_uid = run.task_uid
    message.task_id = run.task_id
    message.handler = run.handler
    message.state = STATES[run.state]
    message.attempt = run.attempt
    message.trigger = run.trigger
    message.root_run = run_name(run.namespace, run.root_run) if run.root_run else message.name
    if run.priority:
        message.priority = run.priority
    if run.log_count:
        message.log_count = run.log_count
    put(message.state_change_time, run.state_change_time)
    put(message.create_time, run.create_time)
    put(message.schedule_time, run.schedule_time)
    put(message.update_time, run.update_time)
    _put_words(message, run)
    if run.scheduled_time is not None:
        _put_slot(message, run)
    if run.start_time is not None:
        _put_start(message, run)
    if run.end_time is not None:
        _put_end(message, run, full=full)
    if run.retry_for_runs:
        message.retry_for_runs.extend(run_name(run.namespace, uid) for uid in json.loads(run.retry_for_runs))
    if full and run.payload is not None:
        message.payload = run.payload


class RunWriter:
    """Serializes the runs of one batch, without payload, result and error.stack.

    Most of a batch differ in nothing but their uid: to put it into the bytes of another costs a tenth of a message.

    Args:
        message: run_message, or Attendance.run_message.
    """

    def __init__(self, message: Callable[..., TaskRun] = run_message) -> None:
        self._message = message
        self._models: dict[tuple[Any, ...], tuple[bytes, bytes]] = {}

    def write(self, run: Run) -> bytes:
        """Return a serialized TaskRun."""
        alike = _alike(run)
        uid = run.uid.encode()
        model = self._models.get(alike)
        if model is None:
            message = self._message(run, full=False)
            message.ClearField("request_id")
            model = message.SerializeToString(), uid
            # Where somebody's text holds the uid too, it belongs to this run alone.
            if model[0].count(uid) == (2 if run.root_run else 3):
                self._models[alike] = model
        written = model[0].replace(model[1], uid)
        return written + field(_REQUEST_ID, run.request_id.encode()) if run.request_id else written


def _put_words(message: Any, run: Run) -> None:
    if run.state_reason:
        message.state_reason = run.state_reason
    if run.request_id:
        message.request_id = run.request_id
    if run.creator_application:
        message.creator.application = run.creator_application
        message.creator.user = run.creator_user
    if run.tags:
        message.tags.extend(json.loads(run.tags))
    if run.labels:
        message.labels.update(json.loads(run.labels))


def _put_slot(message: Any, run: Run) -> None:
    put(message.scheduled_time, run.scheduled_time or 0)
    message.skipped_count = run.skipped_count
    if run.first_scheduled_time is not None:
        put(message.first_scheduled_time, run.first_scheduled_time)


def _put_start(message: Any, run: Run) -> None:
    put(message.start_time, run.start_time or 0)
    message.worker = run.worker or ""
    if run.progress_ratio is not None or run.progress_message is not None:
        message.progress.ratio = run.progress_ratio or 0
        message.progress.message = run.progress_message or ""


def _put_end(message: Any, run: Run, *, full: bool) -> None:
    message.done = True
    put(message.end_time, run.end_time or 0)
    if run.retried_by_run:
        message.retried_by_run = run_name(run.namespace, run.retried_by_run)
    if run.error_name is not None:
        message.error.type = run.error_type or ""
        message.error.name = run.error_name
        message.error.message = run.error_message or ""
        message.error.stack = (full and run.error_stack) or ""
    if full and run.result is not None:
        message.result = run.result
