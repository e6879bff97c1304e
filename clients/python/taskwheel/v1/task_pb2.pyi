import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from taskwheel.v1 import retry_policy_pb2 as _retry_policy_pb2
from taskwheel.v1 import schedule_pb2 as _schedule_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Task(_message.Message):
    __slots__ = ("name", "uid", "display_name", "worker", "schedules", "paused", "payload", "priority", "tags", "labels", "state", "next_run_time", "retry_policy", "overlap_policy", "misfire_policy", "run_timeout", "start_deadline", "max_concurrent_runs", "description", "etag", "pause", "last_run_time", "last_run", "creator", "create_time", "update_time")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATE_UNSPECIFIED: _ClassVar[Task.State]
        ACTIVE: _ClassVar[Task.State]
        PAUSED: _ClassVar[Task.State]
    STATE_UNSPECIFIED: Task.State
    ACTIVE: Task.State
    PAUSED: Task.State
    class OverlapPolicy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        OVERLAP_POLICY_UNSPECIFIED: _ClassVar[Task.OverlapPolicy]
        ALLOW: _ClassVar[Task.OverlapPolicy]
        SKIP: _ClassVar[Task.OverlapPolicy]
        QUEUE_ONE: _ClassVar[Task.OverlapPolicy]
        CANCEL_RUNNING: _ClassVar[Task.OverlapPolicy]
    OVERLAP_POLICY_UNSPECIFIED: Task.OverlapPolicy
    ALLOW: Task.OverlapPolicy
    SKIP: Task.OverlapPolicy
    QUEUE_ONE: Task.OverlapPolicy
    CANCEL_RUNNING: Task.OverlapPolicy
    class Pause(_message.Message):
        __slots__ = ("reason", "actor", "time")
        REASON_FIELD_NUMBER: _ClassVar[int]
        ACTOR_FIELD_NUMBER: _ClassVar[int]
        TIME_FIELD_NUMBER: _ClassVar[int]
        reason: str
        actor: Principal
        time: _timestamp_pb2.Timestamp
        def __init__(self, reason: _Optional[str] = ..., actor: _Optional[_Union[Principal, _Mapping]] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    UID_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    SCHEDULES_FIELD_NUMBER: _ClassVar[int]
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    NEXT_RUN_TIME_FIELD_NUMBER: _ClassVar[int]
    RETRY_POLICY_FIELD_NUMBER: _ClassVar[int]
    OVERLAP_POLICY_FIELD_NUMBER: _ClassVar[int]
    MISFIRE_POLICY_FIELD_NUMBER: _ClassVar[int]
    RUN_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    START_DEADLINE_FIELD_NUMBER: _ClassVar[int]
    MAX_CONCURRENT_RUNS_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    PAUSE_FIELD_NUMBER: _ClassVar[int]
    LAST_RUN_TIME_FIELD_NUMBER: _ClassVar[int]
    LAST_RUN_FIELD_NUMBER: _ClassVar[int]
    CREATOR_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    name: str
    uid: str
    display_name: str
    worker: WorkerTarget
    schedules: _containers.RepeatedCompositeFieldContainer[_schedule_pb2.Schedule]
    paused: bool
    payload: _struct_pb2.Struct
    priority: int
    tags: _containers.RepeatedScalarFieldContainer[str]
    labels: _containers.ScalarMap[str, str]
    state: Task.State
    next_run_time: _timestamp_pb2.Timestamp
    retry_policy: _retry_policy_pb2.RetryPolicy
    overlap_policy: Task.OverlapPolicy
    misfire_policy: _schedule_pb2.MisfirePolicy
    run_timeout: _duration_pb2.Duration
    start_deadline: _duration_pb2.Duration
    max_concurrent_runs: int
    description: str
    etag: str
    pause: Task.Pause
    last_run_time: _timestamp_pb2.Timestamp
    last_run: str
    creator: Principal
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., uid: _Optional[str] = ..., display_name: _Optional[str] = ..., worker: _Optional[_Union[WorkerTarget, _Mapping]] = ..., schedules: _Optional[_Iterable[_Union[_schedule_pb2.Schedule, _Mapping]]] = ..., paused: _Optional[bool] = ..., payload: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., priority: _Optional[int] = ..., tags: _Optional[_Iterable[str]] = ..., labels: _Optional[_Mapping[str, str]] = ..., state: _Optional[_Union[Task.State, str]] = ..., next_run_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., retry_policy: _Optional[_Union[_retry_policy_pb2.RetryPolicy, _Mapping]] = ..., overlap_policy: _Optional[_Union[Task.OverlapPolicy, str]] = ..., misfire_policy: _Optional[_Union[_schedule_pb2.MisfirePolicy, _Mapping]] = ..., run_timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., start_deadline: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., max_concurrent_runs: _Optional[int] = ..., description: _Optional[str] = ..., etag: _Optional[str] = ..., pause: _Optional[_Union[Task.Pause, _Mapping]] = ..., last_run_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_run: _Optional[str] = ..., creator: _Optional[_Union[Principal, _Mapping]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class WorkerTarget(_message.Message):
    __slots__ = ("handler",)
    HANDLER_FIELD_NUMBER: _ClassVar[int]
    handler: str
    def __init__(self, handler: _Optional[str] = ...) -> None: ...

class Principal(_message.Message):
    __slots__ = ("application", "user")
    APPLICATION_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    application: str
    user: str
    def __init__(self, application: _Optional[str] = ..., user: _Optional[str] = ...) -> None: ...
