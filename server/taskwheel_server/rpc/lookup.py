"""Reads of single runs, as callers see them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskwheel_server.db import runs, tasks
from taskwheel_server.wheel.settle import missing_run

if TYPE_CHECKING:
    from taskwheel_server.db import Connection
    from taskwheel_server.model.names import RunRef, TaskRef
    from taskwheel_server.model.run import Run


def find_run(
    connection: Connection, ref: RunRef, horizon: int, *, guard: TaskRef | None = None, follow_retries: bool = False
) -> Run:
    """Return a run with all that it has.

    Args:
        connection: to read with.
        ref: which run.
        horizon: runs that ended at or before this instant (µs) count as gone.
        guard: the task that it must be of.
        follow_retries: whether to return the last attempt in its place.

    Raises:
        NotFound: RUN_EXPIRED or RUN_NOT_FOUND.
    """
    run = _kept(connection, ref.uid, horizon)
    if run is None or run.namespace != ref.namespace or (guard and not _is_of(connection, run, guard)):
        raise missing_run(ref, horizon)
    while follow_retries and run.retried_by_run and (attempt := _kept(connection, run.retried_by_run, horizon)):
        run = attempt
    return run


def _kept(connection: Connection, uid: str, horizon: int) -> Run | None:
    run = runs.by_uid(connection, [uid], whole=True).get(uid)
    return None if run is None or (run.end_time is not None and run.end_time <= horizon) else run


def _is_of(connection: Connection, run: Run, guard: TaskRef) -> bool:
    if guard.uid:
        return run.task_uid == guard.uid
    task = tasks.find(connection, guard)
    return task is not None and task.uid == run.task_uid
