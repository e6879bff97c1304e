"""Ways through the rows of a table, so many of them at a time where an index serves their order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Select, func, select, union_all

from taskwheel_server.db.filters import SortKey, after_cursor, ordering

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from taskwheel_server.filters.page import SortValue

# How many rows one page looks through: when the filter lets few of them through, it ends early and the list goes on.
SPAN = 20_000
# Sort before and after every uid.
_FIRST, _LAST = "", "~"


@dataclass(frozen=True, slots=True)
class Walk:
    """A way through rows.

    Args:
        order: the sort keys, of which the last is a uid.
        condition: which rows are wanted.
        index: selects the first sort key of every row on the way, wanted or not, in parts, each off an index that holds
            it in order. Empty: there is no such index, and what is wanted must be sorted.
    """

    order: Sequence[SortKey]
    condition: ColumnElement[bool]
    index: tuple[Select[Any], ...] = ()

    def edge(self, connection: Connection, after: Sequence[SortValue] = ()) -> SortValue:
        """Return the first sort key of the last row that is looked at by who starts after a position.

        None: it may look at all that are left.
        """
        if not self.index:
            return None
        # The rows that share the first sort key with the position come on top, so that each page gets further.
        left = [self._stretch(each, after) for each in self.index]
        descending = self.order[0][1]
        if len(left) > 1:
            # Each part in order by itself: a planner does not look through a union for an order.
            left = [_union([_sorted(each, descending=descending).limit(SPAN) for each in left])]
        edge: SortValue = connection.execute(_sorted(left[0], descending=descending).limit(1).offset(SPAN - 1)).scalar()
        return edge

    def part(self, after: Sequence[SortValue] = (), edge: SortValue = None) -> list[ColumnElement[bool]]:
        """Return the conditions for the wanted rows after a position, up to all that share an edge."""
        first = self.order[0][0]
        conditions = [self.condition]
        if after:
            conditions.append(after_cursor(self.order, after))
        if edge is not None:
            conditions.append(self._up_to(first, edge))
        if self.index and self.index[0].selected_columns[0] is not first:
            conditions.append(first.in_(union_all(*(self._stretch(each, after, edge) for each in self.index))))
        return conditions

    def beyond(self, edge: SortValue) -> list[SortValue]:
        """Return the position after all rows that share an edge."""
        return [edge, *(_FIRST if descending else _LAST for _, descending, _ in self.order[1:])]

    def _stretch(self, index: Select[Any], after: Sequence[SortValue], edge: SortValue = None) -> Select[Any]:
        [column] = index.selected_columns
        if after:
            index = index.where(after_cursor([(column, self.order[0][1], False)], after[:1]))
        return index if edge is None else index.where(self._up_to(column, edge))

    def _up_to(self, column: ColumnElement[Any], edge: SortValue) -> ColumnElement[bool]:
        return column >= edge if self.order[0][1] else column <= edge


def few(connection: Connection, parts: Sequence[Select[Any]]) -> bool:
    """Tell whether there are no more rows in all parts than a span, having looked at few more."""
    rows = parts[0] if len(parts) == 1 else _union([each.limit(SPAN + 1) for each in parts])
    looked_at = rows.limit(SPAN + 1).subquery()
    return connection.execute(select(func.count()).select_from(looked_at)).scalar_one() <= SPAN


def _union(parts: Sequence[Select[Any]]) -> Select[Any]:
    """Select the one column of all parts, each with its own order and limit."""
    return select(union_all(*(select(each.subquery()) for each in parts)).subquery())


def _sorted(rows: Select[Any], *, descending: bool) -> Select[Any]:
    [column] = rows.selected_columns
    return rows.order_by(*ordering([(column, descending, False)]))
