"""A checked filter as a value: frozen, hashable, every literal already in the form in which it is stored."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeAlias

Value: TypeAlias = str | int | float | tuple[str, ...] | tuple[int, ...] | None


class Operator(Enum):
    """A test of one stored value; each is false where the value is missing."""

    EQ = auto()
    LT = auto()
    LE = auto()
    GT = auto()
    GE = auto()
    PREFIX = auto()
    SUFFIX = auto()
    CONTAINS = auto()
    IN = auto()
    PRESENT = auto()


@dataclass(frozen=True, slots=True)
class Comparison:
    """A test of the field's value; `value` is a tuple for IN and None for PRESENT."""

    field: str
    operator: Operator
    value: Value = None


@dataclass(frozen=True, slots=True)
class Tagged:
    """The set `field` holds `value`, or anything at all where `value` is None."""

    field: str
    value: str | None


@dataclass(frozen=True, slots=True)
class Labelled:
    """The map `field` holds `key` and the test is true of its value; a `key` of None stands for any key."""

    field: str
    key: str | None
    operator: Operator
    value: Value = None


@dataclass(frozen=True, slots=True)
class Not:
    """True where `term` is false."""

    term: Filter


@dataclass(frozen=True, slots=True)
class And:
    """True where every term is; with no terms it is the filter that lets everything through."""

    terms: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """True where any term is."""

    terms: tuple[Filter, ...]


Filter: TypeAlias = And | Or | Not | Comparison | Tagged | Labelled

EVERYTHING = And(())
