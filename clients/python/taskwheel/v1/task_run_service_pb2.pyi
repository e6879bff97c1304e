import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from taskwheel.v1 import log_entry_pb2 as _log_entry_pb2
from taskwheel.v1 import task_run_pb2 as _task_run_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetTaskRunRequest(_message.Message):
    __slots__ = ("name", "task", "follow_retries")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    FOLLOW_RETRIES_FIELD_NUMBER: _ClassVar[int]
    name: str
    task: str
    follow_retries: bool
    def __init__(self, name: _Optional[str] = ..., task: _Optional[str] = ..., follow_retries: _Optional[bool] = ...) -> None: ...

class ListTaskRunsRequest(_message.Message):
    __slots__ = ("parent", "page_size", "page_token", "filter", "order_by", "view")
    class View(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        VIEW_UNSPECIFIED: _ClassVar[ListTaskRunsRequest.View]
        BASIC: _ClassVar[ListTaskRunsRequest.View]
        FULL: _ClassVar[ListTaskRunsRequest.View]
    VIEW_UNSPECIFIED: ListTaskRunsRequest.View
    BASIC: ListTaskRunsRequest.View
    FULL: ListTaskRunsRequest.View
    PARENT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    ORDER_BY_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    parent: str
    page_size: int
    page_token: str
    filter: str
    order_by: str
    view: ListTaskRunsRequest.View
    def __init__(self, parent: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., filter: _Optional[str] = ..., order_by: _Optional[str] = ..., view: _Optional[_Union[ListTaskRunsRequest.View, str]] = ...) -> None: ...

class ListTaskRunsResponse(_message.Message):
    __slots__ = ("task_runs", "next_page_token", "total_size")
    TASK_RUNS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    TOTAL_SIZE_FIELD_NUMBER: _ClassVar[int]
    task_runs: _containers.RepeatedCompositeFieldContainer[_task_run_pb2.TaskRun]
    next_page_token: str
    total_size: int
    def __init__(self, task_runs: _Optional[_Iterable[_Union[_task_run_pb2.TaskRun, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., total_size: _Optional[int] = ...) -> None: ...

class CancelTaskRunRequest(_message.Message):
    __slots__ = ("name", "reason", "pending_only")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    PENDING_ONLY_FIELD_NUMBER: _ClassVar[int]
    name: str
    reason: str
    pending_only: bool
    def __init__(self, name: _Optional[str] = ..., reason: _Optional[str] = ..., pending_only: _Optional[bool] = ...) -> None: ...

class WaitTaskRunRequest(_message.Message):
    __slots__ = ("name", "timeout", "follow_retries")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    FOLLOW_RETRIES_FIELD_NUMBER: _ClassVar[int]
    name: str
    timeout: _duration_pb2.Duration
    follow_retries: bool
    def __init__(self, name: _Optional[str] = ..., timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., follow_retries: _Optional[bool] = ...) -> None: ...

class StreamTaskRunLogsRequest(_message.Message):
    __slots__ = ("name", "after_sequence", "follow", "follow_retries", "min_level")
    NAME_FIELD_NUMBER: _ClassVar[int]
    AFTER_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    FOLLOW_FIELD_NUMBER: _ClassVar[int]
    FOLLOW_RETRIES_FIELD_NUMBER: _ClassVar[int]
    MIN_LEVEL_FIELD_NUMBER: _ClassVar[int]
    name: str
    after_sequence: int
    follow: bool
    follow_retries: bool
    min_level: _log_entry_pb2.LogEntry.Level
    def __init__(self, name: _Optional[str] = ..., after_sequence: _Optional[int] = ..., follow: _Optional[bool] = ..., follow_retries: _Optional[bool] = ..., min_level: _Optional[_Union[_log_entry_pb2.LogEntry.Level, str]] = ...) -> None: ...

class StreamTaskRunLogsResponse(_message.Message):
    __slots__ = ("entries",)
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[_log_entry_pb2.LogEntry]
    def __init__(self, entries: _Optional[_Iterable[_Union[_log_entry_pb2.LogEntry, _Mapping]]] = ...) -> None: ...
