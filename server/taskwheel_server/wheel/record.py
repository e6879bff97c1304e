"""Record: the turn's events into the log, numbered without holes, last of all: the counter is the ordering lock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskwheel_server.db import events

if TYPE_CHECKING:
    from taskwheel_server.wheel.turn import Turn


def record(turn: Turn) -> None:
    """Write the events of a turn, namespace by namespace in the order of their names."""
    for namespace, rows in sorted(turn.events.items()):
        turn.numbered[namespace] = events.append(turn.connection, namespace, rows)


def number(turn: Turn) -> None:
    """Note the numbers that the events have got, once the store has told."""
    for namespace, numbered in turn.numbered.items():
        turn.outcome.sequences[namespace] = numbered.rows[0][0]
