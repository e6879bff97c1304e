"""What the server answers, as Python values.

A view reads its protobuf message and nothing else: an attribute is converted when it is asked for, and `raw` is the
message itself. What each attribute means stands in the contract, at the field of the same name. Unset times, durations
and messages are None; enumerations are the names of their values, such as "SUCCEEDED".
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Generic, Self, TypeVar, overload

from google.protobuf.json_format import MessageToDict

from taskwheel._values import from_struct, from_timestamp, from_value

T = TypeVar("T")


class _Field(Generic[T]):
    """An attribute of a view: the field of the same name, read by `read(message, name)`."""

    def __init__(self, read: Callable[[Any, str], T]) -> None:
        self._read = read

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, view: None, owner: type) -> Self: ...
    @overload
    def __get__(self, view: View, owner: type) -> T: ...
    def __get__(self, view: View | None, owner: type) -> Self | T:
        return self if view is None else self._read(view.raw, self._name)


def _text() -> _Field[str]:
    return _Field(getattr)


def _integer() -> _Field[int]:
    return _Field(getattr)


def _flag() -> _Field[bool]:
    return _Field(getattr)


def _texts() -> _Field[list[str]]:
    return _Field(lambda raw, name: list(getattr(raw, name)))


def _mapping() -> _Field[dict[str, str]]:
    return _Field(lambda raw, name: dict(getattr(raw, name)))


def _when_set(read: Callable[[Any], T]) -> _Field[T | None]:
    return _Field(lambda raw, name: read(getattr(raw, name)) if raw.HasField(name) else None)


def _instant() -> _Field[datetime | None]:
    return _when_set(from_timestamp)


def _length() -> _Field[timedelta | None]:
    return _when_set(lambda duration: duration.ToTimedelta())


def _object() -> _Field[dict[str, Any] | None]:
    return _when_set(from_struct)


def _enum() -> _Field[str]:
    def read(raw: Any, name: str) -> str:
        number = getattr(raw, name)
        value = raw.DESCRIPTOR.fields_by_name[name].enum_type.values_by_number.get(number)
        return value.name if value else str(number)

    return _Field(read)


class View:
    """A message of the API, read as Python values.

    Args:
        raw: the protobuf message.
    """

    __slots__ = ("raw",)

    def __init__(self, raw: Any) -> None:
        self.raw = raw

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self)) and self.raw == other.raw

    __hash__ = None  # type: ignore[assignment]  # messages can be changed

    def __repr__(self) -> str:
        told = " ".join(
            str(getattr(self, name)) for name in ("name", "sequence", "type", "state") if hasattr(self, name)
        )
        return f"<{type(self).__name__} {told}>"

    def to_dict(self) -> dict[str, Any]:
        """The message in the JSON form of protobuf, as other tools print it."""
        whole: dict[str, Any] = _whole(MessageToDict(self.raw))
        return whole


def _whole(value: Any) -> Any:
    """The JSON value with whole numbers as JSON has them, without a fraction."""
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


class Principal(View):
    """Who made a call: taskwheel.v1.Principal."""

    __slots__ = ()
    application = _text()
    user = _text()


class RunError(View):
    """Why an attempt did not succeed: taskwheel.v1.RunError."""

    __slots__ = ()
    type = _text()
    name = _text()
    message = _text()
    stack = _text()


class Progress(View):
    """How far a run has come: taskwheel.v1.Progress."""

    __slots__ = ()
    ratio: _Field[float] = _Field(getattr)
    message = _text()


class Pause(View):
    """Why, by whom and when a task was paused: taskwheel.v1.Task.Pause."""

    __slots__ = ()
    reason = _text()
    actor = _when_set(Principal)
    time = _instant()


class TaskRun(View):
    """One execution of a task: taskwheel.v1.TaskRun."""

    __slots__ = ()
    name = _text()
    uid = _text()
    task = _text()
    task_uid = _text()
    task_id = _text()
    handler = _text()
    state = _enum()
    done = _flag()
    state_reason = _text()
    state_change_time = _instant()
    trigger = _enum()
    attempt = _integer()
    priority = _integer()
    payload = _object()
    result = _when_set(from_value)
    error = _when_set(RunError)
    schedule_time = _instant()
    scheduled_time = _instant()
    first_scheduled_time = _instant()
    skipped_count = _integer()
    create_time = _instant()
    start_time = _instant()
    end_time = _instant()
    update_time = _instant()
    root_run = _text()
    retry_for_runs = _texts()
    retried_by_run = _text()
    tags = _texts()
    labels = _mapping()
    creator = _when_set(Principal)
    worker = _text()
    progress = _when_set(Progress)
    log_count = _integer()
    request_id = _text()


class Task(View):
    """What to run, when, and under which policy: taskwheel.v1.Task. Schedules and policies are messages."""

    __slots__ = ()
    name = _text()
    uid = _text()
    display_name = _text()
    description = _text()
    etag = _text()
    handler = _Field(lambda raw, _: str(raw.worker.handler))
    task_id = _Field(lambda raw, _: str(raw.name.rpartition("/")[2]))
    schedules: _Field[list[Any]] = _Field(lambda raw, name: list(getattr(raw, name)))
    state = _enum()
    paused = _flag()
    pause = _when_set(Pause)
    payload = _object()
    priority = _integer()
    tags = _texts()
    labels = _mapping()
    retry_policy: _Field[Any] = _when_set(lambda policy: policy)
    overlap_policy = _enum()
    misfire_policy: _Field[Any] = _when_set(lambda policy: policy)
    run_timeout = _length()
    start_deadline = _length()
    max_concurrent_runs = _integer()
    next_run_time = _instant()
    last_run_time = _instant()
    last_run = _text()
    creator = _when_set(Principal)
    create_time = _instant()
    update_time = _instant()


class TaskFailed(View):
    """What failed: taskwheel.v1.TaskFailed."""

    __slots__ = ()
    id = _text()
    function_name = _text()
    error = _when_set(RunError)


class Event(View):
    """Something that happened to a task or a run: taskwheel.v1.Event."""

    __slots__ = ()
    sequence = _integer()
    uid = _text()
    type = _text()
    time = _instant()
    task = _text()
    run = _text()
    task_snapshot = _when_set(Task)
    run_snapshot = _when_set(TaskRun)
    task_failed = _when_set(TaskFailed)


class LogEntry(View):
    """One line that a run wrote: taskwheel.v1.LogEntry."""

    __slots__ = ()
    sequence = _integer()
    run = _text()
    time = _instant()
    level = _enum()
    stream = _enum()
    message = _text()
    fields = _object()


class Slot(View):
    """An instant at which a task is due: taskwheel.v1.Slot."""

    __slots__ = ()
    time = _instant()
    dst = _enum()


class SchedulePreview(View):
    """The next slots, and what the schedules mean in English: taskwheel.v1.PreviewScheduleResponse."""

    __slots__ = ()
    slots = _Field(lambda raw, name: [Slot(slot) for slot in getattr(raw, name)])
    description = _text()


class ServerInfo(View):
    """What the server is and what it allows: taskwheel.v1.GetServerInfoResponse."""

    __slots__ = ()
    version = _text()
    database = _text()
    server_time = _instant()
    start_time = _instant()
    lease_duration = _length()
    retention = _Field(lambda raw, _: raw.limits.retention.ToTimedelta())
