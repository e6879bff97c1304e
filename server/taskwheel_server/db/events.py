"""Events: written in sequence order by the wheel, read by cursor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskwheel_server.db.dialect import ask, execute, fetch, fetch_value, insert_free, stream
from taskwheel_server.db.runs import run_of
from taskwheel_server.db.tables import events
from taskwheel_server.model.event import Event, EventType
from taskwheel_server.model.run import RUN_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection

    from taskwheel_server.db.dialect.common import Question

EVENT_COLUMNS = ("namespace", "sequence", "type", "time", "run_uid", "task_uid", "reason", "worker", "detail")
# Of the newest event, less how many come after it.
_NUMBERED = (("sequence", "(SELECT sequence FROM namespaces WHERE name = {0}) - {1}"),)
_TYPES = {int(kind): kind for kind in EventType}
# A snapshot has neither payload, result nor stack: they may be a thousand times its size.
LEFT_OUT = {"payload", "result", "error_stack"}
_SNAPSHOT = ",".join("NULL" if column in LEFT_OUT else f"r.{column}" for column in RUN_COLUMNS)
_SELECT = (
    f"SELECT {','.join(f'e.{column}' for column in EVENT_COLUMNS)},{_SNAPSHOT}"  # noqa: S608 - our names
    " FROM events e LEFT JOIN runs r ON r.uid = e.run_uid WHERE e.namespace=?"
)


def append(connection: Connection, namespace: str, rows: Sequence[tuple[Any, ...]]) -> Question:
    """Number and insert events as rows of type, time, run_uid, task_uid, reason, worker, detail. Last in a turn.

    Returns:
        What is answered with the number of the last one.
    """
    count = len(rows)
    text = "UPDATE namespaces SET sequence = sequence + ? WHERE name=? RETURNING sequence"
    numbered = ask(connection, text, count, namespace)
    left = [(namespace, count - number, *row) for number, row in enumerate(rows, 1)]
    insert_free(connection, events, EVENT_COLUMNS, left, _NUMBERED)
    return numbered


def bounds(connection: Connection, namespace: str, horizon: int) -> tuple[int, int]:
    """Return (newest sequence that is no longer kept, newest sequence) of a namespace.

    Args:
        connection: to read with.
        namespace: its name.
        horizon: events at or before this instant (µs) count as gone, deleted or not.
    """
    text = "SELECT sequence, compacted_sequence FROM namespaces WHERE name=?"
    newest, compacted = fetch(connection, text, namespace)[0]
    text = "SELECT sequence FROM events WHERE namespace=? AND sequence>? AND time>? ORDER BY sequence LIMIT 1"
    first = fetch_value(connection, text, namespace, compacted, horizon)
    return (first - 1 if first is not None else newest), newest


def after(connection: Connection, namespace: str, sequence: int, limit: int) -> Iterator[Event]:
    """Yield up to `limit` events that follow `sequence`, in order, with their runs."""
    rows = stream(connection, f"{_SELECT} AND e.sequence>? ORDER BY e.sequence LIMIT ?", namespace, sequence, limit)
    return map(event_of, rows)


def event_of(row: Sequence[Any]) -> Event:
    """Return the event of a row that holds the event's columns, then the run's."""
    namespace, sequence, kind, time, run_uid, task_uid, reason, worker, detail, *columns = row
    run = run_of(columns) if columns[0] is not None else None
    return Event(
        namespace=namespace,
        sequence=sequence,
        type=_TYPES[kind],
        time=time,
        run_uid=run_uid,
        task_uid=task_uid or (run.task_uid if run else ""),
        task_id=run.task_id if run else "",
        reason=reason,
        worker=worker,
        detail=detail,
        run=run,
    )


def compact(connection: Connection, namespace: str, horizon: int, limit: int) -> int:
    """Delete the oldest events up to `horizon` (µs), at most `limit`, as a prefix. Return how many."""
    text = "SELECT sequence, time FROM events WHERE namespace=? ORDER BY sequence LIMIT ?"
    last = count = 0
    for sequence, time in fetch(connection, text, namespace, limit):
        if time > horizon:
            break
        last, count = sequence, count + 1
    if count:
        execute(connection, "DELETE FROM events WHERE namespace=? AND sequence<=?", namespace, last)
        execute(connection, "UPDATE namespaces SET compacted_sequence=? WHERE name=?", last, namespace)
    return count
