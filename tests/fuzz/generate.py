"""Requests: well-formed ones made from the descriptors, then spoilt field by field or byte by byte."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.descriptor import Descriptor, MethodDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import DecodeError
from google.protobuf.struct_pb2 import Struct, Value
from google.protobuf.timestamp_pb2 import Timestamp

from tests.fuzz import hostile
from tests.fuzz.contract import MESSAGE, Field, is_map, is_output, is_required, new, resource
from tests.fuzz.hostile_texts import SURROGATE, text

DAY = 86_400
# An instant long after any run of this test.
LATER = 4_102_444_800
_DEEPEST = 7


@dataclass
class World:
    """What the server knows, for requests to point at.

    Args:
        words: good values of string fields, as `words` returns them.
        leases: (run, attempt, lease_token) of runs under a lease.
    """

    words: dict[str, Sequence[str]]
    leases: list[tuple[str, int, str]] = field(default_factory=list)


class Generator:
    """Draws requests; the same seed draws the same ones.

    Args:
        seed: of everything.
        world: to point at.
    """

    def __init__(self, seed: int, world: World) -> None:
        self._seed = seed
        self._world = world

    def requests(self, method: MethodDescriptor, index: int) -> list[bytes]:
        """Return the `index`-th call of a method as serialized requests: one, or several for a stream of them."""
        draw = random.Random(f"{self._seed} {method.full_name} {index}")
        count = draw.randint(1, 4) if method.client_streaming else 1
        messages = [self._build(method.input_type, draw) for _ in range(count)]
        if method.client_streaming and draw.random() < 0.9:
            self._introduce(messages, draw)
        if index % 10 < 7:
            for _ in range(draw.choice((0, 1, 1, 1, 1, 2, 3))):
                self._spoil(draw.choice(messages), draw)
            return [_with_surrogates(message.SerializeToString()) for message in messages]
        serialized = [message.SerializeToString() for message in messages]
        spoilt = draw.randrange(len(serialized))
        if draw.random() < 0.005:
            # A million elements of some field, each of them empty.
            serialized[spoilt] += bytes((draw.randint(1, 15) << 3 | 2, 0)) * 1_000_000
        else:
            serialized[spoilt] = mutilate(serialized[spoilt], draw)
        return serialized

    def _introduce(self, messages: list[Any], draw: random.Random) -> None:
        """Give a stream's first message, and no other, the `hello` that it must begin with."""
        first, *others = messages
        if "hello" in first.DESCRIPTOR.fields_by_name:
            first.hello.CopyFrom(self._build(first.DESCRIPTOR.fields_by_name["hello"].message_type, draw))
            for other in others:
                other.ClearField("hello")

    def _build(self, kind: Descriptor, draw: random.Random, depth: int = 0) -> Any:
        message = new(kind)
        lease = draw.choice(self._world.leases) if self._world.leases and draw.random() < 0.8 else None
        chosen = {draw.choice(oneof.fields).name for oneof in kind.oneofs if draw.random() < 0.97}
        for each in kind.fields:
            if is_output(each) or depth > _DEEPEST or (each.containing_oneof and each.name not in chosen):
                continue
            if is_required(each) or each.containing_oneof or draw.random() < 0.3:
                self._fill(message, each, draw, depth)
        if lease and {"run", "attempt", "lease_token"} <= set(kind.fields_by_name):
            message.run, message.attempt, message.lease_token = lease
        return message

    def _fill(self, message: Any, each: Field, draw: random.Random, depth: int) -> None:
        if is_map(each):
            getattr(message, each.name)["key"] = "value"
        elif each.is_repeated:
            values = [self._good(each, draw, depth) for _ in range(draw.randint(1, 2))]
            getattr(message, each.name).extend(values)
        elif each.type == MESSAGE:
            getattr(message, each.name).CopyFrom(self._good(each, draw, depth))
        else:
            setattr(message, each.name, self._good(each, draw, depth))

    def _good(self, each: Field, draw: random.Random, depth: int) -> Any:
        if each.type == MESSAGE:
            return self._good_message(each, draw, depth)
        if each.type == each.TYPE_STRING:
            return draw.choice(self._words(each))
        if each.type == each.TYPE_ENUM:
            return draw.choice(each.enum_type.values).number
        if each.type == each.TYPE_BOOL:
            return bool(each.containing_oneof) or draw.random() < 0.5
        return 1

    def _words(self, each: Field) -> Sequence[str]:
        known = self._world.words
        keys = (f"{each.containing_type.name}.{each.name}", resource(each), each.name)
        return next((known[key] for key in keys if key in known), ("word", "Wort", "mot"))

    def _good_message(self, each: Field, draw: random.Random, depth: int) -> Any:
        match each.message_type.full_name:
            case "google.protobuf.Timestamp":
                days = draw.randrange(400) + 400 * (each.name == "end_time")
                return Timestamp(seconds=LATER + days * DAY)
            case "google.protobuf.Duration":
                # An interval so long that no slot comes while the test lasts.
                return Duration(seconds=draw.randrange(30, 60) * DAY if each.name == "interval" else draw.randrange(3))
            case "google.protobuf.FieldMask":
                return FieldMask(paths=draw.sample(self._world.words["paths"], 2))
            case "google.protobuf.Struct":
                return _small_struct()
            case "google.protobuf.Value":
                return Value(struct_value=_small_struct())
            case _:
                return self._build(each.message_type, draw, depth + 1)

    def _spoil(self, message: Any, draw: random.Random) -> None:
        """Give one field, anywhere in the tree, a hostile value."""
        places = list(_places(message))
        if not places:
            return
        owner, each = draw.choice(places)
        if is_map(each):
            self._spoil_map(getattr(owner, each.name), draw)
        elif each.is_repeated:
            self._spoil_list(getattr(owner, each.name), each, draw)
        elif each.type == MESSAGE:
            self._spoil_message(getattr(owner, each.name), draw)
        elif draw.random() < 0.1:
            owner.ClearField(each.name)
        else:
            setattr(owner, each.name, hostile.any_of(draw, each))

    def _spoil_map(self, entries: Any, draw: random.Random) -> None:
        match draw.randrange(3):
            case 0:
                entries[text(draw, "")] = "value"
            case 1:
                entries["key"] = text(draw, "")
            case _:
                entries.update({f"k{number}": "v" for number in range(draw.choice((64, 65, 2000)))})

    def _spoil_list(self, values: Any, each: Field, draw: random.Random) -> None:
        match draw.randrange(4):
            case 0 if values:
                # What is nested too deeply cannot be copied.
                with suppress(DecodeError):
                    values.extend(list(values) * draw.choice((1, 64, 1000)))
            case 1:
                del values[:]
            case 2 if each.type == MESSAGE:
                values.add()
            case _ if each.type == MESSAGE:
                self._spoil_message(values.add(), draw)
            case _:
                values.append(hostile.any_of(draw, each))

    def _spoil_message(self, message: Any, draw: random.Random) -> None:
        match message:
            case Timestamp() | Duration():
                message.seconds, message.nanos = draw.choice(hostile.SECONDS), draw.choice(hostile.NANOS)
            case FieldMask():
                message.paths.append(text(draw, "paths"))
            case Struct():
                hostile.spoil_struct(message, draw)
            case Value():
                hostile.spoil_value(message, draw)
            case _:
                message.Clear()
                message.SetInParent()


