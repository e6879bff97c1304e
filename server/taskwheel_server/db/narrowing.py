"""Sets of rows outside of which a filter lets nothing through, as far as an index leads straight to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import CompoundSelect, Select, select, union_all

from taskwheel_server.db.tables import labels
from taskwheel_server.filters.syntax import And, Filter, Labelled, Operator, Tagged


@dataclass(frozen=True, slots=True)
class Narrowing:
    """A set of rows.

    Args:
        parts: select the uids of its rows, each row in one part and each part off an index.
        exact: whether a row is in it exactly when the filter's term is true of it, and the indexes hold uids in order;
            else the term has to be tested, too.
    """

    parts: tuple[Select[tuple[str]], ...]
    exact: bool

    @property
    def uids(self) -> CompoundSelect[tuple[str]]:
        """Select the uids of all its rows."""
        return union_all(*self.parts)


Narrow = Callable[[Filter], Narrowing | None]
"""Returns the set that a term of a filter leads to, if there is one."""


def narrowings(filter: Filter, narrow: Narrow) -> list[tuple[Narrowing, Filter]]:
    """Return the sets to which the filter leads, each with what remains to be tested of its rows."""
    found: list[tuple[Narrowing, Filter]] = []
    terms = filter.terms if isinstance(filter, And) else (filter,)
    for index, term in enumerate(terms):
        narrowing = narrow(term)
        if narrowing is not None:
            found.append((narrowing, And(terms[:index] + terms[index + 1 :]) if narrowing.exact else filter))
    return found


def labelled(term: Filter) -> Narrowing | None:
    """Return the owners of one tag, or of one label of one value."""
    match term:
        case Tagged(_, str(value)):
            key = ""
        case Labelled(_, str(key), Operator.EQ, str(value)):
            pass
        case _:
            return None
    return Narrowing((select(labels.c.owner).where(labels.c.key == key, labels.c.value == value),), exact=True)
