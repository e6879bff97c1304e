"""Hot statements as PostgreSQL takes them: what differs from row to row as arrays, what all rows share as one value.

Of a batch most columns hold one value over and over, and each array costs the server as much for each row as a column
of the table. A statement has a text for each shape, the set of columns that the rows share, prepared when first met.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Table

from taskwheel_server.db.dialect.arrays import encoder, type_name
from taskwheel_server.db.dialect.common import Batch, Columns, Derived

_Shape = tuple[bool, ...]


def insert(table: Table, columns: Columns, *, free: bool, derived: Derived) -> Batch:
    """Return the statement that inserts rows, passing over those that any unique key already holds unless `free`."""
    otherwise = "" if free else " ON CONFLICT DO NOTHING"
    expressions = dict(derived)
    values = ",".join(expressions.get(column, f"{{{index}}}") for index, column in enumerate(columns))
    text = f"INSERT INTO {table.name} ({','.join(columns)}) SELECT {values}{{given}}{otherwise}"
    return _batch(text, "FROM", table, columns)


def update(table: Table, columns: Columns, keys: Columns, guard: str) -> Batch:
    """Return the statement that sets `columns` where `keys` match and `guard` holds."""
    assignments = ",".join(f"{column}={{{index}}}" for index, column in enumerate(columns))
    fence = _matching(table, keys, len(columns)) + (guard and f" AND {guard}")
    text = f"UPDATE {table.name} SET {assignments}{{given}} WHERE {fence}"  # noqa: S608 - our names
    return _batch(text, "FROM", table, (*columns, *keys))


def delete(table: Table, keys: Columns) -> Batch:
    """Return the statement that deletes where `keys` match."""
    return _batch(f"DELETE FROM {table.name}{{given}} WHERE {_matching(table, keys, 0)}", "USING", table, keys)  # noqa: S608 - our names


def shaped(batch: Batch, rows: Sequence[Sequence[Any]], expected: int | None = None) -> tuple[bytes, dict[str, Any]]:
    """Return the text of a statement for rows, with what goes into it by name.

    Args:
        batch: the statement.
        rows: their values.
        expected: how many rows it must change, else it fails with a division by zero, and so does the transaction.
    """
    columns = list(zip(*rows, strict=True))
    count = len(rows)
    shape = tuple(count == 1 or column.count(column[0]) == count for column in columns)
    if count > 1 and all(shape):
        # So that there are as many rows.
        shape = (False, *shape[1:])
    values = {
        f"v{index}": column[0] if shared else encode(column)
        for index, (column, shared, encode) in enumerate(zip(columns, shape, batch.encoders, strict=True))
    }
    if expected is not None:
        values["expected"] = expected
    return _text(batch, shape, fenced=expected is not None), values


@lru_cache(maxsize=1024)
def _text(batch: Batch, shape: _Shape, *, fenced: bool) -> bytes:
    kinds = list(enumerate(zip(batch.types, shape, strict=True)))
    arrays = ",".join(f"%(v{index})b::{kind}[]" for index, (kind, shared) in kinds if not shared)
    names = ",".join(f"v{index}" for index, (_, shared) in kinds if not shared)
    given = f" {batch.source} unnest({arrays}) AS given({names})" if arrays else ""
    values = [f"%(v{index})b::{kind}" if shared else f"v{index}" for index, (kind, shared) in kinds]
    text = batch.text.format(*values, given=given)
    if fenced:
        text = f"WITH changed AS ({text} RETURNING 1) SELECT 1 / (count(*) = %(expected)b)::integer FROM changed"  # noqa: S608 - our names
    return text.encode()


def _matching(table: Table, keys: Columns, start: int) -> str:
    return " AND ".join(f"{table.name}.{key}={{{start + index}}}" for index, key in enumerate(keys))


def _batch(text: str, source: str, table: Table, columns: Columns) -> Batch:
    kinds = [table.c[column] for column in columns]
    return Batch(text, tuple(map(encoder, kinds)), tuple(map(type_name, kinds)), source)
