"""Record: the turn's events into the log, numbered without holes, last of all: the counter is the ordering lock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskwheel_server.db import events

if TYPE_CHECKING:
    from taskwheel_server.wheel.turn import Turn


def record(turn: Turn) -> None:
    """Write the events of a turn, namespace by namespace in the order of their names."""
    for namespace in sorted({event[0] for event in turn.events}):
        mine = [event for event in turn.events if event[0] == namespace]
        first = events.take(turn.connection, namespace, len(mine))
        events.insert(turn.connection, [(namespace, first + index, *event[1:]) for index, event in enumerate(mine)])
        turn.outcome.sequences[namespace] = first + len(mine) - 1
