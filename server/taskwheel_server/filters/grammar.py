"""The syntax alone: text to a tree of words, with bounds on length and depth, and faults that name the place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import cast

from lark import Lark, Token, Tree, UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from taskwheel_server.filters.catalogue import InvalidFilter
from taskwheel_server.filters.literals import storable

MAX_LENGTH = 2_048
MAX_DEPTH = 16

# Each terminal is one run of a character class between fixed delimiters: matching is linear, whatever the text.
_GRAMMAR = r"""
?start: and
?and: or ("AND"? or)*
?or: term ("OR" term)*
?term: simple | ("NOT" | "-") simple -> not
?simple: restriction | "(" and ")"
restriction: PATH COMPARATOR (TEXT | STRING)

PATH: /[A-Za-z_][A-Za-z0-9_]*(\.([A-Za-z0-9_\/-]+|"[^"]*"))*/
COMPARATOR: /<=|>=|!=|[=<>:]/
TEXT: /[^\s()"'<>=!:,][^\s()"'<>=!,]*/
STRING: /"[^"\\]*(\\.[^"\\]*)*"|'[^'\\]*(\\.[^'\\]*)*'/s
WS: /\s+/
%ignore WS
"""
_UNIT = re.compile(r"\\.|[^\\]", re.DOTALL)


class _DepthGuard:
    """Counts open parentheses between lexer and parser, so that no deep tree is ever built."""

    always_accept = ()

    def process(self, tokens: Iterator[Token]) -> Iterator[Token]:
        depth = 0
        for token in tokens:
            depth += {"LPAR": 1, "RPAR": -1}.get(token.type, 0)
            if depth > MAX_DEPTH:
                raise fault(token, f"parentheses nest deeper than {MAX_DEPTH}")
            yield token


@cache
def _grammar() -> Lark:
    return Lark(_GRAMMAR, parser="lalr", postlex=_DepthGuard())


def read(text: str) -> Tree[Token] | None:
    """Return the tree of a filter: nodes `and`, `or`, `not`, and `restriction` of path, comparator and value.

    Blank text has none. Raises InvalidFilter on bad syntax or a text beyond the bounds.
    """
    if len(text) > MAX_LENGTH:
        raise InvalidFilter("filter", f"is {len(text)} characters long; at most {MAX_LENGTH} are allowed")
    if not storable(text):
        raise InvalidFilter("filter", "holds a NUL or half a surrogate pair")
    if not text.strip():
        return None
    try:
        return _grammar().parse(text)
    except UnexpectedInput as error:
        raise _syntax_fault(error) from None


@dataclass(frozen=True, slots=True)
class Literal:
    """A value as written: its characters with their escapes, so that a wildcard can be told from an escaped star."""

    token: Token
    units: tuple[str, ...]
    bare: bool

    @classmethod
    def read(cls, token: Token) -> Literal:
        """Return the value of a TEXT or STRING token, or raise InvalidFilter: `a = OR b = 1` is a slip, not a value."""
        bare = token.type == "TEXT"
        if bare and token in ("AND", "OR", "NOT"):
            raise fault(token, f"expected a value; quote it where it is the word {token}")
        return cls(token, tuple(token) if bare else tuple(_UNIT.findall(token[1:-1])), bare)

    @property
    def text(self) -> str:
        """What it says, escapes resolved."""
        return "".join(unit[-1] for unit in self.units)

    @property
    def star(self) -> bool:
        """Whether it is the `*` of `field:*`."""
        return self.bare and self.units == ("*",)


def fault(token: Token, description: str) -> InvalidFilter:
    """Return the error to raise about a token."""
    return InvalidFilter("filter", f"at character {(token.start_pos or 0) + 1}: {description}")


def _syntax_fault(error: UnexpectedInput) -> InvalidFilter:
    ended, expected = False, set[str]()
    if isinstance(error, UnexpectedToken):
        ended, expected = error.token.type == "$END", set(error.expected)
    elif isinstance(error, UnexpectedCharacters):
        expected = set(error.allowed)
    if "COMPARATOR" in expected:
        rule = "expected one of = != < <= > >= : after the field"
    elif "TEXT" in expected:
        rule = "expected a value; quote it where it holds spaces or any of ( ) < > = ! , \" '"
    elif ended and "RPAR" in expected:
        rule = "a parenthesis is not closed"
    else:
        rule = "expected a field" if "PATH" in expected else "unexpected here"
    place = "at the end" if ended else f"at character {cast('int', error.pos_in_stream) + 1}"
    return InvalidFilter("filter", f"{place}: {rule}")
