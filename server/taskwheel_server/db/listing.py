"""Pages of a list method (AIP-158): filter, order, cursor and count in one place, whatever is listed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from sqlalchemy import Column, ColumnElement, Table, and_, func, null, select

from taskwheel_server.db.filters import ordering, to_sql
from taskwheel_server.db.narrowing import Narrow, narrowings
from taskwheel_server.db.walk import Walk, few
from taskwheel_server.filters import Catalogue, Kind, OrderBy, parse, parse_order_by
from taskwheel_server.filters.page import SortValue, decode, encode, query_digest

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from taskwheel_server.filters.syntax import Filter

T = TypeVar("T")

# To count further costs more than anybody wants to know.
MAX_TOTAL = 10_000
# What a page holds at most, in bytes; messages of 4 MiB must hold it and what surrounds it.
MAX_PAGE_BYTES = 3 * 1024 * 1024
# Of a row without what `sizes` measures.
_ROW_BYTES = 1_000
_OWNERS = {"tags", "labels"}
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
        narrow: returns the set of rows that a term of a filter leads to.
        indexed: fields with an index on the rows that have a value.
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
    narrow: Narrow
    indexed: frozenset[str] = frozenset()

    def page(self, connection: Connection, query: Query, *conditions: ColumnElement[bool]) -> Page[T]:
        """Return a page of the rows for which `conditions` hold.

        Raises:
            InvalidFilter: filter, order_by or page_token is at fault.
        """
        order = self._order(query.order_by)
        digest = query_digest(self.method, query.namespace, query.filter, query.order_by)
        after: tuple[SortValue, ...] = ()
        if query.page_token:
            after = decode(query.page_token, digest, [_TYPES[self.catalogue[key.field].kind] for key in order])
        here = and_(self.table.c.namespace == query.namespace, *conditions)
        walks, counted = self._walks(connection, order, parse(query.filter, self.catalogue))
        rows, position = self._read(connection, here, walks, after, query.page_size)
        token = encode(digest, position) if position else ""
        return Page(rows, token, self._count(connection, here, counted))

    def _order(self, text: str) -> tuple[OrderBy, ...]:
        order: list[OrderBy] = []
        for key in parse_order_by(text, self.catalogue, self.default):
            # Uids rise with the time of creation, and have an index.
            order.append(replace(key, field="uid") if key.field == "create_time" else key)
            if order[-1].field == "uid":
                break
        return tuple(order)

    def _walks(
        self, connection: Connection, order: tuple[OrderBy, ...], where: Filter
    ) -> tuple[Sequence[Walk], Sequence[Walk]]:
        """Return the ways to walk one after the other, and those to count along."""
        keys = [(self.fields[key.field], key.descending, self._nullable(key.field)) for key in order]
        uid = self.table.c.uid
        wanted = self._test(where)
        newest = Walk([(uid, True, False)], wanted, (select(uid),))
        for narrowing, rest in reversed(narrowings(where, self.narrow)):
            if few(connection, narrowing.parts):
                walks = [Walk(keys, and_(uid.in_(narrowing.uids), self._test(rest)))]
                return walks, walks
            if narrowing.exact:
                newest = Walk(newest.order, self._test(rest), narrowing.parts)
                wanted = and_(uid.in_(narrowing.uids), self._test(rest))
        if len(keys) == 1:
            walks = [replace(newest, order=keys)]
            return walks, walks
        field, (column, descending, _) = order[0].field, keys[0]
        if field not in self.indexed or len(keys) > 2:
            return [Walk(keys, wanted)], [newest]
        wanted = self._test(where)
        present = column.is_not(None)
        walks = [
            Walk([(column, descending, False), keys[1]], and_(present, wanted), (select(column).where(present),)),
            Walk(keys[1:], and_(column.is_(None), wanted), (select(uid),)),
        ]
        return walks, walks

    def _test(self, where: Filter) -> ColumnElement[bool]:
        # No index of these columns may tempt the planner off the way, to where there may be far more rows.
        plain = {name: func.coalesce(column, column) for name, column in self.fields.items() if name not in _OWNERS}
        return to_sql(where, {**self.fields, **plain})

    def _read(
        self,
        connection: Connection,
        here: ColumnElement[bool],
        walks: Sequence[Walk],
        after: Sequence[SortValue],
        page_size: int,
    ) -> tuple[list[T], Sequence[SortValue]]:
        """Return the rows after a position, as far as they fit a page, and the position to go on from (empty: none)."""
        wanted = [null() if name in self.left_out else self.table.c[name] for name in self.columns]
        rows: list[T] = []
        last: Sequence[SortValue] = ()
        size = 0
        for walk in walks:
            # Later walks have no value for the sort keys that they lack.
            lacking = [None] * (len(walks[0].order) - len(walk.order))
            if len(walks) > 1 and after and (after[0] is None) != bool(lacking):
                continue
            start, after = after[len(lacking) :], ()
            edge = walk.edge(connection, start)
            statement = select(*wanted, *(column for column, _, _ in walk.order)).where(here, *walk.part(start, edge))
            room = page_size + 1 - len(rows)
            for found in connection.execute(statement.order_by(*ordering(walk.order)).limit(room)):
                row = tuple(found)
                size += self._size(row)
                if len(rows) == page_size or (rows and size > MAX_PAGE_BYTES):
                    return rows, last
                rows.append(self.row_of(row[: len(wanted)]))
                last = [*lacking, *row[len(wanted) :]]
            if edge is not None:
                return rows, [*lacking, *walk.beyond(edge)]
        return rows, ()

    def _count(self, connection: Connection, here: ColumnElement[bool], walks: Sequence[Walk]) -> int:
        total = 0
        for walk in walks:
            edge = walk.edge(connection)
            matching = select(self.table.c.uid).where(here, *walk.part(edge=edge)).limit(MAX_TOTAL - total).subquery()
            total += connection.execute(select(func.count()).select_from(matching)).scalar_one()
            if edge is not None:
                break
        return total

    def _nullable(self, field: str) -> bool:
        column = self.fields[field]
        return not isinstance(column, Column) or bool(column.nullable)

    def _size(self, row: tuple[Any, ...]) -> int:
        values = [row[self.columns.index(name)] or "" for name in self.sizes]
        return _ROW_BYTES + sum(len(value.encode() if isinstance(value, str) else value) for value in values)
