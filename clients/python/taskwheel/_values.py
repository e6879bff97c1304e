"""Python values to and from those of the API: JSON as google.protobuf.Struct and Value, times, durations.

Payloads and results are JSON. Numbers are doubles on the wire, so an integer beyond 2^53 would silently become another
one: it is refused, as is all that JSON does not have. Whole numbers come back as int.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.struct_pb2 import NULL_VALUE, ListValue, Struct, Value
from google.protobuf.timestamp_pb2 import Timestamp

from taskwheel._errors import UnsupportedValue

# Doubles hold every integer up to here.
_MAX_INTEGER = 2**53

# The bound of the server. Past it most parsers of protobuf give up, and a value that holds itself ends here too.
_MAX_DEPTH = 32

# Tuples, with the usual type first: a union or an abstract class alone takes several times as long to ask.
_NUMBERS = (int, float)
_OBJECTS = (dict, Mapping)
_ARRAYS = (list, tuple)


def to_struct(source: Mapping[str, Any], name: str = "payload") -> Struct:
    """A JSON object as a Struct.

    Raises:
        UnsupportedValue: a part of it is not JSON, an integer beyond 2^53, or nested deeper than 32 levels. Its path
            begins with `name`.
    """
    target = Struct()
    if not isinstance(source, Mapping):
        raise UnsupportedValue(f"must be an object with names, not {type(source).__name__}", name)
    try:
        _fill_struct(target, source, 1)
    except UnsupportedValue as error:
        raise error.within(name) from None
    return target


def fill_value(target: Value, source: Any, name: str = "result") -> None:
    """Set a Value to a JSON value. Raises UnsupportedValue as to_struct does."""
    try:
        _fill_value(target, source, 0)
    except UnsupportedValue as error:
        raise error.within(name) from None


def _fill_struct(target: Struct, source: Mapping[str, Any], depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise UnsupportedValue(f"nested deeper than {_MAX_DEPTH} levels")
    fields = target.fields
    for key, item in source.items():
        if not isinstance(key, str):
            raise UnsupportedValue(f"names must be strings, not {type(key).__name__}")
        try:
            _fill_value(fields[key], item, depth)
        except UnsupportedValue as error:
            raise error.within(key) from None
        except UnicodeEncodeError as error:
            raise UnsupportedValue(f"not valid Unicode: {error.reason}").within(ascii(key)) from None


def _fill_list(target: ListValue, source: list[Any] | tuple[Any, ...], depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise UnsupportedValue(f"nested deeper than {_MAX_DEPTH} levels")
    values = target.values
    for index, item in enumerate(source):
        try:
            _fill_value(values.add(), item, depth)
        except UnsupportedValue as error:
            raise error.within(f"[{index}]") from None


def _fill_value(target: Value, source: Any, depth: int) -> None:
    if isinstance(source, str):
        try:
            target.string_value = source
        except UnicodeEncodeError as error:
            raise UnsupportedValue(f"not valid Unicode: {error.reason}") from None
    elif source is None:
        target.null_value = NULL_VALUE
    elif isinstance(source, bool):
        target.bool_value = source
    elif isinstance(source, _NUMBERS):
        target.number_value = _number(source)
    elif isinstance(source, _OBJECTS):
        target.struct_value.SetInParent()
        _fill_struct(target.struct_value, source, depth + 1)
    elif isinstance(source, _ARRAYS):
        target.list_value.SetInParent()
        _fill_list(target.list_value, source, depth + 1)
    else:
        raise UnsupportedValue(f"{type(source).__name__} is not JSON")


def _number(source: float) -> float:
    if isinstance(source, int) and not -_MAX_INTEGER <= source <= _MAX_INTEGER:
        raise UnsupportedValue("an integer beyond 2^53 would lose digits; send it as a string")
    if not math.isfinite(source):
        raise UnsupportedValue(f"{source} is not a JSON number")
    return source


def from_struct(source: Struct) -> dict[str, Any]:
    """The JSON object in a Struct."""
    fields = source.fields
    return {key: from_value(fields[key]) for key in fields}  # items() of a protobuf map is slow


def from_value(source: Value) -> Any:
    """The JSON value in a Value."""
    kind = source.WhichOneof("kind")
    if kind == "string_value":
        return source.string_value
    if kind == "number_value":
        number = source.number_value
        return int(number) if number.is_integer() and abs(number) <= _MAX_INTEGER else number
    if kind == "bool_value":
        return source.bool_value
    if kind == "struct_value":
        return from_struct(source.struct_value)
    if kind == "list_value":
        return [from_value(value) for value in source.list_value.values]
    return None


def to_timestamp(instant: datetime) -> Timestamp:
    """An aware datetime as a Timestamp. Raises UnsupportedValue for a naive one, which names no instant."""
    if instant.utcoffset() is None:
        raise UnsupportedValue(f"{instant.isoformat()} has no time zone and so names no instant")
    stamp = Timestamp()
    stamp.FromDatetime(instant)
    return stamp


def from_timestamp(stamp: Timestamp) -> datetime:
    """A Timestamp as an aware datetime in UTC."""
    return stamp.ToDatetime(tzinfo=UTC)


def to_duration(length: timedelta | float) -> Duration:
    """A timedelta, or a number of seconds, as a Duration."""
    duration = Duration()
    duration.FromTimedelta(length if isinstance(length, timedelta) else timedelta(seconds=length))
    return duration


def clip(text: str, size: int) -> str:
    """The text as UTF-8 can carry it, cut to `size` bytes."""
    return text.encode("utf-8", "replace")[:size].decode("utf-8", "ignore")
