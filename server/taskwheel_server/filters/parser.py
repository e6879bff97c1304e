r"""Text to a checked filter. The language is a subset of AIP-160, written for people.

    state = FAILED OR state = CANCELLED AND end_time > 2026-11-22T00:00:00Z -tags:"noise"

* `OR` binds tighter than `AND`; terms side by side mean `AND`; `NOT` or `-` negates; parentheses nest 16 deep.
* `=`, `!=`, `<`, `<=`, `>`, `>=` compare. A string after `=` may begin or end with `*`; `\*` in quotes is a star.
* `:` is "has": a string contains the text, a set holds the tag, a map holds the key; on every other field, and on a
  label, it is `=`. `field:*` is true where the field is set, and not an empty string.
* Values stand bare or in quotes, `"` or `'`; in quotes a `\` takes the next character as it is. Names and enum values
  are case-sensitive. A label key of other characters than `A-Za-z0-9_/.-` is quoted: `labels."my key"`.
* Missing values: a comparison with one is false, `!=` is true. Along a path with a dot (`error.name`, `labels.key`)
  a missing value makes `!=` false too, as AIP-160 asks; `NOT error.name = "x"` includes it. To `=` and `!=` a string
  field that is missing and one that is empty are the same, as they are in the API.
* Not supported, and refused: bare literals, functions, and parentheses as a value.
"""

from __future__ import annotations

from lark import Token, Tree

from taskwheel_server.errors import InvalidArgument, clip
from taskwheel_server.filters.catalogue import Catalogue, Field, Kind
from taskwheel_server.filters.grammar import Literal, fault, read
from taskwheel_server.filters.literals import READERS
from taskwheel_server.filters.syntax import EVERYTHING, And, Comparison, Filter, Labelled, Not, Operator, Or, Tagged

_ORDERED = {"<": Operator.LT, "<=": Operator.LE, ">": Operator.GT, ">=": Operator.GE}
_EQUALITY_ONLY = {Kind.BOOL, Kind.ENUM, Kind.NAME}
_PATTERNS = {
    (False, False): Operator.EQ,
    (False, True): Operator.PREFIX,
    (True, False): Operator.SUFFIX,
    (True, True): Operator.CONTAINS,
}


def parse(text: str, catalogue: Catalogue) -> Filter:
    """Return the filter that `text` describes, checked against the fields of `catalogue`; blank text lets all through.

    Raises:
        InvalidFilter: bad syntax, an unknown field, operator or enum value, a literal of the wrong type, or a text
            longer than 2,048 characters or nested deeper than 16.
    """
    tree = read(text)
    return EVERYTHING if tree is None else _build(tree, catalogue)


def _build(node: Tree[Token], catalogue: Catalogue) -> Filter:
    if node.data == "restriction":
        path, comparator, value = (child for child in node.children if isinstance(child, Token))
        return _restriction(path, comparator, Literal.read(value), catalogue)
    terms = tuple(_build(child, catalogue) for child in node.children if isinstance(child, Tree))
    if node.data == "not":
        return Not(terms[0])
    return And(terms) if node.data == "and" else Or(terms)


def _restriction(path: Token, comparator: Token, literal: Literal, catalogue: Catalogue) -> Filter:
    field, key = _lookup(path, catalogue)
    if comparator != "!=":
        return _test(field, key, comparator, literal)
    differs = Not(_test(field, key, comparator.update(value="="), literal))
    if key is not None:
        return And((Labelled(field.name, key, Operator.PRESENT), differs))
    if "." in field.name:
        return And((Comparison(field.name, Operator.PRESENT), differs))
    return differs


def _lookup(path: Token, catalogue: Catalogue) -> tuple[Field, str | None]:
    """Return the field that a path names and, within a map, the key."""
    head, _, key = path.partition(".")
    if key and head in catalogue and catalogue[head].kind is Kind.LABELS:
        return catalogue[head], key[1:-1] if key.startswith('"') else key
    if path not in catalogue:
        raise fault(path, f"unknown field '{clip(path)}'; the fields are {', '.join(sorted(catalogue))}")
    return catalogue[path], None


def _test(field: Field, key: str | None, comparator: Token, literal: Literal) -> Filter:
    if key is not None:
        operator, text = _string_test(comparator, literal, Operator.EQ)
        return Labelled(field.name, key, operator, text)
    if field.kind in (Kind.TAGS, Kind.LABELS):
        return _member(field, comparator, literal)
    if field.kind is Kind.STRING:
        return _string(field, *_string_test(comparator, literal, Operator.CONTAINS))
    return _scalar(field, comparator, literal)


def _scalar(field: Field, comparator: Token, literal: Literal) -> Filter:
    """Return the test of a field whose literals are not free text."""
    operator = _ORDERED.get(comparator, Operator.EQ)
    if operator is not Operator.EQ and field.kind in _EQUALITY_ONLY:
        raise fault(comparator, f"'{field.name}' takes = != and : only")
    if field.kind is Kind.NAME:
        return _reference(field, literal)
    if literal.star and operator is Operator.EQ:
        return Comparison(field.name, Operator.PRESENT)
    if field.kind is Kind.ENUM:
        return _enum(field, literal)
    try:
        return Comparison(field.name, operator, READERS[field.kind](literal.text))
    except ValueError as error:
        raise fault(literal.token, f"'{field.name}' cannot be '{clip(literal.text)}': {error}") from None


def _string_test(comparator: str, literal: Literal, has: Operator) -> tuple[Operator, str | None]:
    """Return the test of a string that is there; `has` is what `:` means."""
    if comparator in _ORDERED:
        return _ORDERED[comparator], literal.text
    if comparator == ":" and not literal.star:
        return has, literal.text
    units = literal.units
    starts, ends = units[:1] == ("*",), len(units) > 1 and units[-1] == "*"
    body = units[starts : len(units) - ends]
    if "*" in body:
        raise fault(literal.token, r'a * may only begin or end the value; write "\*" for a star')
    if not body and starts:
        return Operator.PRESENT, None
    return _PATTERNS[starts, ends], "".join(unit[-1] for unit in body)


def _string(field: Field, operator: Operator, text: str | None) -> Filter:
    """Return the test of a string that may be missing, which is as good as empty."""
    present = _not_empty(field)
    if operator is Operator.PRESENT or (operator is Operator.CONTAINS and not text):
        return present
    if operator is Operator.EQ and not text and "." not in field.name:
        return Not(present)
    return Comparison(field.name, operator, text)


def _not_empty(field: Field) -> Filter:
    return Comparison(field.name, Operator.GT, "")


def _reference(field: Field, literal: Literal) -> Filter:
    if literal.star:
        return _not_empty(field)
    if not literal.text:
        return Not(_not_empty(field))
    try:
        return Comparison(field.name, Operator.IN, field.resolve(literal.text))
    except InvalidArgument as error:
        raise fault(literal.token, f"'{field.name}' {error.description}") from None


def _enum(field: Field, literal: Literal) -> Filter:
    if literal.text not in field.values:
        known = ", ".join(field.values)
        raise fault(literal.token, f"'{field.name}' cannot be '{clip(literal.text)}'; its values are {known}")
    return Comparison(field.name, Operator.IN, field.values[literal.text])


def _member(field: Field, comparator: Token, literal: Literal) -> Filter:
    if comparator != ":":
        hint = "" if field.kind is Kind.TAGS else f"; a label is compared as {field.name}.KEY"
        raise fault(comparator, f"'{field.name}' takes : only{hint}")
    member = None if literal.star else literal.text
    return Tagged(field.name, member) if field.kind is Kind.TAGS else Labelled(field.name, member, Operator.PRESENT)
