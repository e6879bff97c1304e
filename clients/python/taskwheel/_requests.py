"""Requests, made from Python values: the half of every call that needs no connection."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypedDict, TypeVar

from google.protobuf.field_mask_pb2 import FieldMask

from taskwheel._schedules import Length
from taskwheel._values import to_duration, to_struct, to_timestamp
from taskwheel._views import TaskRun
from taskwheel.v1 import retry_policy_pb2, schedule_pb2, task_pb2, task_service_pb2

T = TypeVar("T")

OverlapPolicy = Literal["ALLOW", "SKIP", "QUEUE_ONE", "CANCEL_RUNNING"]

# The bounds of one BatchRunTasks; a whole message may have 4 MiB.
_BATCH_RUNS = 1000
_BATCH_BYTES = 3 * 2**20


class TaskFields(TypedDict, total=False):
    """The fields of a task that a caller may set. Durations are timedeltas or seconds; None clears a field."""

    handler: str
    schedules: Sequence[schedule_pb2.Schedule]
    payload: Mapping[str, Any] | None
    display_name: str
    description: str
    paused: bool
    priority: int
    tags: Sequence[str]
    labels: Mapping[str, str]
    retry_policy: retry_policy_pb2.RetryPolicy | None
    overlap_policy: OverlapPolicy
    misfire_policy: schedule_pb2.MisfirePolicy | None
    run_timeout: Length | None
    start_deadline: Length | None
    max_concurrent_runs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """A run to start.

    Args:
        task: the name of the task: its id, full name or uid.
        payload: what the handler is given; default the payload of the task.
        priority: higher goes first; default that of the task.
        schedule_time: the earliest time at which it may start; default now.
        tags: tags in addition to those of the task.
        labels: labels in addition to those of the task.
        request_id: makes the call safe to repeat; one is made when none is given.
    """

    task: str
    payload: Mapping[str, Any] | None = None
    priority: int | None = None
    schedule_time: datetime | None = None
    tags: Sequence[str] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    request_id: str = ""

    def to_message(self) -> task_service_pb2.RunTaskRequest:
        """The request as it is sent. Raises UnsupportedValue for a payload or a time that cannot be sent."""
        message = task_service_pb2.RunTaskRequest(name=self.task, request_id=self.request_id or mint_request_id())
        # Field by field: to pass what is not given takes as long as all that is.
        if self.payload is not None:
            message.payload.CopyFrom(to_struct(self.payload))
        if self.priority is not None:
            message.priority = self.priority
        if self.schedule_time is not None:
            message.schedule_time.CopyFrom(to_timestamp(self.schedule_time))
        if self.tags:
            message.tags.extend(self.tags)
        if self.labels:
            message.labels.update(self.labels)
        return message


def mint_request_id() -> str:
    """A key for one request, so that the transport may repeat it."""
    return os.urandom(16).hex()


def run_name(run: TaskRun | str) -> str:
    """The name of a run, given as such or as the run itself."""
    return run.name if isinstance(run, TaskRun) else run


def batches(items: Iterable[T], size: Callable[[T], int]) -> Iterator[list[T]]:
    """Runs to start, in batches that the server takes.

    Args:
        items: the runs.
        size: tells how many bytes the RunTaskRequest of an item has.
    """
    batch: list[T] = []
    total = 0
    for item in items:
        weight = size(item) + 8
        if len(batch) == _BATCH_RUNS or (batch and total + weight > _BATCH_BYTES):
            yield batch
            batch, total = [], 0
        batch.append(item)
        total += weight
    if batch:
        yield batch


def task_message(fields: Mapping[str, Any]) -> tuple[task_pb2.Task, FieldMask]:
    """A task with these fields, and the mask that names them. A field given as None is in the mask alone."""
    task = task_pb2.Task()
    mask = FieldMask()
    for name, value in fields.items():
        mask.paths.append("worker.handler" if name == "handler" else name)
        if value is not None:
            _SETTERS.get(name, setattr)(task, name, value)
    return task, mask


def _extend(task: task_pb2.Task, name: str, values: Any) -> None:
    getattr(task, name).extend(values)


def _copy(convert: Callable[[Any], Any]) -> Callable[[task_pb2.Task, str, Any], None]:
    return lambda task, name, value: getattr(task, name).CopyFrom(convert(value))


_SETTERS: dict[str, Callable[[task_pb2.Task, str, Any], None]] = {
    "handler": lambda task, _, value: setattr(task.worker, "handler", value),
    "schedules": _extend,
    "tags": _extend,
    "labels": lambda task, _, value: task.labels.update(value),
    "payload": _copy(to_struct),
    "retry_policy": _copy(lambda policy: policy),
    "misfire_policy": _copy(lambda policy: policy),
    "overlap_policy": lambda task, name, value: setattr(task, name, task_pb2.Task.OverlapPolicy.Value(value)),
    "run_timeout": _copy(to_duration),
    "start_deadline": _copy(to_duration),
}
