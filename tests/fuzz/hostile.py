"""Values that ask for trouble, by the type of a field."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from google.protobuf.struct_pb2 import Struct, Value

from tests.fuzz.hostile_texts import MIB, text

INTEGERS: Mapping[int, Sequence[int]] = {
    32: (-(2**31), -1, 0, 1, 2, 100, 101, 1000, 1001, 10_000, 10_001, 2**31 - 1),
    64: (-(2**63), -1, 0, 1, 2**31, 2**53 + 1, 2**63 - 1),
}
ENUMS: Sequence[int] = (-1, 5, 99, 2**31 - 1, -(2**31))
DOUBLES: Sequence[float] = (float("nan"), float("inf"), float("-inf"), -0.0, 5e-324, 1e308, -1.0, 0.999999, 2.0, 101.0)
SECONDS: Sequence[int] = (
    -(2**63),
    -62_135_596_801,
    -62_135_596_800,
    -315_576_000_001,
    -1,
    0,
    86_401,
    31_536_001,
    253_402_300_799,
    253_402_300_800,
    315_576_000_001,
    2**63 - 1,
)
NANOS: Sequence[int] = (-(2**31), -999_999_999, -1, 0, 1, 999, 999_999_999, 1_000_000_000, 2**31 - 1)
# Objects within objects; 32 is the most that is allowed.
DEPTHS: Sequence[int] = (31, 32, 33, 34, 98)


def nest(struct: Struct, depth: int, *, lists: bool = False) -> None:
    """Make an object `depth` levels deep, itself the first; `lists` puts each of the others into a list."""
    for _ in range(depth - 1):
        value = struct.fields["k"]
        struct = value.list_value.values.add().struct_value if lists else value.struct_value
        struct.SetInParent()
    struct.fields["end"].bool_value = True


def size(struct: Struct, size: int) -> None:
    """Make an object `size` bytes long when serialized, near 1 MiB."""
    struct.fields["k"].string_value = "v" * (size - 40)
    struct.fields["k"].string_value += "v" * (size - struct.ByteSize())
    assert struct.ByteSize() == size


def _odd_keys(struct: Struct) -> None:
    for key in ("", "\0", "k" * 1000, "__proto__", "\u202e", "a.b[0]"):
        struct.fields[key].string_value = key


def _number(struct: Struct, number: float) -> None:
    struct.fields["n"].number_value = number


def _no_kind(struct: Struct) -> None:
    struct.fields["nothing"].SetInParent()
    struct.fields["list"].list_value.values.add()


def _many_keys(struct: Struct) -> None:
    for number in range(20_000):
        struct.fields[str(number)].bool_value = True


def _wide(struct: Struct) -> None:
    struct.fields["wide"].list_value.values.extend([Value(bool_value=True)] * 30_000)


STRUCTS: Sequence[Callable[[Struct], object]] = (
    *(partial(nest, depth=depth) for depth in DEPTHS),
    *(partial(nest, depth=depth, lists=True) for depth in (2, 16, 31, 32, 33, 48)),
    *(partial(_number, number=number) for number in DOUBLES),
    _odd_keys,
    _no_kind,
    Struct.Clear,
)
LARGE_STRUCTS: Sequence[Callable[[Struct], object]] = (
    *(partial(size, size=size_) for size_ in (MIB - 1, MIB, MIB + 1)),
    _many_keys,
    _wide,
)


def spoil_struct(struct: Struct, draw: random.Random) -> None:
    """Make an object hostile."""
    struct.Clear()
    draw.choice(LARGE_STRUCTS if draw.random() < 0.04 else STRUCTS)(struct)


def spoil_value(value: Value, draw: random.Random) -> None:
    """Make a JSON value hostile."""
    value.Clear()
    match draw.randrange(4):
        case 0:
            value.number_value = draw.choice(DOUBLES)
        case 1:
            value.string_value = text(draw, "")
        case 2:
            spoil_struct(value.struct_value, draw)
        case _:
            # Of no kind.
            pass


def any_of(draw: random.Random, field: Any) -> Any:
    """Return a hostile value for a field that holds no message."""
    if field.type == field.TYPE_STRING:
        return text(draw, field.name)
    if field.type == field.TYPE_ENUM:
        return draw.choice(ENUMS)
    if field.type == field.TYPE_BOOL:
        return draw.random() < 0.5
    if field.type in {field.TYPE_DOUBLE, field.TYPE_FLOAT}:
        return draw.choice(DOUBLES)
    if field.type in {field.TYPE_INT32, field.TYPE_SINT32, field.TYPE_SFIXED32}:
        return draw.choice(INTEGERS[32])
    return draw.choice(INTEGERS[64])
