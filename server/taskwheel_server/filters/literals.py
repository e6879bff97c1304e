"""The text of a literal as the stored value. Every function raises ValueError that says what was expected."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from taskwheel_server.filters.catalogue import Kind

_INT = re.compile(r"[+-]?[0-9]{1,19}")
_FLOAT = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_DURATION = re.compile(r"(-?)([0-9]{1,12})(?:\.([0-9]{1,9}))?s")
_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?"
    r"(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
INT64 = range(-(2**63), 2**63)


def storable(text: str) -> bool:
    """Tell whether every database takes the text: no NUL, no half of a surrogate pair."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _integer(text: str) -> int:
    if not _INT.fullmatch(text) or int(text) not in INT64:
        raise ValueError("expected a 64-bit integer")
    return int(text)


def _float(text: str) -> float:
    value = float(text) if _FLOAT.fullmatch(text) else float("inf")
    if value in (float("inf"), float("-inf")):
        raise ValueError("expected a finite number")
    return value


def _microseconds(fraction: str | None) -> int:
    return int((fraction or "0").ljust(6, "0")[:6])


def _duration(text: str) -> int:
    match = _DURATION.fullmatch(text)
    if not match:
        raise ValueError("expected a duration in seconds, such as 3.5s")
    sign, seconds, fraction = match.groups()
    value = int(seconds) * 1_000_000 + _microseconds(fraction)
    return -value if sign else value


def _time(text: str) -> int:
    match = _TIME.fullmatch(text)
    if not match:
        raise ValueError("expected an RFC 3339 time, such as 2026-11-22T15:00:00Z")
    day, clock, fraction, sign, hours, minutes = match.groups()
    try:
        instant = datetime.fromisoformat(f"{day}T{clock}+00:00")
        offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    except ValueError:
        raise ValueError("no such time") from None
    if int(hours or 0) > 23 or int(minutes or 0) > 59:
        raise ValueError("no such offset from UTC")
    # In whole µs, where year 1 or 9999 with an offset is no overflow.
    local = (instant - _EPOCH) // _MICROSECOND + _microseconds(fraction)
    shift = offset // _MICROSECOND
    return local + shift if sign == "-" else local - shift


def _bool(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("expected true or false")
    return text == "true"


READERS: Mapping[Kind, Callable[[str], int | float]] = {
    Kind.INT: _integer,
    Kind.FLOAT: _float,
    Kind.DURATION: _duration,
    Kind.TIME: _time,
    Kind.BOOL: _bool,
}
