"""Runs, for callers who only look."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, Select, func, literal_column, or_, select, true

from taskwheel_server.db.filters import to_sql
from taskwheel_server.db.listing import Listing, Page, Query
from taskwheel_server.db.narrowing import Narrowing, labelled
from taskwheel_server.db.runs import run_of
from taskwheel_server.db.tables import requests
from taskwheel_server.db.tables import runs as table
from taskwheel_server.db.task_reads import resolver
from taskwheel_server.filters import Catalogue, Field, Kind, OrderBy, catalogue
from taskwheel_server.filters.syntax import Comparison, Filter, Not, Operator, Or
from taskwheel_server.model.names import parse_run
from taskwheel_server.model.run import RUN_COLUMNS, Run
from taskwheel_server.model.state import State, Trigger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sqlalchemy import Connection

_BULKY = frozenset({"payload", "result", "error_stack"})
_STATES = {"PENDING": (State.WAITING, State.HELD, State.READY)} | {
    state.name: (state,) for state in State if not state.pending
}
_COLUMNS = {
    "name": table.c.uid,
    "task": table.c.task_uid,
    "done": table.c.state >= State.SUCCEEDED,
    "root_run": func.coalesce(table.c.root_run, table.c.uid),
    "error.type": table.c.error_type,
    "error.name": table.c.error_name,
    "creator.application": table.c.creator_application,
    "creator.user": table.c.creator_user,
    "tags": table.c.uid,
    "labels": table.c.uid,
} | {
    name: table.c[name]
    for name in (
        *("uid", "task_uid", "task_id", "state", "state_reason", "trigger", "priority", "attempt", "handler", "worker"),
        *("request_id", "scheduled_time", "schedule_time", "create_time", "start_time", "end_time", "update_time"),
    )
}
_LIVE = frozenset(state for state in State if not state.done)
# The runs once more, for subqueries.
_aside = table.alias()
_ASIDE = {
    "task": _aside.c.task_uid,
    "task_uid": _aside.c.task_uid,
    "uid": _aside.c.uid,
    "name": _aside.c.uid,
}
_REQUESTED = {"request_id": requests.c.request_id}
# Each of the three has an index by task; literals, so that the planner sees it.
_LIVE_STAGES = (
    _aside.c.state <= literal_column("3"),
    _aside.c.state.in_([literal_column("4"), literal_column("5")]),
)
_STAGES = (*_LIVE_STAGES, _aside.c.end_time.is_not(None))
# Uids rise with the time at which they were minted: the newest first, off the primary key.
_NEWEST_FIRST = (OrderBy("uid", descending=True),)


def list_runs(connection: Connection, query: Query, horizon: int, *, full: bool) -> Page[Run]:
    """Return a page of the runs of a namespace.

    Args:
        connection: to read with.
        query: what to list.
        horizon: runs that ended at or before this instant (µs) count as gone.
        full: whether with payload, result and stack.

    Raises:
        InvalidFilter: filter, order_by or page_token is at fault.
    """
    listing = Listing(
        method="ListTaskRuns FULL" if full else "ListTaskRuns",
        table=table,
        columns=RUN_COLUMNS,
        left_out=frozenset() if full else _BULKY,
        sizes=("payload", "result", "error_stack", "error_message", "tags", "labels", "retry_for_runs"),
        row_of=run_of,
        catalogue=_catalogue(connection, query.namespace),
        fields=_COLUMNS,
        default=_NEWEST_FIRST,
        narrow=partial(_narrow, query.namespace),
        indexed=frozenset({"end_time"}),
    )
    return listing.page(connection, query, or_(table.c.end_time.is_(None), table.c.end_time > horizon))


def _narrow(namespace: str, term: Filter) -> Narrowing | None:
    if _open(term):
        return Narrowing(_staged(_LIVE_STAGES, true()), exact=False)
    match term:
        case Comparison("task" | "task_uid", Operator.EQ | Operator.IN):
            return Narrowing(_staged(_STAGES, to_sql(term, _ASIDE)), exact=True)
        case Comparison("uid" | "name", Operator.EQ | Operator.IN):
            return Narrowing((select(_aside.c.uid).where(to_sql(term, _ASIDE)),), exact=True)
        case Comparison("request_id", Operator.EQ):
            found = select(requests.c.run_uid).where(requests.c.namespace == namespace, to_sql(term, _REQUESTED))
            return Narrowing((found,), exact=True)
    return labelled(term)


def _staged(stages: Iterable[ColumnElement[bool]], condition: ColumnElement[bool]) -> tuple[Select[tuple[str]], ...]:
    """Select the uids of runs for which a condition holds, stage by stage."""
    return tuple(select(_aside.c.uid).where(stage, condition) for stage in stages)


def _open(term: Filter) -> bool:
    """Tell whether this is true only of runs that have not ended."""
    match term:
        case Comparison("state", Operator.IN, tuple(states)):
            return _LIVE.issuperset(states)
        case Comparison("done", Operator.EQ, value):
            return value is False
        case Not(Comparison("done", Operator.EQ, value)):
            return value is True
        case Or(terms):
            return all(map(_open, terms))
    return False


def _catalogue(connection: Connection, namespace: str) -> Catalogue:
    run = run_resolver(namespace)
    return catalogue(
        Field("name", Kind.NAME, resolve=run),
        Field("uid", Kind.STRING),
        Field("task", Kind.NAME, resolve=resolver(connection, namespace)),
        Field("task_uid", Kind.STRING),
        Field("task_id", Kind.STRING),
        Field("state", Kind.ENUM, values=_STATES),
        Field("done", Kind.BOOL),
        Field("state_reason", Kind.STRING),
        Field("trigger", Kind.ENUM, values={trigger.name: (trigger,) for trigger in Trigger}),
        Field("priority", Kind.INT, sortable=True),
        Field("attempt", Kind.INT),
        Field("handler", Kind.STRING),
        Field("worker", Kind.STRING),
        Field("root_run", Kind.NAME, resolve=run),
        Field("request_id", Kind.STRING),
        Field("error.type", Kind.STRING),
        Field("error.name", Kind.STRING),
        Field("creator.application", Kind.STRING),
        Field("creator.user", Kind.STRING),
        Field("tags", Kind.TAGS),
        Field("labels", Kind.LABELS),
        Field("scheduled_time", Kind.TIME, sortable=True),
        Field("schedule_time", Kind.TIME, sortable=True),
        Field("create_time", Kind.TIME, sortable=True),
        Field("start_time", Kind.TIME, sortable=True),
        Field("end_time", Kind.TIME, sortable=True),
        Field("update_time", Kind.TIME, sortable=True),
    )


def run_resolver(namespace: str) -> Callable[[str], tuple[str, ...]]:
    """Return what turns a run's name, in any of its forms, into its uid, for filters."""

    def resolve(name: str) -> tuple[str, ...]:
        ref = parse_run(name, "filter")
        return (ref.uid,) if ref.namespace == namespace else ()

    return resolve
