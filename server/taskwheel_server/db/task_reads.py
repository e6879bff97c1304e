"""Tasks, for callers who only look."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskwheel_server.db import tasks
from taskwheel_server.db.dialect import among, fetch, listed
from taskwheel_server.db.listing import Listing, Page, Query
from taskwheel_server.db.narrowing import labelled
from taskwheel_server.db.tables import tasks as table
from taskwheel_server.db.tasks import task_of
from taskwheel_server.filters import Field, Kind, OrderBy, catalogue
from taskwheel_server.model.names import parse_task
from taskwheel_server.model.task import TASK_COLUMNS, LastRun, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sqlalchemy import Connection

_COLUMNS = {
    "name": table.c.uid,
    "uid": table.c.uid,
    "task_id": table.c.task_id,
    "display_name": table.c.display_name,
    "state": table.c.paused,
    "paused": table.c.paused,
    "priority": table.c.priority,
    "handler": table.c.handler,
    "tags": table.c.uid,
    "labels": table.c.uid,
    "next_run_time": table.c.next_time,
    "create_time": table.c.create_time,
    "update_time": table.c.update_time,
}
# As a range of task uids, in their order: by an equality alone a planner that has seen one task with most of the runs
# looks for those of another through all runs, the newest first.
_NEWEST = (
    "SELECT uid FROM runs WHERE {} AND task_uid >= t.uid AND task_uid <= t.uid ORDER BY task_uid DESC, uid DESC LIMIT 1"
)
# Uids rise with the time at which they were minted: the newest first, off the primary key.
_NEWEST_FIRST = (OrderBy("uid", descending=True),)


def list_tasks(connection: Connection, query: Query) -> Page[Task]:
    """Return a page of the live tasks of a namespace.

    Raises:
        InvalidFilter: filter, order_by or page_token is at fault.
    """
    fields = catalogue(
        Field("name", Kind.NAME, resolve=resolver(connection, query.namespace)),
        Field("uid", Kind.STRING),
        Field("task_id", Kind.STRING, sortable=True),
        Field("display_name", Kind.STRING, sortable=True),
        Field("state", Kind.ENUM, values={"ACTIVE": (False,), "PAUSED": (True,)}),
        Field("paused", Kind.BOOL),
        Field("priority", Kind.INT, sortable=True),
        Field("handler", Kind.STRING),
        Field("tags", Kind.TAGS),
        Field("labels", Kind.LABELS),
        Field("next_run_time", Kind.TIME, sortable=True),
        Field("create_time", Kind.TIME, sortable=True),
        Field("update_time", Kind.TIME, sortable=True),
    )
    listing = Listing(
        method="ListTasks",
        table=table,
        columns=TASK_COLUMNS,
        left_out=frozenset(),
        sizes=("payload", "description", "schedules", "tags", "labels", "retry_policy"),
        row_of=task_of,
        catalogue=fields,
        fields=_COLUMNS,
        default=_NEWEST_FIRST,
        narrow=labelled,
    )
    return listing.page(connection, query, table.c.delete_time.is_(None))


def resolver(connection: Connection, namespace: str) -> Callable[[str], tuple[str, ...]]:
    """Return what turns a task's name, in any of its forms, into its uid, for filters: () where there is no such task.

    A uid stands for itself, so that the runs and events of a deleted task can be found.
    """

    def resolve(name: str) -> tuple[str, ...]:
        ref = parse_task(name, "filter")
        if ref.namespace != namespace:
            return ()
        if ref.uid:
            return (ref.uid,)
        task = tasks.find(connection, ref)
        return (task.uid,) if task else ()

    return resolve


def last_runs(connection: Connection, uids: Iterable[str], horizon: int) -> dict[str, LastRun]:
    """Return the newest run of each of these tasks that has one, by the task's uid.

    Args:
        connection: to read with.
        uids: of tasks.
        horizon: runs that ended at or before this instant (µs) count as gone.
    """
    stages = ("state <= 3", "state IN (4, 5)", "end_time IS NOT NULL AND end_time > ?")
    newest = " UNION ALL ".join(f"SELECT uid FROM ({_NEWEST.format(stage)}) AS newest" for stage in stages)  # noqa: S608 - our names
    text = (
        "SELECT t.uid, r.uid, r.create_time FROM tasks t"  # noqa: S608 - our names
        f" JOIN runs r ON r.uid = (SELECT max(uid) FROM ({newest}) AS last) WHERE {among('t.uid')}"
    )
    return {row[0]: LastRun(row[1], row[2]) for row in fetch(connection, text, horizon, listed(uids))}