def _small_struct() -> Struct:
    struct = Struct()
    struct.update({"a": 1, "b": ["c", None, {"d": True}]})
    return struct


def _places(message: Any, depth: int = 0) -> Iterator[tuple[Any, Field]]:
    """Yield every field that could be set in a message and in those it has, but not inside of JSON values and times."""
    if message.DESCRIPTOR.file.package == "google.protobuf":
        return
    for each in message.DESCRIPTOR.fields:
        yield message, each
        if each.type != MESSAGE or is_map(each) or depth > _DEEPEST:
            continue
        if each.is_repeated:
            for item in getattr(message, each.name)[:2]:
                yield from _places(item, depth + 1)
        elif message.HasField(each.name):
            yield from _places(getattr(message, each.name), depth + 1)


def _with_surrogates(serialized: bytes) -> bytes:
    return serialized.replace(SURROGATE.encode(), b"\xed\xa0\x80")


_SNIPPETS: Sequence[bytes] = (
    b"\xff" * 10 + b"\x01",
    b"\x00",
    b"\x0b\x0c",
    b"\x0b" * 200,
    b"\x07",
    b"\x0a\xff\xff\xff\xff\x07",
    b"\x0a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80",
    b"\xfa\xff\xff\xff\x0f\x02hi",
    b"\x0a\x03\xed\xa0\x80",
    b"\x12\x02\xc0\x80",
    b"\x0d\x00\x00\xc0\x7f",
    b"\x09\x00\x00\x00\x00\x00\x00\xf8\x7f",
)


