"""Payloads, results and log fields: JSON values that the server stores and hands on as bytes.

What is taken here, every peer can read: it is well-formed, at most 1 MiB, at most 32 levels of objects deep and without
NaN and infinities, which JSON lacks. It is stored in canonical form, so that equal values have equal bytes.
"""

from __future__ import annotations

import re
from functools import lru_cache
from math import isfinite
from typing import Any

from google.protobuf.message import DecodeError
from google.protobuf.struct_pb2 import NullValue, Struct, Value

from taskwheel_server.errors import InvalidArgument
from taskwheel_server.rpc.wire import head

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 32
NULL = Value(null_value=NullValue.NULL_VALUE).SerializeToString()

# The most messages that ever surround one, by field number: an event's task in a response; in a list of runs, one more
# by Value itself. Protobuf for Python parses 100 levels of messages, and an object takes three: the 33rd is refused.
_STRUCT_IN_3 = (5, 1, 6)
_VALUE_IN_2 = (1, 6)
# A level of messages takes two bytes at least: less than this cannot be too deep.
_SHALLOW = 2 * 3 * MAX_DEPTH
# A number within an object or a list whose exponent is all ones. Text cannot look like it: no UTF-8 has these bytes.
_MAYBE_NOT_FINITE = re.compile(rb"(?:[\x0a\x12]\x09|\A)\x11.{6}[\xf0-\xff][\x7f\xff]", re.DOTALL)


class Unstorable(ValueError):
    """A JSON value that is not taken. Its text says why."""


def canonical_struct(data: bytes) -> bytes:
    """Return a serialized Struct in canonical form. Raises Unstorable."""
    return _canonical(Struct, data, _STRUCT_IN_3)


def canonical_value(data: bytes) -> bytes:
    """Return a serialized Value in canonical form, null where it has no kind. Raises Unstorable."""
    return data if data == NULL else _canonical(Value, data, _VALUE_IN_2) or NULL


def struct_of(message: Any, name: str, path: str = "") -> bytes | None:
    """Return the Struct in a field of a message as it is to be stored; None when it is unset.

    Args:
        message: what has the field.
        name: of the field.
        path: of the message, with a dot behind it, to name the field in an error.

    Raises:
        InvalidArgument: it cannot be stored.
    """
    if not message.HasField(name):
        return None
    try:
        return canonical_struct(getattr(message, name))
    except Unstorable as error:
        raise InvalidArgument(path + name, str(error)) from None


def _canonical(kind: type[Struct | Value], data: bytes, around: tuple[int, ...]) -> bytes:
    if len(data) > MAX_BYTES:
        raise Unstorable(f"is {len(data)} bytes long; at most {MAX_BYTES} are allowed")
    try:
        value = kind.FromString(data)
        if len(data) > _SHALLOW:
            Value.FromString(_heads(len(data), around) + data)
    except DecodeError:
        raise Unstorable(f"is not a JSON value in protobuf, or more than {MAX_DEPTH} levels deep") from None
    canonical = value.SerializeToString(deterministic=True)
    if (b"\x7f" in canonical or b"\xff" in canonical) and _MAYBE_NOT_FINITE.search(canonical) and not _finite(value):
        raise Unstorable("holds NaN or an infinity, which JSON does not have")
    return canonical


@lru_cache(maxsize=1024)
def _heads(size: int, around: tuple[int, ...]) -> bytes:
    """Return what turns `size` bytes into a field of a field, the innermost first."""
    heads = b""
    for number in around:
        heads = head(number, len(heads) + size) + heads
    return heads


def _finite(value: Struct | Value) -> bool:
    # A while loop, since a million values in one list would make a million frames of a generator.
    rest: list[Struct | Value] = [value]
    while rest:
        each = rest.pop()
        if isinstance(each, Struct):
            rest.extend(each.fields.values())
        elif each.HasField("struct_value"):
            rest.append(each.struct_value)
        elif each.HasField("list_value"):
            rest.extend(each.list_value.values)
        elif each.HasField("number_value") and not isfinite(each.number_value):
            return False
    return True
