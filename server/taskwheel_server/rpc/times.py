"""Timestamps and durations of the contract as int µs, and back. Whatever is finer than a µs is cut off."""

from __future__ import annotations

from typing import Any

from taskwheel_server.clock import SECOND
from taskwheel_server.errors import InvalidArgument

_NANOS = 1_000_000_000


def microseconds(time: Any, field: str) -> int:
    """Return a Timestamp or a Duration that is not negative, in µs.

    Raises:
        InvalidArgument: its nanos are not what the type allows.
    """
    if not 0 <= time.nanos < _NANOS:
        raise InvalidArgument(field, "nanos must be from 0 to 999,999,999")
    return int(time.seconds) * SECOND + int(time.nanos) // 1000


def optional_microseconds(message: Any, name: str, path: str = "") -> int | None:
    """Return the Timestamp or Duration in a field of a message, in µs; None when it is unset.

    Args:
        message: what has the field.
        name: of the field.
        path: of the message, with a dot behind it, to name the field in an error.
    """
    return microseconds(getattr(message, name), path + name) if message.HasField(name) else None


def put(time: Any, instant: int) -> None:
    """Set a Timestamp or a Duration in place: several times faster than to build one."""
    time.seconds, rest = divmod(instant, SECOND)
    time.nanos = rest * 1000
