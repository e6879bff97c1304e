import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetServerInfoRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetServerInfoResponse(_message.Message):
    __slots__ = ("version", "database", "server_time", "start_time", "lease_duration", "limits")
    class Limits(_message.Message):
        __slots__ = ("max_payload_bytes", "max_payload_depth", "max_message_bytes", "max_batch_size", "max_log_message_bytes", "retention")
        MAX_PAYLOAD_BYTES_FIELD_NUMBER: _ClassVar[int]
        MAX_PAYLOAD_DEPTH_FIELD_NUMBER: _ClassVar[int]
        MAX_MESSAGE_BYTES_FIELD_NUMBER: _ClassVar[int]
        MAX_BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
        MAX_LOG_MESSAGE_BYTES_FIELD_NUMBER: _ClassVar[int]
        RETENTION_FIELD_NUMBER: _ClassVar[int]
        max_payload_bytes: int
        max_payload_depth: int
        max_message_bytes: int
        max_batch_size: int
        max_log_message_bytes: int
        retention: _duration_pb2.Duration
        def __init__(self, max_payload_bytes: _Optional[int] = ..., max_payload_depth: _Optional[int] = ..., max_message_bytes: _Optional[int] = ..., max_batch_size: _Optional[int] = ..., max_log_message_bytes: _Optional[int] = ..., retention: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...
    VERSION_FIELD_NUMBER: _ClassVar[int]
    DATABASE_FIELD_NUMBER: _ClassVar[int]
    SERVER_TIME_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    LEASE_DURATION_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    version: str
    database: str
    server_time: _timestamp_pb2.Timestamp
    start_time: _timestamp_pb2.Timestamp
    lease_duration: _duration_pb2.Duration
    limits: GetServerInfoResponse.Limits
    def __init__(self, version: _Optional[str] = ..., database: _Optional[str] = ..., server_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., lease_duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., limits: _Optional[_Union[GetServerInfoResponse.Limits, _Mapping]] = ...) -> None: ...
