"""Tasks as messages, and back."""

from __future__ import annotations

import json
from typing import Any

from taskwheel_server import schedule
from taskwheel_server.errors import InvalidArgument
from taskwheel_server.model.names import run_name, task_name
from taskwheel_server.model.state import MisfireMode, OverlapPolicy
from taskwheel_server.model.task import DEFAULT_CATCHUP_WINDOW, DEFAULT_MAX_CATCHUP_RUNS, LastRun
from taskwheel_server.model.task import Task as TaskRow
from taskwheel_server.rpc.messages import Task
from taskwheel_server.rpc.opaque import struct_of
from taskwheel_server.rpc.retry_message import put_retry_policy, read_retry_policy
from taskwheel_server.rpc.schedule_message import put_schedule, read_schedule
from taskwheel_server.rpc.times import optional_microseconds, put
from taskwheel_server.wheel.ending import load_policy

_PATH = "task."


def task_message(task: TaskRow, last_run: LastRun | None = None) -> Task:
    """Return a task as a message, defaults spelled out."""
    message = Task(
        name=task_name(task.namespace, task.task_id),
        uid=task.uid,
        display_name=task.display_name,
        description=task.description,
        etag=task.etag,
        paused=task.paused,
        state=Task.PAUSED if task.paused else Task.ACTIVE,
        priority=task.priority,
        overlap_policy=task.overlap_policy,
        max_concurrent_runs=task.max_concurrent_runs,
    )
    message.worker.handler = task.handler
    message.misfire_policy.mode = task.misfire_mode
    message.misfire_policy.max_catchup_runs = task.max_catchup_runs
    put(message.misfire_policy.catchup_window, task.catchup_window)
    put(message.create_time, task.create_time)
    put(message.update_time, task.update_time)
    for each in _readable(task.schedules):
        put_schedule(message.schedules.add(), each)
    if task.retry_policy:
        put_retry_policy(message.retry_policy, load_policy(task.retry_policy))
    if task.payload is not None:
        message.payload = task.payload
    if task.tags:
        message.tags.extend(json.loads(task.tags))
    if task.labels:
        message.labels.update(json.loads(task.labels))
    _put_who(message, task)
    _put_times(message, task)
    if last_run:
        message.last_run = run_name(task.namespace, last_run.uid)
        put(message.last_run_time, last_run.time)
    return message


def _readable(schedules: str) -> tuple[schedule.Schedule, ...]:
    """Return the schedules of a row; none if another version wrote them: one task must not break a list or a stream."""
    try:
        return schedule.load(schedules)
    except schedule.InvalidSchedule:
        return ()


def _put_who(message: Any, task: TaskRow) -> None:
    if task.creator_application:
        message.creator.application = task.creator_application
        message.creator.user = task.creator_user
    if task.paused:
        message.pause.reason = task.pause_reason
        if task.pause_actor:
            message.pause.actor.application = task.pause_actor


def _put_times(message: Any, task: TaskRow) -> None:
    if task.next_time is not None:
        put(message.next_run_time, task.next_time)
    if task.pause_time is not None:
        put(message.pause.time, task.pause_time)
    if task.run_timeout:
        put(message.run_timeout, task.run_timeout)
    if task.start_deadline:
        put(message.start_deadline, task.start_deadline)


def task_fields(message: Any, *, now: int, known: str = "") -> dict[str, Any]:
    """Return what a caller decides about a task, by the field of the row.

    Args:
        message: a Task, valid by the contract's rules.
        now: µs; an `at` must lie later.
        known: the schedules that the task has now, as stored: those may lie in the past.

    Raises:
        InvalidArgument: a field of `task` is at fault.
    """
    if not message.worker.handler:
        raise InvalidArgument("task.worker", "a task needs a target: the handler to run")
    misfire = message.misfire_policy
    window = optional_microseconds(misfire, "catchup_window", "task.misfire_policy.")
    return {
        "handler": message.worker.handler,
        "display_name": message.display_name,
        "description": message.description,
        "schedules": _schedules(message, now, known),
        "paused": message.paused,
        "payload": struct_of(message, "payload", _PATH),
        "priority": message.priority,
        "tags": dump_tags(message.tags),
        "labels": dump_labels(message.labels),
        "retry_policy": _retry_policy(message),
        "overlap_policy": OverlapPolicy(message.overlap_policy or OverlapPolicy.ALLOW),
        "misfire_mode": MisfireMode(misfire.mode or MisfireMode.RUN_ONCE),
        "catchup_window": DEFAULT_CATCHUP_WINDOW if window is None else window,
        "max_catchup_runs": misfire.max_catchup_runs or DEFAULT_MAX_CATCHUP_RUNS,
        "run_timeout": optional_microseconds(message, "run_timeout", _PATH) or None,
        "start_deadline": optional_microseconds(message, "start_deadline", _PATH) or None,
        "max_concurrent_runs": message.max_concurrent_runs,
    }


def _schedules(message: Any, now: int, known: str) -> str:
    before = _readable(known)
    read = []
    for index, each in enumerate(message.schedules):
        path = f"task.schedules[{index}]"
        value = read_schedule(each, path, now=None) if before else None
        if value not in before:
            value = read_schedule(each, path, now=now)
        read.append(value)
    return schedule.dump(read)


def _retry_policy(message: Any) -> str:
    if not message.HasField("retry_policy"):
        return ""
    return json.dumps(read_retry_policy(message.retry_policy, "task.retry_policy").to_dict())


def dump_tags(tags: Any) -> str:
    """Return tags as a row keeps them: each once, in order."""
    return json.dumps(list(dict.fromkeys(tags))) if tags else ""


def dump_labels(labels: Any) -> str:
    """Return labels as a row keeps them: in the order of their keys, for maps come in any."""
    return json.dumps(dict(labels), sort_keys=True) if labels else ""
