import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from taskwheel.v1 import log_entry_pb2 as _log_entry_pb2
from taskwheel.v1 import task_run_pb2 as _task_run_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class WorkRequest(_message.Message):
    __slots__ = ("hello", "results", "logs", "renewals", "releases", "drain")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    LOGS_FIELD_NUMBER: _ClassVar[int]
    RENEWALS_FIELD_NUMBER: _ClassVar[int]
    RELEASES_FIELD_NUMBER: _ClassVar[int]
    DRAIN_FIELD_NUMBER: _ClassVar[int]
    hello: Hello
    results: _containers.RepeatedCompositeFieldContainer[RunResult]
    logs: _containers.RepeatedCompositeFieldContainer[AppendLogsRequest]
    renewals: _containers.RepeatedCompositeFieldContainer[Lease]
    releases: _containers.RepeatedCompositeFieldContainer[Lease]
    drain: bool
    def __init__(self, hello: _Optional[_Union[Hello, _Mapping]] = ..., results: _Optional[_Iterable[_Union[RunResult, _Mapping]]] = ..., logs: _Optional[_Iterable[_Union[AppendLogsRequest, _Mapping]]] = ..., renewals: _Optional[_Iterable[_Union[Lease, _Mapping]]] = ..., releases: _Optional[_Iterable[_Union[Lease, _Mapping]]] = ..., drain: _Optional[bool] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("parent", "worker_id", "handlers", "max_concurrent_runs")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    HANDLERS_FIELD_NUMBER: _ClassVar[int]
    MAX_CONCURRENT_RUNS_FIELD_NUMBER: _ClassVar[int]
    parent: str
    worker_id: str
    handlers: _containers.RepeatedScalarFieldContainer[str]
    max_concurrent_runs: int
    def __init__(self, parent: _Optional[str] = ..., worker_id: _Optional[str] = ..., handlers: _Optional[_Iterable[str]] = ..., max_concurrent_runs: _Optional[int] = ...) -> None: ...

class WorkResponse(_message.Message):
    __slots__ = ("welcome", "assignments", "acknowledgements", "cancellations", "goaway")
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    ASSIGNMENTS_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGEMENTS_FIELD_NUMBER: _ClassVar[int]
    CANCELLATIONS_FIELD_NUMBER: _ClassVar[int]
    GOAWAY_FIELD_NUMBER: _ClassVar[int]
    welcome: Welcome
    assignments: _containers.RepeatedCompositeFieldContainer[Assignment]
    acknowledgements: _containers.RepeatedCompositeFieldContainer[Acknowledgement]
    cancellations: _containers.RepeatedCompositeFieldContainer[Cancellation]
    goaway: bool
    def __init__(self, welcome: _Optional[_Union[Welcome, _Mapping]] = ..., assignments: _Optional[_Iterable[_Union[Assignment, _Mapping]]] = ..., acknowledgements: _Optional[_Iterable[_Union[Acknowledgement, _Mapping]]] = ..., cancellations: _Optional[_Iterable[_Union[Cancellation, _Mapping]]] = ..., goaway: _Optional[bool] = ...) -> None: ...

class Welcome(_message.Message):
    __slots__ = ("lease_duration",)
    LEASE_DURATION_FIELD_NUMBER: _ClassVar[int]
    lease_duration: _duration_pb2.Duration
    def __init__(self, lease_duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class Assignment(_message.Message):
    __slots__ = ("run", "lease_token", "lease_expire_time")
    RUN_FIELD_NUMBER: _ClassVar[int]
    LEASE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    LEASE_EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    run: _task_run_pb2.TaskRun
    lease_token: str
    lease_expire_time: _timestamp_pb2.Timestamp
    def __init__(self, run: _Optional[_Union[_task_run_pb2.TaskRun, _Mapping]] = ..., lease_token: _Optional[str] = ..., lease_expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Lease(_message.Message):
    __slots__ = ("run", "attempt", "lease_token", "progress")
    RUN_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    LEASE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    run: str
    attempt: int
    lease_token: str
    progress: _task_run_pb2.Progress
    def __init__(self, run: _Optional[str] = ..., attempt: _Optional[int] = ..., lease_token: _Optional[str] = ..., progress: _Optional[_Union[_task_run_pb2.Progress, _Mapping]] = ...) -> None: ...

class RunResult(_message.Message):
    __slots__ = ("run", "attempt", "lease_token", "result", "error", "cancelled")
    RUN_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    LEASE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    CANCELLED_FIELD_NUMBER: _ClassVar[int]
    run: str
    attempt: int
    lease_token: str
    result: _struct_pb2.Value
    error: _task_run_pb2.RunError
    cancelled: bool
    def __init__(self, run: _Optional[str] = ..., attempt: _Optional[int] = ..., lease_token: _Optional[str] = ..., result: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., error: _Optional[_Union[_task_run_pb2.RunError, _Mapping]] = ..., cancelled: _Optional[bool] = ...) -> None: ...

class Acknowledgement(_message.Message):
    __slots__ = ("run", "status")
    class Status(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATUS_UNSPECIFIED: _ClassVar[Acknowledgement.Status]
        ACCEPTED: _ClassVar[Acknowledgement.Status]
        LEASE_LOST: _ClassVar[Acknowledgement.Status]
    STATUS_UNSPECIFIED: Acknowledgement.Status
    ACCEPTED: Acknowledgement.Status
    LEASE_LOST: Acknowledgement.Status
    RUN_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    run: str
    status: Acknowledgement.Status
    def __init__(self, run: _Optional[str] = ..., status: _Optional[_Union[Acknowledgement.Status, str]] = ...) -> None: ...

class Cancellation(_message.Message):
    __slots__ = ("run", "attempt", "reason")
    class Reason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        REASON_UNSPECIFIED: _ClassVar[Cancellation.Reason]
        CANCEL_REQUESTED: _ClassVar[Cancellation.Reason]
        LEASE_LOST: _ClassVar[Cancellation.Reason]
    REASON_UNSPECIFIED: Cancellation.Reason
    CANCEL_REQUESTED: Cancellation.Reason
    LEASE_LOST: Cancellation.Reason
    RUN_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    run: str
    attempt: int
    reason: Cancellation.Reason
    def __init__(self, run: _Optional[str] = ..., attempt: _Optional[int] = ..., reason: _Optional[_Union[Cancellation.Reason, str]] = ...) -> None: ...

class ClaimTaskRunsRequest(_message.Message):
    __slots__ = ("parent", "worker_id", "handlers", "max_runs", "wait")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    HANDLERS_FIELD_NUMBER: _ClassVar[int]
    MAX_RUNS_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    parent: str
    worker_id: str
    handlers: _containers.RepeatedScalarFieldContainer[str]
    max_runs: int
    wait: _duration_pb2.Duration
    def __init__(self, parent: _Optional[str] = ..., worker_id: _Optional[str] = ..., handlers: _Optional[_Iterable[str]] = ..., max_runs: _Optional[int] = ..., wait: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class ClaimTaskRunsResponse(_message.Message):
    __slots__ = ("assignments",)
    ASSIGNMENTS_FIELD_NUMBER: _ClassVar[int]
    assignments: _containers.RepeatedCompositeFieldContainer[Assignment]
    def __init__(self, assignments: _Optional[_Iterable[_Union[Assignment, _Mapping]]] = ...) -> None: ...

class RenewLeasesRequest(_message.Message):
    __slots__ = ("leases",)
    LEASES_FIELD_NUMBER: _ClassVar[int]
    leases: _containers.RepeatedCompositeFieldContainer[Lease]
    def __init__(self, leases: _Optional[_Iterable[_Union[Lease, _Mapping]]] = ...) -> None: ...

class RenewLeasesResponse(_message.Message):
    __slots__ = ("leases",)
    LEASES_FIELD_NUMBER: _ClassVar[int]
    leases: _containers.RepeatedCompositeFieldContainer[LeaseRenewal]
    def __init__(self, leases: _Optional[_Iterable[_Union[LeaseRenewal, _Mapping]]] = ...) -> None: ...

class LeaseRenewal(_message.Message):
    __slots__ = ("run", "status", "lease_expire_time", "cancel_requested")
    class Status(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATUS_UNSPECIFIED: _ClassVar[LeaseRenewal.Status]
        RENEWED: _ClassVar[LeaseRenewal.Status]
        LEASE_LOST: _ClassVar[LeaseRenewal.Status]
    STATUS_UNSPECIFIED: LeaseRenewal.Status
    RENEWED: LeaseRenewal.Status
    LEASE_LOST: LeaseRenewal.Status
    RUN_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    LEASE_EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    CANCEL_REQUESTED_FIELD_NUMBER: _ClassVar[int]
    run: str
    status: LeaseRenewal.Status
    lease_expire_time: _timestamp_pb2.Timestamp
    cancel_requested: bool
    def __init__(self, run: _Optional[str] = ..., status: _Optional[_Union[LeaseRenewal.Status, str]] = ..., lease_expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., cancel_requested: _Optional[bool] = ...) -> None: ...

class CompleteTaskRunsRequest(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[RunResult]
    def __init__(self, results: _Optional[_Iterable[_Union[RunResult, _Mapping]]] = ...) -> None: ...

class CompleteTaskRunsResponse(_message.Message):
    __slots__ = ("acknowledgements",)
    ACKNOWLEDGEMENTS_FIELD_NUMBER: _ClassVar[int]
    acknowledgements: _containers.RepeatedCompositeFieldContainer[Acknowledgement]
    def __init__(self, acknowledgements: _Optional[_Iterable[_Union[Acknowledgement, _Mapping]]] = ...) -> None: ...

class AppendLogsRequest(_message.Message):
    __slots__ = ("run", "attempt", "lease_token", "entries")
    RUN_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    LEASE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    run: str
    attempt: int
    lease_token: str
    entries: _containers.RepeatedCompositeFieldContainer[_log_entry_pb2.LogEntry]
    def __init__(self, run: _Optional[str] = ..., attempt: _Optional[int] = ..., lease_token: _Optional[str] = ..., entries: _Optional[_Iterable[_Union[_log_entry_pb2.LogEntry, _Mapping]]] = ...) -> None: ...

class AppendLogsResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