def mutilate(serialized: bytes, draw: random.Random) -> bytes:
    """Return the bytes of a request, spoilt without regard for what they mean."""
    spoilt = bytearray(serialized)
    for _ in range(draw.choice((1, 1, 2, 5))):
        at = draw.randrange(len(spoilt) + 1)
        until = min(len(spoilt), at + draw.randint(1, 16))
        match draw.randrange(8):
            case 0:
                del spoilt[at:]
            case 1:
                del spoilt[at:until]
            case 2 if spoilt:
                spoilt[draw.randrange(len(spoilt))] ^= 1 << draw.randrange(8)
            case 3:
                spoilt[at:at] = draw.randbytes(draw.randint(1, 8))
            case 4:
                spoilt[at:at] = spoilt[at:until] * draw.choice((1, 2, 300))
            case 5:
                spoilt[at:at] = draw.choice(_SNIPPETS)
            case 6:
                spoilt[:] = draw.randbytes(draw.randint(1, 64))
            case _:
                # One length-delimited field around another, deeper than any parser goes.
                for _ in range(draw.choice((40, 99, 101, 120))):
                    spoilt[:0] = b"\x0a" + _varint(len(spoilt))
        del spoilt[300_000:]
    return bytes(spoilt)


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*encoded, number))


def words(tasks: Sequence[str], runs: Sequence[str], tokens: Sequence[str]) -> dict[str, Sequence[str]]:
    """Return good values of string fields, by message and field, by what they name, or by field alone.

    Args:
        tasks: ids of tasks.
        runs: names of runs.
        tokens: page tokens.
    """
    names = [*tasks, *(f"namespaces/default/tasks/{task}" for task in tasks)]
    return {
        "Task.name": names,
        "taskwheel/Task": names,
        "taskwheel/TaskRun": runs,
        "parent": ("", "namespaces/default"),
        "task_id": [*tasks, "fuzz-new"],
        "new_task_id": [*tasks, "fuzz-newer"],
        "handler": ("fuzz", "fuzz-other"),
        "handlers": ("fuzz", "fuzz-other"),
        "worker_id": ("worker-1",),
        "etag": ("", "", "", "etag"),
        "cron": ("0 0 1 1 *", "30 2 29 2 *", "@yearly", "H 3 1 6 *", "0 0 1W 1 *"),
        "time_zone": ("UTC", "Europe/Berlin", "America/New_York"),
        "ListTasksRequest.filter": ("", "state = ACTIVE", 'tags:"word"', "priority > 1 OR paused = true"),
        "ListTaskRunsRequest.filter": ("", "state = FAILED", 'task = "fuzz-1"', "done = false AND attempt = 1"),
        "filter": ("", "sequence > 1", 'type = "run_pending"', 'task = "fuzz-1" OR worker = "holder"'),
        "ListTasksRequest.order_by": ("", "task_id desc", "next_run_time, priority"),
        "ListTaskRunsRequest.order_by": ("", "priority desc", "end_time, create_time"),
        "order_by": ("", "sequence", "sequence desc"),
        "page_token": ["", "", "", *tokens],
        "paths": ("display_name", "labels", "worker.handler", "retry_policy.max_attempts", "payload", "schedules"),
        "request_id": [f"request-{number}" for number in range(40)],
    }
