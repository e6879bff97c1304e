"""What is no filter is refused, with the place and the reason."""

from __future__ import annotations

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskwheel_server.errors import InvalidArgument
from taskwheel_server.filters import Field, InvalidFilter, Kind, catalogue, parse


def resolve(text: str) -> tuple[str, ...]:
    if text.startswith("bad"):
        raise InvalidArgument("task", "is not a task name")
    return (text,)


CATALOGUE = catalogue(
    Field("handler", Kind.STRING),
    Field("state", Kind.ENUM, values={"PENDING": (1, 2, 3), "FAILED": (8,)}),
    Field("attempt", Kind.INT),
    Field("ratio", Kind.FLOAT),
    Field("done", Kind.BOOL),
    Field("end_time", Kind.TIME),
    Field("timeout", Kind.DURATION),
    Field("task", Kind.NAME, resolve=resolve),
    Field("error.name", Kind.STRING),
    Field("tags", Kind.TAGS),
    Field("labels", Kind.LABELS),
)
HALF = chr(0xD800)

CASES = [
    # Syntax.
    ("Hugo", "at the end: expected one of = != < <= > >= : after the field"),
    ("Victor Hugo", "at character 8: expected one of = != < <= > >= : after the field"),
    ("attempt =", "at the end: expected a value"),
    ("attempt == 1", "at character 10: expected a value"),
    ("attempt = (1 OR 2)", "at character 11: expected a value"),
    ("handler = 'open", "at character 11: expected a value"),
    ("(attempt = 1", "at the end: a parenthesis is not closed"),
    ("attempt = 1)", "at character 12: unexpected here"),
    ("()", "at character 2: expected a field"),
    ("attempt = 1 AND", "at the end: expected a field"),
    ("attempt = 1, attempt = 2", "at character 12: expected a field"),
    ("NOT NOT done = true", "at character 9: expected one of"),
    ("handler = OR done = true", "at character 11: expected a value; quote it where it is the word OR"),
    ("f(x)", "at character 2: expected one of"),
    ("\N{SNOWMAN} = 1", "at character 1: expected a field"),
    # Bounds.
    ("(" * 17 + "done=true" + ")" * 17, "at character 17: parentheses nest deeper than 16"),
    ("handler=" + "x" * 2041, "is 2049 characters long; at most 2048 are allowed"),
    ("handler = 'a\0b'", "holds a NUL or half a surrogate pair"),
    (f"handler = 'a{HALF}b'", "holds a NUL or half a surrogate pair"),
    # Fields.
    ("Attempt = 1", "at character 1: unknown field 'Attempt'; the fields are attempt, done, end_time"),
    ("done=true error = 1", "at character 11: unknown field 'error'"),
    ("tags.x = 1", "at character 1: unknown field 'tags.x'"),
    ("x" * 300 + "=1", f"at character 1: unknown field '{'x' * 125}...'"),
    # Operators.
    ("state < FAILED", "at character 7: 'state' takes = != and : only"),
    ("done >= false", "at character 6: 'done' takes = != and : only"),
    ("task > nightly", "at character 6: 'task' takes = != and : only"),
    ("tags = x", "at character 6: 'tags' takes : only"),
    ("labels != x", "at character 8: 'labels' takes : only; a label is compared as labels.KEY"),
    # Literals.
    ("state = failed", "at character 9: 'state' cannot be 'failed'; its values are PENDING, FAILED"),
    ("attempt = one", "at character 11: 'attempt' cannot be 'one': expected a 64-bit integer"),
    ("attempt = 1.5", "at character 11: 'attempt' cannot be '1.5': expected a 64-bit integer"),
    ("attempt = 9223372036854775808", "at character 11: 'attempt' cannot be '9223372036854775808': expected a 64-bit"),
    ("attempt = '\N{ARABIC-INDIC DIGIT ONE}'", r"at character 11: 'attempt' cannot be '\u0661': expected a 64-bit"),
    ("attempt < *", "at character 11: 'attempt' cannot be '*': expected a 64-bit integer"),
    ("ratio = 1e999", "at character 9: 'ratio' cannot be '1e999': expected a finite number"),
    ("ratio = nan", "at character 9: 'ratio' cannot be 'nan': expected a finite number"),
    ("done = True", "at character 8: 'done' cannot be 'True': expected true or false"),
    ("end_time > yesterday", "at character 12: 'end_time' cannot be 'yesterday': expected an RFC 3339 time"),
    ("end_time > 2026-11-22", "at character 12: 'end_time' cannot be '2026-11-22': expected an RFC 3339 time"),
    ("end_time > 2026-02-30T00:00:00Z", "at character 12: 'end_time' cannot be '2026-02-30T00:00:00Z': no such time"),
    ("end_time > 2026-02-03T00:00:00+24:00", "at character 12: 'end_time' cannot be '2026-02-03T00:00:00+24:00': no"),
    ("timeout = 3", "at character 11: 'timeout' cannot be '3': expected a duration in seconds, such as 3.5s"),
    ("timeout = 5m", "at character 11: 'timeout' cannot be '5m': expected a duration in seconds"),
    ("handler = a*b", "at character 11: a * may only begin or end the value"),
    ("labels.k = 'a*b'", "at character 12: a * may only begin or end the value"),
    ("task = bad/name", "at character 8: 'task' is not a task name"),
]


@pytest.mark.parametrize(("text", "description"), CASES)
def test_a_bad_filter_names_place_and_reason(text: str, description: str) -> None:
    with pytest.raises(InvalidFilter) as caught:
        parse(text, CATALOGUE)
    assert caught.value.field == "filter"
    assert caught.value.description.startswith(description)
    assert len(caught.value.description) <= 512
    assert caught.value.description.isascii()


def parses_or_refuses(text: str) -> None:
    with contextlib.suppress(InvalidFilter):
        hash(parse(text, CATALOGUE))


@given(st.text(max_size=60))
def test_arbitrary_text_is_parsed_or_refused(text: str) -> None:
    parses_or_refuses(text)


pieces = st.sampled_from(
    [
        "attempt",
        "done",
        "tags",
        "labels",
        ".",
        "k",
        "=",
        "!=",
        "<=",
        ":",
        "1",
        "true",
        "*",
        '"x"',
        "'",
        '"',
        "\\",
        "(",
        ")",
        "-",
        "AND",
        "OR",
        "NOT",
        "2026-11-22T00:00:00Z",
        ",",
        "é",
    ]
)


@given(st.lists(pieces, max_size=25).flatmap(lambda words: st.sampled_from(["".join(words), " ".join(words)])))
def test_any_jumble_of_its_words_is_parsed_or_refused(text: str) -> None:
    parses_or_refuses(text)


@pytest.mark.parametrize(
    "text",
    [
        "done=true " * 204,
        "tags:x OR " * 204 + "tags:x",
        "(" * 2048,
        "-(" * 1024,
        "NOT " * 512,
        'handler="' + "\\\\" * 1019,
        'handler="' + "\\" * 2039,
        "labels." + "a." * 1020,
        "labels." + '"a".' * 510,
        "\"'" * 1024,
        "handler=" + "*" * 2040,
        "ratio=" + "1" * 2042,
        "a" * 2048,
        " " * 2048,
    ],
)
def test_no_text_takes_long(text: str) -> None:
    parse("done=true", CATALOGUE)
    start = time.process_time()
    parses_or_refuses(text)
    assert time.process_time() - start < 0.05
