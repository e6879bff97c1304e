"""Which fields a method lets callers filter and sort by, and how each one's literals are written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from taskwheel_server.errors import InvalidArgument


class InvalidFilter(InvalidArgument):
    """A list argument breaks its rule.

    Args:
        field: `filter`, `order_by` or `page_token`.
        description: what is wrong and at which character, counted from 1.
    """


class Kind(Enum):
    """How a field is stored, how its literals are written (AIP-160) and which operators it takes."""

    STRING = auto()
    """Text, compared by code point. Every operator; `=` takes a `*` at either end, `:` means contains."""
    INT = auto()
    """A 64-bit integer. Every operator."""
    FLOAT = auto()
    """A finite double. Every operator."""
    TIME = auto()
    """RFC 3339, stored as µs since the epoch UTC. Every operator."""
    DURATION = auto()
    """Seconds with an `s` behind, such as `3.5s`, stored as µs. Every operator."""
    BOOL = auto()
    """`true` or `false`. Equality."""
    ENUM = auto()
    """A name out of `Field.values`. Equality."""
    NAME = auto()
    """A reference, turned into what is stored by `Field.resolve`. Equality."""
    TAGS = auto()
    """A set of strings: `tags:"x"`."""
    LABELS = auto()
    """A map from string to string: `labels:key`, and `labels.key` as a STRING (`:` there is exact, as in AIP-160)."""


def _as_is(text: str) -> tuple[str, ...]:
    return (text,)


@dataclass(frozen=True, slots=True)
class Field:
    """A field that filters may name.

    Args:
        name: the path callers write, such as `error.name`. A dot says that the part before it may be unset.
        kind: how it is stored and written.
        values: ENUM only: the numbers stored for each name; a name may stand for several.
        resolve: NAME only: the stored forms of a reference (none: nothing matches it). Raises InvalidArgument.
        sortable: whether `order_by` may name it; only for fields stored as int, float or str.
    """

    name: str
    kind: Kind
    values: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    resolve: Callable[[str], tuple[str, ...]] = _as_is
    sortable: bool = False


Catalogue = Mapping[str, Field]


def catalogue(*fields: Field) -> Catalogue:
    """Return the fields by name."""
    return {each.name: each for each in fields}
