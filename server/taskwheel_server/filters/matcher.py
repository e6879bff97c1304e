"""A filter over values in memory, for the event feed; `db.filters` says the same in SQL."""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Mapping
from typing import Any, cast

from taskwheel_server.filters.syntax import And, Comparison, Filter, Labelled, Not, Operator, Or, Tagged

_TESTS: Mapping[Operator, Callable[[Any, Any], bool]] = {
    Operator.EQ: operator.eq,
    Operator.LT: operator.lt,
    Operator.LE: operator.le,
    Operator.GT: operator.gt,
    Operator.GE: operator.ge,
    Operator.PREFIX: str.startswith,
    Operator.SUFFIX: str.endswith,
    Operator.CONTAINS: operator.contains,
    Operator.IN: lambda stored, values: stored in values,
    Operator.PRESENT: lambda stored, _: stored is not None,
}


def matches(filter: Filter, record: Callable[[str], object]) -> bool:  # noqa: PLR0911 - one for each kind of node
    """Tell whether the filter lets a record through.

    Args:
        filter: what `parse` returned.
        record: the stored value of a field by its catalogue name: None where it is missing, a collection of strings
            for TAGS, a mapping for LABELS.
    """
    match filter:
        case And(terms):
            return all(matches(term, record) for term in terms)
        case Or(terms):
            return any(matches(term, record) for term in terms)
        case Not(term):
            return not matches(term, record)
        case Comparison(field, test, value):
            stored = record(field)
            return stored is not None and _TESTS[test](stored, value)
        case Tagged(field, value):
            tags = cast("Collection[str]", record(field))
            return bool(tags) if value is None else value in tags
        case Labelled(field, key, test, value):
            labels = cast("Mapping[str, str]", record(field))
            if key is None:
                return bool(labels)
            return key in labels and _TESTS[test](labels[key], value)
