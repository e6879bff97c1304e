import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from taskwheel.v1 import task_pb2 as _task_pb2
from taskwheel.v1 import task_run_pb2 as _task_run_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Event(_message.Message):
    __slots__ = ("sequence", "uid", "type", "time", "task", "run", "task_snapshot", "run_snapshot", "task_failed")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    UID_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    TASK_SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    RUN_SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    TASK_FAILED_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    uid: str
    type: str
    time: _timestamp_pb2.Timestamp
    task: str
    run: str
    task_snapshot: _task_pb2.Task
    run_snapshot: _task_run_pb2.TaskRun
    task_failed: TaskFailed
    def __init__(self, sequence: _Optional[int] = ..., uid: _Optional[str] = ..., type: _Optional[str] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., task: _Optional[str] = ..., run: _Optional[str] = ..., task_snapshot: _Optional[_Union[_task_pb2.Task, _Mapping]] = ..., run_snapshot: _Optional[_Union[_task_run_pb2.TaskRun, _Mapping]] = ..., task_failed: _Optional[_Union[TaskFailed, _Mapping]] = ...) -> None: ...

class TaskFailed(_message.Message):
    __slots__ = ("id", "function_name", "error")
    ID_FIELD_NUMBER: _ClassVar[int]
    FUNCTION_NAME_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    id: str
    function_name: str
    error: _task_run_pb2.RunError
    def __init__(self, id: _Optional[str] = ..., function_name: _Optional[str] = ..., error: _Optional[_Union[_task_run_pb2.RunError, _Mapping]] = ...) -> None: ...
