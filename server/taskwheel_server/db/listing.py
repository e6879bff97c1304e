"""Pages of a list method (AIP-158): filter, order, cursor and count in one place, whatever is listed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from sqlalchemy import Column, ColumnElement, Table, func, null, select

from taskwheel_server.db.filters import after_cursor, ordering, to_sql
from taskwheel_server.filters import Catalogue, Kind, OrderBy, parse, parse_order_by
from taskwheel_server.filters.page import decode, encode, query_digest

if TYPE_CHECKING:
    from sqlalchemy import Connection

T = TypeVar("T")

# To count further costs more than anybody wants to know.
MAX_TOTAL = 10_000
# What a page holds at most, in bytes; messages of 4 MiB must hold it and what surrounds it.
MAX_PAGE_BYTES = 3 * 1024 * 1024
# Of a row without what `sizes` measures.
_ROW_BYTES = 1_000
_TYPES: Mapping[Kind, type[int | float | str]] = {Kind.INT: int, Kind.TIME: int, Kind.STRING: str}


@dataclass(frozen=True, slots=True)
class Query:
    """What a caller of a list method asks for.

    Args:
        namespace: whose rows.
        page_size: how many at most; at least 1.
        page_token: as the page before gave it; empty for the first.
        filter: AIP-160.
        order_by: AIP-132.
    """

    namespace: str
    page_size: int
    page_token: str = ""
    filter: str = ""
    order_by: str = ""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A page: its rows, the token of the next one (empty: there is none), and how many match, up to MAX_TOTAL."""

    rows: list[T]
    next_page_token: str
    total_size: int


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """How one kind of row is listed.

    Args:
        method: binds page tokens to it, with all that changes the list but `Query`.
        table: with the columns `uid` and `namespace`.
        columns: what to read, in the order that `row_of` takes; those in `left_out` are read as null.
        left_out: names of columns.
        sizes: columns whose length counts towards the bytes of a page.
        row_of: makes the row's model.
        catalogue: the fields of filter and order.
        fields: the column of each field.
        default: the order when none is asked for; the last key is unique.
    """

    method: str
    table: Table
    columns: tuple[str, ...]
    left_out: frozenset[str]
    sizes: tuple[str, ...]
    row_of: Callable[[Sequence[Any]], T]
    catalogue: Catalogue
    fields: Mapping[str, ColumnElement[Any]]
    default: tuple[OrderBy, ...]

    def page(self, connection: Connection, query: Query, *conditions: ColumnElement[bool]) -> Page[T]:
        """Return a page of the rows for which `conditions` hold.

        Raises:
            InvalidFilter: filter, order_by or page_token is at fault.
        """
        order = parse_order_by(query.order_by, self.catalogue, self.default)
        where = [
            self.table.c.namespace == query.namespace,
            *conditions,
            to_sql(parse(query.filter, self.catalogue), self.fields),
        ]
        keys = [(self.fields[key.field], key.descending, self._nullable(key.field)) for key in order]
        digest = query_digest(self.method, query.namespace, query.filter, query.order_by)
        cursor = []
        if query.page_token:
            types = [_TYPES[self.catalogue[key.field].kind] for key in order]
            cursor.append(after_cursor(keys, decode(query.page_token, digest, types)))
        wanted = [null() if name in self.left_out else self.table.c[name] for name in self.columns]
        position = [column for column, _, _ in keys]
        statement = (
            select(*wanted, *position).where(*where, *cursor).order_by(*ordering(keys)).limit(query.page_size + 1)
        )
        rows: list[T] = []
        last: tuple[Any, ...] = ()
        token = ""
        size = 0
        for found in connection.execute(statement):
            row = tuple(found)
            size += self._size(row)
            if len(rows) == query.page_size or (rows and size > MAX_PAGE_BYTES):
                token = encode(digest, last)
                break
            rows.append(self.row_of(row[: len(wanted)]))
            last = row[len(wanted) :]
        matching = select(self.table.c.uid).where(*where).limit(MAX_TOTAL).subquery()
        total = connection.execute(select(func.count()).select_from(matching)).scalar_one()
        return Page(rows, token, total)

    def _nullable(self, field: str) -> bool:
        column = self.fields[field]
        return not isinstance(column, Column) or bool(column.nullable)

    def _size(self, row: tuple[Any, ...]) -> int:
        values = [row[self.columns.index(name)] or "" for name in self.sizes]
        return _ROW_BYTES + sum(len(value.encode() if isinstance(value, str) else value) for value in values)
