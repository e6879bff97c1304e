from collections import UserDict
from datetime import UTC, datetime, timedelta, timezone
from enum import IntEnum
from typing import Any

import pytest
from google.protobuf.struct_pb2 import Value
from hypothesis import given
from hypothesis import strategies as st

from taskwheel import UnsupportedValue
from taskwheel._values import (
    clip,
    fill_value,
    from_struct,
    from_timestamp,
    from_value,
    to_duration,
    to_struct,
    to_timestamp,
)

leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
)
keys = st.text(st.characters(exclude_categories=["Cs"]))
json = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(keys, inner), max_leaves=20)


class Size(IntEnum):
    SMALL = 1


def nested(levels: int, kind: type) -> Any:
    value: Any = "leaf"
    for _ in range(levels):
        value = {"a": value} if kind is dict else [value]
    return value


def a_value_that_holds_itself() -> dict[str, Any]:
    value: dict[str, Any] = {}
    value["self"] = value
    return value


@given(json)
def test_a_json_value_comes_back_as_it_went(value):
    message = Value()
    fill_value(message, value)
    assert from_value(Value.FromString(message.SerializeToString())) == value


@given(st.dictionaries(keys, json))
def test_a_payload_comes_back_as_it_went(payload):
    assert from_struct(to_struct(payload)) == payload


@pytest.mark.parametrize(
    ("source", "there"),
    [
        ((1, 2), [1, 2]),
        (UserDict(a=1), {"a": 1}),
        (Size.SMALL, 1),
        (3.0, 3),
        ({"empty": {}, "none": []}, {"empty": {}, "none": []}),
    ],
)
def test_values_that_are_json_in_spirit_are_taken(source, there):
    message = Value()
    fill_value(message, source)
    assert from_value(message) == there


def test_whole_numbers_come_back_as_int_and_great_ones_as_float():
    assert type(from_value(Value(number_value=2.0))) is int
    assert type(from_value(Value(number_value=1e300))) is float


@pytest.mark.parametrize(
    ("payload", "path", "what"),
    [
        ({"n": 2**53 + 1}, "payload.n", r"2\^53"),
        ({"n": [0, {"m": -(2**60)}]}, "payload.n[1].m", r"2\^53"),
        ({"n": float("nan")}, "payload.n", "nan"),
        ({"n": float("inf")}, "payload.n", "inf"),
        ({"when": datetime(2026, 1, 1, tzinfo=UTC)}, "payload.when", "datetime"),
        ({"raw": b"x"}, "payload.raw", "bytes"),
        ({1: "x"}, "payload", "strings"),
        ({"text": "\ud800"}, "payload.text", "Unicode"),
        ({"\ud800": 1}, "payload.'\\ud800'", "Unicode"),
        ([1], "payload", "list"),
        ("text", "payload", "str"),
        (nested(33, dict), "payload" + ".a" * 32, "deeper"),
        (a_value_that_holds_itself(), "payload" + ".self" * 32, "deeper"),
    ],
)
def test_what_the_wire_cannot_carry_is_refused_with_its_path(payload, path, what):
    with pytest.raises(UnsupportedValue, match=what) as caught:
        to_struct(payload)
    assert caught.value.path == path


@pytest.mark.parametrize("kind", [dict, list])
def test_32_levels_are_taken_and_33_are_not(kind):
    fill_value(Value(), nested(32, kind))
    with pytest.raises(UnsupportedValue):
        fill_value(Value(), nested(33, kind))


@given(st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 30), timezones=st.just(UTC)))  # noqa: DTZ001
def test_an_instant_comes_back_to_the_microsecond(instant):
    assert from_timestamp(to_timestamp(instant)) == instant


def test_an_instant_of_another_zone_is_the_same_instant():
    berlin = timezone(timedelta(hours=1))
    assert from_timestamp(to_timestamp(datetime(2026, 1, 1, 1, tzinfo=berlin))) == datetime(2026, 1, 1, tzinfo=UTC)


def test_a_naive_datetime_names_no_instant():
    with pytest.raises(UnsupportedValue, match="time zone"):
        to_timestamp(datetime(2026, 1, 1))  # noqa: DTZ001


@pytest.mark.parametrize("length", [timedelta(seconds=1.5), 1.5])
def test_a_duration_is_a_timedelta_or_seconds(length):
    assert to_duration(length).ToTimedelta() == timedelta(seconds=1.5)


@pytest.mark.parametrize(
    ("text", "size", "cut"), [("abc", 3, "abc"), ("abcd", 3, "abc"), ("äb", 2, "ä"), ("aä", 2, "a"), ("\ud800", 9, "?")]
)
def test_text_is_cut_between_characters(text, size, cut):
    assert clip(text, size) == cut
