import datetime

from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from taskwheel.v1 import task_pb2 as _task_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TaskRun(_message.Message):
    __slots__ = ("name", "uid", "task", "task_uid", "task_id", "state", "done", "attempt", "payload", "result", "error", "create_time", "start_time", "end_time", "schedule_time", "state_change_time", "state_reason", "trigger", "scheduled_time", "first_scheduled_time", "skipped_count", "update_time", "priority", "root_run", "retry_for_runs", "retried_by_run", "tags", "labels", "creator", "worker", "progress", "log_count", "request_id", "handler")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATE_UNSPECIFIED: _ClassVar[TaskRun.State]
        PENDING: _ClassVar[TaskRun.State]
        RUNNING: _ClassVar[TaskRun.State]
        CANCELLING: _ClassVar[TaskRun.State]
        SUCCEEDED: _ClassVar[TaskRun.State]
        FAILED: _ClassVar[TaskRun.State]
        CANCELLED: _ClassVar[TaskRun.State]
        RETRIED: _ClassVar[TaskRun.State]
        SKIPPED: _ClassVar[TaskRun.State]
    STATE_UNSPECIFIED: TaskRun.State
    PENDING: TaskRun.State
    RUNNING: TaskRun.State
    CANCELLING: TaskRun.State
    SUCCEEDED: TaskRun.State
    FAILED: TaskRun.State
    CANCELLED: TaskRun.State
    RETRIED: TaskRun.State
    SKIPPED: TaskRun.State
    class Trigger(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        TRIGGER_UNSPECIFIED: _ClassVar[TaskRun.Trigger]
        MANUAL: _ClassVar[TaskRun.Trigger]
        SCHEDULE: _ClassVar[TaskRun.Trigger]
        RETRY: _ClassVar[TaskRun.Trigger]
        BACKFILL: _ClassVar[TaskRun.Trigger]
        CATCH_UP: _ClassVar[TaskRun.Trigger]
    TRIGGER_UNSPECIFIED: TaskRun.Trigger
    MANUAL: TaskRun.Trigger
    SCHEDULE: TaskRun.Trigger
    RETRY: TaskRun.Trigger
    BACKFILL: TaskRun.Trigger
    CATCH_UP: TaskRun.Trigger
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    UID_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    TASK_UID_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    SCHEDULE_TIME_FIELD_NUMBER: _ClassVar[int]
    STATE_CHANGE_TIME_FIELD_NUMBER: _ClassVar[int]
    STATE_REASON_FIELD_NUMBER: _ClassVar[int]
    TRIGGER_FIELD_NUMBER: _ClassVar[int]
    SCHEDULED_TIME_FIELD_NUMBER: _ClassVar[int]
    FIRST_SCHEDULED_TIME_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_COUNT_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    ROOT_RUN_FIELD_NUMBER: _ClassVar[int]
    RETRY_FOR_RUNS_FIELD_NUMBER: _ClassVar[int]
    RETRIED_BY_RUN_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    CREATOR_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    LOG_COUNT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    HANDLER_FIELD_NUMBER: _ClassVar[int]
    name: str
    uid: str
    task: str
    task_uid: str
    task_id: str
    state: TaskRun.State
    done: bool
    attempt: int
    payload: _struct_pb2.Struct
    result: _struct_pb2.Value
    error: RunError
    create_time: _timestamp_pb2.Timestamp
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    schedule_time: _timestamp_pb2.Timestamp
    state_change_time: _timestamp_pb2.Timestamp
    state_reason: str
    trigger: TaskRun.Trigger
    scheduled_time: _timestamp_pb2.Timestamp
    first_scheduled_time: _timestamp_pb2.Timestamp
    skipped_count: int
    update_time: _timestamp_pb2.Timestamp
    priority: int
    root_run: str
    retry_for_runs: _containers.RepeatedScalarFieldContainer[str]
    retried_by_run: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    labels: _containers.ScalarMap[str, str]
    creator: _task_pb2.Principal
    worker: str
    progress: Progress
    log_count: int
    request_id: str
    handler: str
    def __init__(self, name: _Optional[str] = ..., uid: _Optional[str] = ..., task: _Optional[str] = ..., task_uid: _Optional[str] = ..., task_id: _Optional[str] = ..., state: _Optional[_Union[TaskRun.State, str]] = ..., done: _Optional[bool] = ..., attempt: _Optional[int] = ..., payload: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., result: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., error: _Optional[_Union[RunError, _Mapping]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., schedule_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., state_change_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., state_reason: _Optional[str] = ..., trigger: _Optional[_Union[TaskRun.Trigger, str]] = ..., scheduled_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., first_scheduled_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., skipped_count: _Optional[int] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., priority: _Optional[int] = ..., root_run: _Optional[str] = ..., retry_for_runs: _Optional[_Iterable[str]] = ..., retried_by_run: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., labels: _Optional[_Mapping[str, str]] = ..., creator: _Optional[_Union[_task_pb2.Principal, _Mapping]] = ..., worker: _Optional[str] = ..., progress: _Optional[_Union[Progress, _Mapping]] = ..., log_count: _Optional[int] = ..., request_id: _Optional[str] = ..., handler: _Optional[str] = ...) -> None: ...

class RunError(_message.Message):
    __slots__ = ("type", "name", "message", "stack")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    STACK_FIELD_NUMBER: _ClassVar[int]
    type: str
    name: str
    message: str
    stack: str
    def __init__(self, type: _Optional[str] = ..., name: _Optional[str] = ..., message: _Optional[str] = ..., stack: _Optional[str] = ...) -> None: ...

class Progress(_message.Message):
    __slots__ = ("ratio", "message")
    RATIO_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    ratio: float
    message: str
    def __init__(self, ratio: _Optional[float] = ..., message: _Optional[str] = ...) -> None: ...
