"""Events in a row, encoded once for all who watch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskwheel_server.db import events, namespaces
from taskwheel_server.errors import OutOfRange
from taskwheel_server.model.event import Event

if TYPE_CHECKING:
    from taskwheel_server.db import Connection

# A page within both bounds is read and encoded in a few ms, and fits a message.
PAGE_EVENTS = 1_000
PAGE_BYTES = 3 * 1024 * 1024

Matcher = Callable[[Event], bool]


@dataclass(frozen=True, slots=True)
class Codec:
    """How what is sent is encoded. Parts that are joined must make one message, in which a later mark prevails.

    Args:
        event: an event as a part of a message.
        mark: a part that tells up to which sequence the stream is complete.
    """

    event: Callable[[Event], bytes]
    mark: Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class Batch:
    """At least one event, without gaps between them.

    Args:
        events: in order; what is big about them is in the message alone.
        message: their parts, then the mark of the last one.
        ends: where in the message each event's part ends.
    """

    events: list[Event]
    message: bytes
    ends: list[int]

    @property
    def first(self) -> int:
        """The sequence of the first event."""
        return self.events[0].sequence

    @property
    def last(self) -> int:
        """The sequence of the last event."""
        return self.events[-1].sequence

    def part(self, after: int, matches: Matcher | None) -> bytes:
        """Return the message of the events that follow `after` and match; nothing if there are none."""
        skipped = max(after - self.first + 1, 0)
        start = self.ends[skipped - 1] if skipped else 0
        if matches is None:
            return self.message[start:]
        parts = []
        for event, end in zip(self.events[skipped:], self.ends[skipped:], strict=True):
            if matches(event):
                parts.append(self.message[start:end])
            start = end
        return b"".join([*parts, self.message[self.ends[-1] :]]) if parts else b""


def load(connection: Connection, namespace: str, after: int, codec: Codec) -> Batch | None:
    """Read and encode the events that follow `after`, as many as make a page; None when there are none.

    Raises:
        OutOfRange: EVENTS_COMPACTED, the next one is no longer kept.
    """
    found: list[Event] = []
    parts: list[bytes] = []
    ends: list[int] = []
    size = 0
    for event in events.after(connection, namespace, after, PAGE_EVENTS):
        part = codec.event(event)
        if found and size + len(part) > PAGE_BYTES:
            break
        event.run = event.detail = None
        size += len(part)
        found.append(event)
        parts.append(part)
        ends.append(size)
    if not found:
        return None
    if found[0].sequence != after + 1:
        newest = namespaces.sequences(connection)[namespace]
        raise out_of_range("EVENTS_COMPACTED", after, found[0].sequence, newest)
    return Batch(found, b"".join([*parts, codec.mark(found[-1].sequence)]), ends)


def out_of_range(reason: str, after: int, oldest: int, newest: int) -> OutOfRange:
    """Return the error for a sequence to resume after that is not among those kept, `oldest` to `newest`."""
    return OutOfRange(
        reason,
        f"after_sequence {after} is out of range: events {oldest} to {newest} are kept",
        oldest_sequence=str(oldest),
        newest_sequence=str(newest),
    )
