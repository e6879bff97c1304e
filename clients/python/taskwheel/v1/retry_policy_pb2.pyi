import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RetryPolicy(_message.Message):
    __slots__ = ("max_attempts", "exponential_backoff", "fixed_delays", "jitter_ratio", "retryable_error_names", "non_retryable_error_names", "retry_on_lost")
    MAX_ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    EXPONENTIAL_BACKOFF_FIELD_NUMBER: _ClassVar[int]
    FIXED_DELAYS_FIELD_NUMBER: _ClassVar[int]
    JITTER_RATIO_FIELD_NUMBER: _ClassVar[int]
    RETRYABLE_ERROR_NAMES_FIELD_NUMBER: _ClassVar[int]
    NON_RETRYABLE_ERROR_NAMES_FIELD_NUMBER: _ClassVar[int]
    RETRY_ON_LOST_FIELD_NUMBER: _ClassVar[int]
    max_attempts: int
    exponential_backoff: ExponentialBackoff
    fixed_delays: FixedDelays
    jitter_ratio: float
    retryable_error_names: _containers.RepeatedScalarFieldContainer[str]
    non_retryable_error_names: _containers.RepeatedScalarFieldContainer[str]
    retry_on_lost: bool
    def __init__(self, max_attempts: _Optional[int] = ..., exponential_backoff: _Optional[_Union[ExponentialBackoff, _Mapping]] = ..., fixed_delays: _Optional[_Union[FixedDelays, _Mapping]] = ..., jitter_ratio: _Optional[float] = ..., retryable_error_names: _Optional[_Iterable[str]] = ..., non_retryable_error_names: _Optional[_Iterable[str]] = ..., retry_on_lost: _Optional[bool] = ...) -> None: ...

class ExponentialBackoff(_message.Message):
    __slots__ = ("initial_delay", "multiplier", "max_delay")
    INITIAL_DELAY_FIELD_NUMBER: _ClassVar[int]
    MULTIPLIER_FIELD_NUMBER: _ClassVar[int]
    MAX_DELAY_FIELD_NUMBER: _ClassVar[int]
    initial_delay: _duration_pb2.Duration
    multiplier: float
    max_delay: _duration_pb2.Duration
    def __init__(self, initial_delay: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., multiplier: _Optional[float] = ..., max_delay: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class FixedDelays(_message.Message):
    __slots__ = ("delays",)
    DELAYS_FIELD_NUMBER: _ClassVar[int]
    delays: _containers.RepeatedCompositeFieldContainer[_duration_pb2.Duration]
    def __init__(self, delays: _Optional[_Iterable[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]]] = ...) -> None: ...
