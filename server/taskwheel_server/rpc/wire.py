"""Serialized messages put together from parts: protobuf takes the fields of a message in any order."""

from __future__ import annotations

from functools import lru_cache


def field(number: int, value: bytes) -> bytes:
    """Return a field whose value is bytes, text or a serialized message."""
    return head(number, len(value)) + value


@lru_cache(maxsize=1024)
def head(number: int, size: int) -> bytes:
    """Return what goes before a value of `size` bytes to make it the field `number` of a message."""
    return _varint(number << 3 | 2) + _varint(size)


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*encoded, number))
