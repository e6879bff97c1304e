"""Values that ask for trouble, by the type of a field and by what its name says it holds."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from google.protobuf.struct_pb2 import Struct, Value

# Three bytes that the generator replaces by a lone surrogate on the wire: no Python string can hold one.
SURROGATE = "~%~"
MIB = 1024 * 1024

STRINGS: Sequence[str] = (
    "",
    " ",
    "-",
    ".",
    "..",
    "*",
    "\0",
    "a\0b",
    "\x1b[31mred",
    "line\r\nline",
    "\u2028\u2029",
    "\u202etxet",
    "\ufeff",
    "\U0010ffff",
    "é" * 100,
    "e\u0301" * 64,
    "\u017fun",
    "\U0001d4b3" * 128,
    "a" * 129,
    "a" * 301,
    "x" * 16_385,
    "%s%n%x",
    "{0.__class__}",
    "${jndi:x}",
    "'; DROP TABLE runs; --",
    '"',
    "\\",
    "../../../etc/passwd",
    "true",
    "null",
    "NaN",
    "18446744073709551616",
    f"a{SURROGATE}b",
)
LONG_STRINGS: Sequence[str] = ("y" * 70_000, "z" * MIB, "\n" * 9_000, "ü" * 40_000)
NAMES: Sequence[str] = (
    "namespaces/default/tasks/",
    "namespaces//tasks/fuzz-1",
    "namespaces/other/tasks/fuzz-1",
    "namespaces/other",
    "namespaces/-",
    "namespaces/-/tasks/-",
    "namespaces/default/tasks/fuzz-1/runs/x",
    "namespaces/default/runs/fuzz-1",
    "namespaces/DEFAULT/tasks/fuzz-1",
    "tasks/",
    "tasks//",
    "/tasks/fuzz-1",
    "runs/",
    "runs/x",
    "00000000-0000-0000-0000-000000000000",
    "ffffffff-ffff-7fff-bfff-ffffffffffff",
    "019A0000-0000-7000-8000-000000000000",
    "019a00000000700080000000000000000",
    "01900000-0000-7000-8000-000000000000",
    "fuzz-1\n",
    "fuzz-\uff11",
)
CRONS: Sequence[str] = (
    "* * * *",
    "* * * * * *",
    "0 0 30 2 *",
    "0 0 */100 * MON#4",
    "0 0 29 2 */7",
    "0 0 31 2,4,6,9,11 *",
    "60 0 * * *",
    "5-1 * * * *",
    "*/0 * * * *",
    "0-1000000000 * * * *",
    "1-2-3 * * * *",
    ",".join("0" for _ in range(250)) + " * * * *",
    "0 0 L L L",
    "0 0 LW * *",
    "0 0 99W * *",
    "0 0 * * 5#6",
    "0 0 * * FRI#-1",
    "0 0 * * \u017fun",
    "H/0 * * * *",
    "H(0-99) * * * *",
    "@reboot",
    "@every 1s",
    "CRON_TZ=UTC 0 0 * * *",
    "0 0 1 1 *\n0 0 2 1 *",
    "\t0\t0\t1\t1\t*",
    "\u0660 \u0660 \u0661 \u0661 *",
    "(((((((((((((((((((((",
    "-1 -1 -1 -1 -1",
    "1e9 * * * *",
    "0 0 1 1 * " * 30,
)
ZONES: Sequence[str] = (
    "America",
    "../UTC",
    "../" * 20,
    "/etc/localtime",
    "localtime",
    "posixrules",
    "right/UTC",
    "Factory",
    "utc",
    "europe/berlin",
    "Europe/Berlin\0",
    "Europe//Berlin",
    "GMT+25",
    "+01:00",
    "America/",
    "tzdata.zi",
    "zone.tab",
)
FILTERS: Sequence[str] = (
    "(" * 1000,
    "NOT " * 500,
    "a" * 2049,
    "state",
    "state =",
    "= FAILED",
    "state = NOSUCH",
    "state > FAILED",
    "nosuch = 1",
    "state.nosuch = 1",
    "__class__ = 1",
    "labels = 1",
    "labels. = 1",
    'labels."a b" = "c"',
    "labels.a:b",
    'tags:""',
    'tags = "x"',
    'tags:"\u2028"',
    'create_time > "yesterday"',
    'create_time > "9999-12-31T23:59:60Z"',
    'create_time > "0000-01-01T00:00:00Z"',
    'create_time > "2026-01-01T00:00:00+99:99"',
    "create_time > 1",
    "priority = 99999999999999999999",
    "priority = 1e400",
    "priority = -9223372036854775809",
    "priority = NaN",
    "sequence > 9223372036854775808",
    "sequence = 1.5",
    "attempt:1",
    "done = maybe",
    'task = "namespaces/other/tasks/x"',
    'task = "\0"',
    'run = "' + "a" * 1000 + '"',
    "name = '",
    'name = "unended',
    'name = "*"',
    'name = "**a**"',
    'display_name = "%_\\%"',
    "a OR b AND c OR (d AND NOT e)",
    " OR ".join("priority = 1" for _ in range(140)),
    " ".join("priority = 1" for _ in range(150)),
    "-state = FAILED",
    "state = FAILED;",
    "state = FAILED -- x",
    "state:FAILED, state:PENDING",
    "f(x) = 1",
    "1 = 1",
    "task = task",
    "\ufeffstate = FAILED",
    "state\u00a0=\u00a0FAILED",
)
ORDERS: Sequence[str] = (
    "nosuch",
    "create_time desc desc",
    "create_time asc",
    "create_time,",
    ",",
    "create_time,create_time",
    "create_time; drop table runs",
    "CREATE_TIME",
    "payload",
    "labels.a",
    "uid",
    "sequence, sequence desc",
    ", ".join(["priority"] * 25),
)
TOKENS: Sequence[str] = (
    "AAAA",
    "!!!!",
    "=",
    "a" * 16_384,
    "a" * 16_385,
    "e30",
    "W10",
    "bnVsbA",
    "W1tbW1tbW1tbW1tbW1tbXV1dXV1dXV1dXV1d",
    "eyJhIjogMX0=",
    "eJwLAAAAAAE=",
)
PATHS: Sequence[str] = (
    "",
    ".",
    "*",
    "*,*",
    "nosuch",
    "worker.nosuch",
    "worker..handler",
    ".worker",
    "worker.",
    "schedules[0]",
    "schedules.cron",
    "schedules.0.cron",
    "labels.a",
    "labels.`a`",
    "payload.fields",
    "payload.a",
    "name",
    "uid",
    "create_time.seconds",
    "retry_policy.fixed_delays.delays",
    "retryPolicy",
    "a" * 1000,
    "\0",
)
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
# What the name of a string field says about it. Any other gets STRINGS and NAMES.
BY_NAME: Mapping[str, Sequence[str]] = {
    "filter": FILTERS,
    "order_by": ORDERS,
    "page_token": TOKENS,
    "cron": CRONS,
    "time_zone": ZONES,
    "paths": PATHS,
}


def text(draw: random.Random, field: str) -> str:
    """Return a hostile value for a string field of this name."""
    if draw.random() < 0.01:
        return draw.choice(LONG_STRINGS)
    known = BY_NAME.get(field, NAMES)
    return draw.choice(known if draw.random() < 0.6 else STRINGS)


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
