"""Events, for callers who only look: their filters, and lists of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, func, null, select
from sqlalchemy.sql.visitors import iterate

from taskwheel_server.db.dialect.types import json_text
from taskwheel_server.db.events import EVENT_COLUMNS, LEFT_OUT, bounds, event_of
from taskwheel_server.db.filters import to_sql
from taskwheel_server.db.listing import MAX_PAGE_BYTES, MAX_TOTAL, Page, Query
from taskwheel_server.db.run_reads import run_resolver
from taskwheel_server.db.tables import events, runs
from taskwheel_server.db.task_reads import resolver
from taskwheel_server.filters import (
    EVERYTHING,
    Catalogue,
    Field,
    Filter,
    Kind,
    OrderBy,
    catalogue,
    parse,
    parse_order_by,
)
from taskwheel_server.filters.page import decode, encode, query_digest
from taskwheel_server.model.event import Event, EventType
from taskwheel_server.model.run import RUN_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection, Select

# How many events one page looks through: when the filter lets few of them through, it ends early and the list goes on.
SPAN = 200_000
# The same where each event's run has to be looked up.
RUN_SPAN = 20_000
# Of an event without its snapshot.
_EVENT_BYTES = 500
_NEWEST_FIRST = (OrderBy("sequence", descending=True),)

_task_uid = func.coalesce(events.c.task_uid, runs.c.task_uid)
_FIELDS: Mapping[str, ColumnElement[Any]] = {
    "sequence": events.c.sequence,
    "type": events.c.type,
    "time": events.c.time,
    "task": _task_uid,
    "task_uid": _task_uid,
    "task_id": func.coalesce(runs.c.task_id, json_text(events.c.detail, "task_id")),
    "run": events.c.run_uid,
    "state_reason": events.c.reason,
    "worker": events.c.worker,
}
_WANTED = [events.c[column] for column in EVENT_COLUMNS] + [
    null() if column in LEFT_OUT else runs.c[column] for column in RUN_COLUMNS
]
_WITH_RUNS = events.outerjoin(runs, runs.c.uid == events.c.run_uid)


def event_filter(connection: Connection, namespace: str, text: str) -> Filter:
    """Return a filter of events, the names of tasks in it turned into uids.

    Raises:
        InvalidFilter: it cannot be read.
    """
    return parse(text, _catalogue(connection, namespace))


def _catalogue(connection: Connection, namespace: str) -> Catalogue:
    return catalogue(
        Field("sequence", Kind.INT, sortable=True),
        Field("type", Kind.ENUM, values={each.label: (int(each),) for each in EventType}),
        Field("time", Kind.TIME),
        Field("task", Kind.NAME, resolve=resolver(connection, namespace)),
        Field("task_uid", Kind.STRING),
        Field("task_id", Kind.STRING),
        Field("run", Kind.NAME, resolve=run_resolver(namespace)),
        Field("state_reason", Kind.STRING),
        Field("worker", Kind.STRING),
    )


def list_events(connection: Connection, query: Query, horizon: int) -> Page[Event]:
    """Return a page of the events of a namespace.

    Args:
        connection: to read with.
        query: what to list.
        horizon: events at or before this instant (µs) count as gone.

    Raises:
        InvalidFilter: filter, order_by or page_token is at fault.
    """
    fields = _catalogue(connection, query.namespace)
    descending = parse_order_by(query.order_by, fields, _NEWEST_FIRST)[0].descending
    where = parse(query.filter, fields)
    gone, newest = bounds(connection, query.namespace, horizon)
    digest = query_digest("ListEvents", query.namespace, query.filter, query.order_by)
    start = newest if descending else gone + 1
    if query.page_token:
        start = int(decode(query.page_token, digest, [int])[0] or start)
    span = RUN_SPAN if _needs_runs(where) else SPAN
    # Sequences have no holes: what was looked through without a match can be named, too.
    if descending:
        low, high = max(start - span + 1, gone + 1), min(start, newest)
        counted = max(newest - span, gone) + 1, newest
    else:
        low, high = max(start, gone + 1), min(start + span - 1, newest)
        counted = gone + 1, min(gone + span, newest)
    rows, following = _read(connection, query, where, low, high, descending=descending)
    token = encode(digest, [following]) if gone < following <= newest else ""
    return Page(rows, token, _count(connection, query.namespace, where, *counted))


def _needs_runs(where: Filter) -> bool:
    return any(getattr(element, "table", None) is runs for element in iterate(to_sql(where, _FIELDS)))


def _read(
    connection: Connection, query: Query, where: Filter, low: int, high: int, *, descending: bool
) -> tuple[list[Event], int]:
    """Return the events from `low` to `high` as far as they fit a page, and the sequence at which to go on."""
    order = events.c.sequence.desc() if descending else events.c.sequence.asc()
    statement = _matching(query.namespace, where, low, high, _WANTED).order_by(order).limit(query.page_size + 1)
    rows: list[Event] = []
    size = 0
    for found in connection.execute(statement):
        event = event_of(tuple(found))
        size += _EVENT_BYTES + len(event.detail or "") + (event.run.size() if event.run else 0)
        if len(rows) == query.page_size or (rows and size > MAX_PAGE_BYTES):
            return rows, event.sequence
        rows.append(event)
    return rows, low - 1 if descending else high + 1


def _count(connection: Connection, namespace: str, where: Filter, low: int, high: int) -> int:
    if where == EVERYTHING:
        return min(high - low + 1, MAX_TOTAL)
    found = _matching(namespace, where, low, high, [events.c.sequence]).limit(MAX_TOTAL).subquery()
    return connection.execute(select(func.count()).select_from(found)).scalar_one()


def _matching(namespace: str, where: Filter, low: int, high: int, columns: Sequence[ColumnElement[Any]]) -> Select[Any]:
    return (
        select(*columns)
        .select_from(_WITH_RUNS)
        .where(events.c.namespace == namespace, events.c.sequence.between(low, high), to_sql(where, _FIELDS))
    )
