"""Columns of rows as PostgreSQL's binary arrays.

The driver's own list dumper looks at each element several times in Python. Of a batch, most columns hold one value
over and over: it is encoded once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from struct import Struct
from typing import Any

import psycopg
from psycopg import pq
from psycopg.abc import Buffer
from psycopg.adapt import Dumper
from sqlalchemy import BigInteger, Boolean, Column, Double, Integer, LargeBinary, SmallInteger, String

_HEAD = Struct("!5i")
_LENGTH = Struct("!i")
_NULL = _LENGTH.pack(-1)


def _fixed(code: str) -> Callable[[Any], bytes]:
    packed = Struct(f"!i{code}")
    size = packed.size - 4
    return lambda value: packed.pack(size, value)


def _text(value: str) -> bytes:
    data = value.encode()
    return _LENGTH.pack(len(data)) + data


def _bytes(value: bytes) -> bytes:
    return _LENGTH.pack(len(value)) + value


class _Array(bytes):
    """An array that is encoded already."""


class _ArrayDumper(Dumper):
    format = pq.Format.BINARY

    def dump(self, obj: Any) -> Buffer:
        return bytes(obj)


def _encoder(oid: int, array_oid: int, item: Callable[[Any], bytes]) -> Callable[[Sequence[Any]], _Array]:
    kind: type[_Array] = type("Array", (_Array,), {})
    psycopg.adapters.register_dumper(kind, type("ArrayDumper", (_ArrayDumper,), {"oid": array_oid}))

    def encode(values: Sequence[Any]) -> _Array:
        count = len(values)
        first = values[0]
        if values.count(first) == count:
            body = (_NULL if first is None else item(first)) * count
        else:
            body = b"".join([_NULL if value is None else item(value) for value in values])
        return kind(_HEAD.pack(1, 1, oid, count, 1) + body)

    return encode


# The most special first: SmallInteger and BigInteger are Integers. Numbers from PostgreSQL's pg_type.dat.
_ENCODERS = (
    (SmallInteger, "smallint", _encoder(21, 1005, _fixed("h"))),
    (BigInteger, "bigint", _encoder(20, 1016, _fixed("q"))),
    (Integer, "integer", _encoder(23, 1007, _fixed("i"))),
    (Boolean, "boolean", _encoder(16, 1000, _fixed("?"))),
    (Double, "double precision", _encoder(701, 1022, _fixed("d"))),
    (LargeBinary, "bytea", _encoder(17, 1001, _bytes)),
    (String, "text", _encoder(25, 1009, _text)),
)


def encoder(column: Column[Any]) -> Callable[[Sequence[Any]], _Array]:
    """Return what makes an array of a column's values, all of one type: an array is never empty."""
    return next(encode for kind, _, encode in _ENCODERS if isinstance(column.type, kind))


def type_name(column: Column[Any]) -> str:
    """Return the type of an element."""
    return next(name for kind, name, _ in _ENCODERS if isinstance(column.type, kind))
