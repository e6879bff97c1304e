import pytest
from google.protobuf.struct_pb2 import ListValue, Struct, Value
from hypothesis import given
from hypothesis import strategies as st

from taskwheel.v1.event_pb2 import Event
from taskwheel.v1.event_service_pb2 import WatchEventsResponse
from taskwheel.v1.task_run_pb2 import TaskRun
from taskwheel.v1.task_run_service_pb2 import ListTaskRunsResponse
from taskwheel_server.rpc.opaque import MAX_BYTES, NULL, Unstorable, canonical_struct, canonical_value

json_values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def nested(levels: int) -> bytes:
    """A serialized Struct of so many objects inside each other, built without parsing any."""
    inner = Struct(fields={"a": Value(number_value=1)}).SerializeToString()
    for _ in range(levels - 1):
        value = b"\x2a" + varint(len(inner)) + inner
        entry = b"\x0a\x01a\x12" + varint(len(value)) + value
        inner = b"\x0a" + varint(len(entry)) + entry
    return inner


def varint(number: int) -> bytes:
    low, high = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + varint(high) if high else bytes([low])


@given(st.dictionaries(st.text(), json_values, max_size=5))
def test_every_json_object_is_taken_unchanged_and_in_one_form(value):
    struct, reordered = Struct(), Struct()
    struct.update(value)
    reordered.update(dict(reversed(value.items())))
    stored = canonical_struct(struct.SerializeToString())
    assert Struct.FromString(stored) == struct
    assert canonical_struct(stored) == stored == canonical_struct(reordered.SerializeToString())


@pytest.mark.parametrize("levels", [1, 31, 32])
def test_what_is_taken_can_be_parsed_wherever_it_may_stand(levels):
    stored = canonical_struct(nested(levels))
    event = Event()
    event.task_snapshot.payload.ParseFromString(stored)
    assert WatchEventsResponse.FromString(WatchEventsResponse(events=[event]).SerializeToString()).events == [event]
    run = TaskRun()
    run.result.struct_value.ParseFromString(stored)
    assert canonical_value(run.result.SerializeToString()) == run.result.SerializeToString()
    assert ListTaskRunsResponse.FromString(ListTaskRunsResponse(task_runs=[run]).SerializeToString()).task_runs == [run]


@pytest.mark.parametrize("levels", [33, 34, 100, 10_000])
def test_what_is_nested_deeper_is_refused(levels):
    with pytest.raises(Unstorable, match="32 levels"):
        canonical_struct(nested(levels))


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_json_lacks_are_refused_wherever_they_stand(number):
    listed = Value(list_value=ListValue(values=[Value(), Value(number_value=number)]))
    for value in (Value(number_value=number), listed, Value(struct_value=Struct(fields={"b": listed}))):
        with pytest.raises(Unstorable, match="NaN"):
            canonical_value(value.SerializeToString())
    with pytest.raises(Unstorable, match="NaN"):
        canonical_struct(Struct(fields={"a": Value(number_value=1), "b": listed}).SerializeToString())


def test_bytes_that_only_look_like_such_a_number_are_taken():
    # The last bytes of a key, then its number: the exponent found is not one.
    struct = Struct(fields={"\x12\x09\x11": Value(number_value=float.fromhex("0x1.fffffffffffffp+1023"))})
    assert Struct.FromString(canonical_struct(struct.SerializeToString())) == struct


@pytest.mark.parametrize("data", [b"\xff", b"\x0a\x05abc", b"\x0a\x03\x0a\x01\xff"])
def test_bytes_that_are_no_struct_are_refused(data):
    with pytest.raises(Unstorable):
        canonical_struct(data)


def test_a_mebibyte_is_the_most():
    fits = Struct(fields={"a": Value(string_value="x" * (MAX_BYTES - 18))}).SerializeToString()
    assert canonical_struct(fits) == fits
    assert MAX_BYTES - len(fits) < 8
    with pytest.raises(Unstorable, match="1048576"):
        canonical_struct(Struct(fields={"a": Value(string_value="x" * MAX_BYTES)}).SerializeToString())


def test_a_value_without_a_kind_is_null():
    assert canonical_value(b"") == NULL
    assert Value.FromString(NULL).HasField("null_value")
