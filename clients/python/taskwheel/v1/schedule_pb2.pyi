import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Schedule(_message.Message):
    __slots__ = ("cron", "interval", "at", "time_zone", "start_time", "end_time", "jitter", "dst_gap", "dst_overlap")
    class DstGap(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        DST_GAP_UNSPECIFIED: _ClassVar[Schedule.DstGap]
        RUN_AFTER_GAP: _ClassVar[Schedule.DstGap]
        SKIP: _ClassVar[Schedule.DstGap]
    DST_GAP_UNSPECIFIED: Schedule.DstGap
    RUN_AFTER_GAP: Schedule.DstGap
    SKIP: Schedule.DstGap
    class DstOverlap(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        DST_OVERLAP_UNSPECIFIED: _ClassVar[Schedule.DstOverlap]
        FIRST: _ClassVar[Schedule.DstOverlap]
        BOTH: _ClassVar[Schedule.DstOverlap]
    DST_OVERLAP_UNSPECIFIED: Schedule.DstOverlap
    FIRST: Schedule.DstOverlap
    BOTH: Schedule.DstOverlap
    CRON_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    TIME_ZONE_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    JITTER_FIELD_NUMBER: _ClassVar[int]
    DST_GAP_FIELD_NUMBER: _ClassVar[int]
    DST_OVERLAP_FIELD_NUMBER: _ClassVar[int]
    cron: str
    interval: _duration_pb2.Duration
    at: _timestamp_pb2.Timestamp
    time_zone: str
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    jitter: _duration_pb2.Duration
    dst_gap: Schedule.DstGap
    dst_overlap: Schedule.DstOverlap
    def __init__(self, cron: _Optional[str] = ..., interval: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., time_zone: _Optional[str] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., jitter: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., dst_gap: _Optional[_Union[Schedule.DstGap, str]] = ..., dst_overlap: _Optional[_Union[Schedule.DstOverlap, str]] = ...) -> None: ...

class MisfirePolicy(_message.Message):
    __slots__ = ("mode", "catchup_window", "max_catchup_runs")
    class Mode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        MODE_UNSPECIFIED: _ClassVar[MisfirePolicy.Mode]
        RUN_ONCE: _ClassVar[MisfirePolicy.Mode]
        RUN_ALL: _ClassVar[MisfirePolicy.Mode]
        SKIP: _ClassVar[MisfirePolicy.Mode]
    MODE_UNSPECIFIED: MisfirePolicy.Mode
    RUN_ONCE: MisfirePolicy.Mode
    RUN_ALL: MisfirePolicy.Mode
    SKIP: MisfirePolicy.Mode
    MODE_FIELD_NUMBER: _ClassVar[int]
    CATCHUP_WINDOW_FIELD_NUMBER: _ClassVar[int]
    MAX_CATCHUP_RUNS_FIELD_NUMBER: _ClassVar[int]
    mode: MisfirePolicy.Mode
    catchup_window: _duration_pb2.Duration
    max_catchup_runs: int
    def __init__(self, mode: _Optional[_Union[MisfirePolicy.Mode, str]] = ..., catchup_window: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., max_catchup_runs: _Optional[int] = ...) -> None: ...
