"""What a turn hands to the event loop after its commit, in one piece."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from taskwheel_server.model.run import Run
    from taskwheel_server.workers import Session, Stop


@dataclass(slots=True)
class Outcome:
    """The fruits of a turn.

    Attributes:
        answers: (ticket, value) or (ticket, exception) to resolve.
        assignments: claimed runs by stream.
        stops: runs to stop by stream.
        sequences: newest event sequence by namespace, of those that got events.
        logged: uids of runs that got log lines.
        ended: uids of runs that ended.
        ready: (namespace, handler) pairs that have got ready runs which nobody here has taken.
        stops_elsewhere: (run uid, attempt, whether its lease is lost) of runs to stop, but not by a stream of ours.
        untold: whether more may have been committed before, by a turn that was not told of.
    """

    answers: list[tuple[Any, Any]] = field(default_factory=list)
    assignments: dict[Session, list[Run]] = field(default_factory=dict)
    stops: dict[Session, list[Stop]] = field(default_factory=dict)
    sequences: dict[str, int] = field(default_factory=dict)
    logged: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    ready: set[tuple[str, str]] = field(default_factory=set)
    stops_elsewhere: list[tuple[str, int, bool]] = field(default_factory=list)
    untold: bool = False


def resolve(outcome: Outcome) -> None:
    """Resolve every ticket of a turn and push to its streams; called on the event loop."""
    for ticket, value in outcome.answers:
        if ticket is None or ticket.done():
            continue
        if isinstance(value, Exception):
            ticket.set_exception(value)
        else:
            ticket.set_result(value)
    for session in outcome.assignments.keys() | outcome.stops.keys():
        session.push(outcome.assignments.get(session, []), outcome.stops.get(session, []))
