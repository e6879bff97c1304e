import datetime

from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class LogEntry(_message.Message):
    __slots__ = ("sequence", "run", "time", "level", "stream", "message", "fields")
    class Level(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        LEVEL_UNSPECIFIED: _ClassVar[LogEntry.Level]
        DEBUG: _ClassVar[LogEntry.Level]
        INFO: _ClassVar[LogEntry.Level]
        WARNING: _ClassVar[LogEntry.Level]
        ERROR: _ClassVar[LogEntry.Level]
    LEVEL_UNSPECIFIED: LogEntry.Level
    DEBUG: LogEntry.Level
    INFO: LogEntry.Level
    WARNING: LogEntry.Level
    ERROR: LogEntry.Level
    class Stream(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STREAM_UNSPECIFIED: _ClassVar[LogEntry.Stream]
        LOG: _ClassVar[LogEntry.Stream]
        STDOUT: _ClassVar[LogEntry.Stream]
        STDERR: _ClassVar[LogEntry.Stream]
        SYSTEM: _ClassVar[LogEntry.Stream]
    STREAM_UNSPECIFIED: LogEntry.Stream
    LOG: LogEntry.Stream
    STDOUT: LogEntry.Stream
    STDERR: LogEntry.Stream
    SYSTEM: LogEntry.Stream
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    run: str
    time: _timestamp_pb2.Timestamp
    level: LogEntry.Level
    stream: LogEntry.Stream
    message: str
    fields: _struct_pb2.Struct
    def __init__(self, sequence: _Optional[int] = ..., run: _Optional[str] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., level: _Optional[_Union[LogEntry.Level, str]] = ..., stream: _Optional[_Union[LogEntry.Stream, str]] = ..., message: _Optional[str] = ..., fields: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...
