"""Filters, sort orders and page positions as SQL, the same on every database.

Text is compared as bytes: SQLite does so by itself, on other databases the columns must be declared with such a
collation. LIKE and GLOB are not used, since their case rules and wildcards differ between databases.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Double,
    String,
    UnaryExpression,
    and_,
    exists,
    false,
    func,
    literal,
    not_,
    or_,
    select,
    true,
)
from sqlalchemy.types import TypeEngine

from taskwheel_server.db.tables import labels
from taskwheel_server.filters.page import SortValue
from taskwheel_server.filters.syntax import And, Comparison, Filter, Labelled, Not, Operator, Or, Tagged

# By Python's type, not the column's: a value too large for the column is then false to equal, not an error.
_TYPES: Mapping[type, TypeEngine[Any]] = {bool: Boolean(), int: BigInteger(), float: Double(), str: String()}

SortKey: TypeAlias = tuple[ColumnElement[Any], bool, bool]
"""A column, whether it descends, whether it may be null."""


def _bind(value: Any) -> ColumnElement[Any]:
    return literal(value, _TYPES[type(value)])


def _suffix(column: ColumnElement[Any], text: str) -> ColumnElement[bool]:
    length = func.length(column)
    return and_(length >= len(text), func.substr(column, length - len(text) + 1) == _bind(text))


_TESTS: Mapping[Operator, Callable[[ColumnElement[Any], Any], ColumnElement[bool]]] = {
    Operator.EQ: lambda column, value: operator.eq(column, _bind(value)),
    Operator.LT: lambda column, value: operator.lt(column, _bind(value)),
    Operator.LE: lambda column, value: operator.le(column, _bind(value)),
    Operator.GT: lambda column, value: operator.gt(column, _bind(value)),
    Operator.GE: lambda column, value: operator.ge(column, _bind(value)),
    Operator.PREFIX: lambda column, text: func.substr(column, 1, len(text)) == _bind(text),
    Operator.SUFFIX: _suffix,
    Operator.CONTAINS: lambda column, text: func.replace(column, _bind(text), "") != column,
    Operator.IN: lambda column, values: column.in_(values),
    Operator.PRESENT: lambda column, _: column.is_not(None),
}


def to_sql(  # noqa: PLR0911 - one for each kind of node
    filter: Filter, columns: Mapping[str, ColumnElement[Any]]
) -> ColumnElement[bool]:
    """Return the filter as a WHERE condition.

    It may be null where it is not true, which WHERE takes for false; negations inside it are exact.

    Args:
        filter: what `parse` returned.
        columns: the column of each field of the catalogue, by the field's name; for tags and labels the uid column of
            their owner.
    """
    match filter:
        case And(terms):
            return and_(true(), *(to_sql(term, columns) for term in terms))
        case Or(terms):
            return or_(false(), *(to_sql(term, columns) for term in terms))
        case Not(term):
            return not_(func.coalesce(to_sql(term, columns), false()))
        case Comparison(field, test, value):
            return _TESTS[test](columns[field], value)
        case Tagged(field, str(tag)):
            return _has(columns[field], "", tag)
        case Tagged(field, _):
            return _labelled(columns[field], labels.c.key == "")
        case Labelled(field, None, _, _):
            return _labelled(columns[field], labels.c.key != "")
        case Labelled(field, str(key), Operator.EQ, str(value)):
            return _has(columns[field], key, value)
        case Labelled(field, key, test, value):
            return _labelled(columns[field], labels.c.key == key, _TESTS[test](labels.c.value, value))


def _has(owner: ColumnElement[str], key: str, value: str) -> ColumnElement[bool]:
    # One look at the primary key for each owner; of a common tag, a list of its owners would be long.
    held = labels.alias()
    return exists().where(held.c.key == key, held.c.value == value, held.c.owner == owner)


def _labelled(owner: ColumnElement[str], *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    return owner.in_(select(labels.c.owner).where(*conditions))


def ordering(order: Sequence[SortKey]) -> list[UnaryExpression[Any]]:
    """Return the ORDER BY elements: nulls last in either direction."""
    keys = [(column.desc() if descending else column.asc(), nullable) for column, descending, nullable in order]
    return [key.nulls_last() if nullable else key for key, nullable in keys]


def after_cursor(order: Sequence[SortKey], values: Sequence[SortValue]) -> ColumnElement[bool]:
    """Return the condition that a row comes strictly after the row with these sort values.

    Args:
        order: the sort keys, of which the last is unique.
        values: the sort values of the last row read, one a key.
    """
    condition: ColumnElement[bool] = false()
    for (column, descending, nullable), value in zip(reversed(order), reversed(values), strict=True):
        if value is None:
            condition = and_(column.is_(None), condition)
            continue
        bound = _bind(value)
        beyond = column < bound if descending else column > bound
        if nullable:
            beyond = or_(beyond, column.is_(None))
        condition = or_(beyond, and_(column == bound, condition))
    column, descending, nullable = order[0]
    if nullable or values[0] is None:
        return condition
    # Says nothing new, but gives the planner a range to start from, which it does not find behind an OR.
    bound = _bind(values[0])
    return and_(column <= bound if descending else column >= bound, condition)
