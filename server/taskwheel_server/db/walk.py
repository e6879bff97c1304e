"""Ways through the rows of a table, so many of them at a time where an index serves their order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Select, func, select

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
        index: selects the first sort key of every row on the way, wanted or not, off an index that holds it in order.
            None: there is no such index, and what is wanted must be sorted.
    """

    order: Sequence[SortKey]
    condition: ColumnElement[bool]
    index: Select[Any] | None = None

    def edge(self, connection: Connection, after: Sequence[SortValue] = ()) -> SortValue:
        """Return the first sort key of the last row that is looked at by who starts after a position.

        None: it may look at all that are left.
        """
        if self.index is None:
            return None
        # The rows that share the first sort key with the position come on top, so that each page gets further.
        left = self._stretch(self.index, after)
        [column] = self.index.selected_columns
        order = ordering([(column, self.order[0][1], False)])
        edge: SortValue = connection.execute(left.order_by(*order).limit(1).offset(SPAN - 1)).scalar()
        return edge

    def part(self, after: Sequence[SortValue] = (), edge: SortValue = None) -> list[ColumnElement[bool]]:
        """Return the conditions for the wanted rows after a position, up to all that share an edge."""
        first = self.order[0][0]
        conditions = [self.condition]
        if after:
            conditions.append(after_cursor(self.order, after))
        if edge is not None:
            conditions.append(self._up_to(first, edge))
        if self.index is not None and self.index.selected_columns[0] is not first:
            conditions.append(first.in_(self._stretch(self.index, after, edge)))
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


def few(connection: Connection, rows: Select[Any]) -> bool:
    """Tell whether there are no more rows than a span, having looked at no more."""
    looked_at = rows.limit(SPAN + 1).subquery()
    return connection.execute(select(func.count()).select_from(looked_at)).scalar_one() <= SPAN
