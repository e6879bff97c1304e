"""Runs: admitting, moving and claiming them, a batch at a time, for the wheel."""

from __future__ import annotations

import sys
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from taskwheel_server.db.dialect import (
    among,
    delete_many,
    execute,
    fetch,
    fetch_one,
    fetch_value,
    insert_all,
    insert_many,
    insert_missing,
    listed,
    update_all,
)
from taskwheel_server.db.dialect.common import Question
from taskwheel_server.db.tables import labels, logs, requests, runs
from taskwheel_server.model.run import RUN_COLUMNS, Run
from taskwheel_server.model.state import State, Trigger

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection

# What a new row can have; the rest are the table's defaults.
_INSERTED = (
    "uid", "namespace", "task_uid", "task_id", "handler", "state", "state_reason", "state_change_time", "trigger",
    "scheduled_time", "backfill", "first_scheduled_time", "skipped_count", "schedule_time", "create_time", "end_time",
    "update_time", "priority", "attempt", "root_run", "retry_for_runs", "payload", "tags", "labels",
    "creator_application", "creator_user", "request_id", "request_digest", "run_timeout", "start_deadline",
    "retry_policy", "deadline", "start_time", "worker", "lease_token", "lease_expire_time",
)  # fmt: skip
# What each kind of move can change. A column that an index names costs an update of that index, changed or not.
_MOVED = ("state", "state_reason", "state_change_time", "update_time", "lease_token", "lease_expire_time", "deadline")
_STARTED = (*_MOVED, "start_time", "worker")
_SUCCEEDED = (
    "state", "state_reason", "state_change_time", "update_time", "lease_expire_time", "deadline", "end_time", "result",
)  # fmt: skip
_ENDED = (
    *_MOVED, "end_time", "retried_by_run", "result", "error_type", "error_name", "error_message", "error_stack",
)  # fmt: skip
_RENEWED = ("update_time", "lease_expire_time", "deadline", "progress_ratio", "progress_message")

_REQUEST = ("namespace", "request_id", "run_uid")

_COLUMNS = ",".join(RUN_COLUMNS)
_WHOLE = f"SELECT {_COLUMNS} FROM runs WHERE "  # noqa: S608 - our names
# The wheel judges runs far more often than it hands them on: it leaves out what may be a thousand times the rest.
_BULKY = {"payload", "result", "error_stack"}
_SELECT = f"SELECT {','.join('NULL' if column in _BULKY else column for column in RUN_COLUMNS)} FROM runs WHERE "  # noqa: S608
_PENDING = f"{_SELECT}state <= 3 AND task_uid=? ORDER BY uid LIMIT ?"
# In one look, so that none moves from the one stage to the other between two.
_GOING_ON = (
    "SELECT uid FROM (SELECT uid FROM runs WHERE state <= 3 AND task_uid=? ORDER BY uid LIMIT ?) AS pending"
    " UNION ALL SELECT uid FROM"
    " (SELECT uid FROM runs WHERE state IN (4, 5) AND state = 4 AND task_uid=? ORDER BY uid LIMIT ?) AS running LIMIT ?"
)
# As large as a claim reads along: hundreds of runs are looked at, each with up to 1 MiB.
_SMALL = "length(r.payload) <= 4096"
_SMALL_PAYLOAD = f"CASE WHEN {_SMALL} THEN r.payload END"
_READY = (
    f"SELECT {','.join(_SMALL_PAYLOAD if column == 'payload' else f'r.{column}' for column in RUN_COLUMNS)},"  # noqa: S608
    " coalesce(t.max_concurrent_runs, 0) > 0,"
    f" CASE WHEN {_SMALL} OR r.payload IS NULL THEN 0 ELSE length(r.payload) END"
    " FROM runs r LEFT JOIN tasks t ON t.uid = r.task_uid"
    " WHERE r.state = 3 AND r.namespace=? AND r.handler=?"
    " ORDER BY r.priority DESC, r.schedule_time, r.uid LIMIT ? FOR UPDATE OF r SKIP LOCKED"
)
_STATES = {int(state): state for state in State}
_TRIGGERS = {int(trigger): trigger for trigger in Trigger}

# Not the state alone, which indexes name: where few runs are in it, that is an invitation to look for all of them.
_CLAIMABLE = "state + 0 = 3"
_LEASED = "state + 0 IN (4, 5)"

# Has the task a run that is neither done nor itself held back by the overlap policy?
_HAS_OPEN = (
    "(EXISTS (SELECT 1 FROM runs WHERE state <= 3 AND NOT (state = 2 AND state_reason = 'OVERLAP_QUEUED')"
    " AND task_uid = {task}) OR EXISTS (SELECT 1 FROM runs WHERE state IN (4, 5) AND task_uid = {task}))"
)

# One look at the index for each task, however many runs it has there: a DISTINCT would read them all, and so would what
# a planner may make of EXISTS.
_HELD = "SELECT 1 FROM runs WHERE state = 2 AND task_uid = t.uid LIMIT 1"

_row = attrgetter(*_INSERTED)
_moved = attrgetter(*_MOVED)
_started = attrgetter(*_STARTED)
_succeeded = attrgetter(*_SUCCEEDED)
_ended = attrgetter(*_ENDED)
_renewed = attrgetter(*_RENEWED)


def run_of(row: Sequence[Any]) -> Run:
    """Return the run of a row that holds RUN_COLUMNS in order."""
    run = Run(*row)
    run.state = _STATES[run.state]
    run.trigger = _TRIGGERS[run.trigger]
    return run


def insert(connection: Connection, batch: Sequence[Run]) -> None:
    """Insert new runs, none of whose uids, slots or request ids is taken."""
    insert_all(connection, runs, _INSERTED, [_row(run) for run in batch])
    _insert_requests(connection, batch)


def insert_new(connection: Connection, batch: Sequence[Run]) -> int:
    """Insert new runs; those whose uid or slot is taken are passed over. Return how many went in."""
    _insert_requests(connection, batch)
    return insert_many(connection, runs, _INSERTED, [_row(run) for run in batch])


def _insert_requests(connection: Connection, batch: Sequence[Run]) -> None:
    rows = [(run.namespace, run.request_id, run.uid) for run in batch if run.request_id is not None]
    insert_all(connection, requests, _REQUEST, rows)


def index_labels(connection: Connection, owned: Iterable[tuple[str, str, str]]) -> None:
    """Make (key, value, owner) findable by filters; a tag has the key ''."""
    insert_missing(connection, labels, ("key", "value", "owner"), list(owned))


def unindex_labels(connection: Connection, owned: Iterable[tuple[str, str, str]]) -> None:
    """Forget (key, value, owner)."""
    delete_many(connection, labels, ("key", "value", "owner"), list(owned))


def by_uid(connection: Connection, uids: Iterable[str], *, whole: bool = False, lock: bool = False) -> dict[str, Run]:
    """Return the runs with these uids, by uid; missing ones are left out, and bulky columns unless `whole`.

    With `lock`, no other server moves them until the transaction ends.
    """
    # Pending ones first, as a turn has them that claims before it settles.
    locks = " ORDER BY state > 3, uid FOR UPDATE" if lock else ""
    found = fetch(connection, f"{_WHOLE if whole else _SELECT}{among('uid')}{locks}", listed(uids))
    return {row[0]: run_of(row) for row in found}


def by_request(connection: Connection, namespace: str, request_ids: Iterable[str]) -> dict[str, Run]:
    """Return the runs that these request ids brought about, by request id."""
    asked = f"SELECT run_uid FROM requests WHERE namespace=? AND {among('request_id')}"  # noqa: S608 - our names
    found = fetch(connection, f"{_WHOLE}uid IN ({asked})", namespace, listed(request_ids))
    return {run.request_id or "": run for run in map(run_of, found)}


def by_slot(connection: Connection, task_uid: str, backfill: str, slots: Iterable[int]) -> dict[int, Run]:
    """Return the first attempts of these slots (nominal instants, µs) of a task, by slot."""
    text = f"{_WHOLE}task_uid=? AND backfill=? AND attempt=1 AND {among('scheduled_time')}"
    found = fetch(connection, text, task_uid, backfill, listed(slots))
    return {run.scheduled_time or 0: run for run in map(run_of, found)}


def payloads(connection: Connection, uids: Iterable[str]) -> dict[str, bytes | None]:
    """Return the payloads of runs by uid."""
    found = fetch(connection, f"SELECT uid, payload FROM runs WHERE {among('uid')}", listed(uids))  # noqa: S608
    return {row[0]: row[1] for row in found}


def locking(uids: Iterable[str]) -> Question:
    """Return the question that locks runs: no other server moves them until the transaction ends."""
    return Question(f"SELECT uid FROM runs WHERE {among('uid')} ORDER BY uid FOR UPDATE", (listed(uids),))  # noqa: S608 - ours


def readying(namespace: str, handler: str, limit: int) -> Question:
    """Return the question for the first ready runs of a handler; it locks them, and passes over what others have."""
    return Question(_READY, (namespace, handler, limit))


def ready(question: Question) -> list[tuple[Run, bool, int]]:
    """Return the runs that answer `readying`, in claim order.

    Returns:
        Each with whether its task has a limit, and the size of its payload where that was too large to be read along:
        `payloads` reads it.
    """
    return [(run_of(row[:-2]), bool(row[-2]), row[-1]) for row in question.rows]


def ready_handlers(connection: Connection) -> list[tuple[str, str]]:
    """Return each (namespace, handler) that has ready runs, hopping over the claim index instead of reading it."""
    text = (
        "SELECT namespace, handler FROM runs WHERE state = 3 AND (namespace, handler) > (?, ?)"
        " ORDER BY namespace, handler LIMIT 1"
    )
    found: list[tuple[str, str]] = []
    while row := fetch_one(connection, text, *(found[-1] if found else ("", ""))):
        found.append((row[0], row[1]))
    return found


def due(connection: Connection, now: int, limit: int) -> list[Run]:
    """Return the runs whose deadline has come, the earliest first, at most `limit`; not what others have locked."""
    text = f"{_SELECT}deadline IS NOT NULL AND deadline <= ? ORDER BY deadline LIMIT ? FOR UPDATE SKIP LOCKED"
    return [run_of(row) for row in fetch(connection, text, now, limit)]


def first_due(connection: Connection, now: int) -> str | None:
    """Lock the run whose deadline came first by `now` (µs) and return its uid; not one that others have locked."""
    due = "deadline IS NOT NULL AND deadline <= ? ORDER BY deadline LIMIT 1"
    uid: str | None = fetch_value(connection, f"SELECT uid FROM runs WHERE {due} FOR UPDATE SKIP LOCKED", now)  # noqa: S608 - ours
    return uid


def postpone(connection: Connection, uid: str, now: int, until: int) -> bool:
    """Have a run looked at again at `until` (µs) if its deadline came by `now`; tell whether it had."""
    return execute(connection, "UPDATE runs SET deadline=? WHERE uid=? AND deadline <= ?", until, uid, now) == 1


def held(connection: Connection, task_uid: str, reason: str, limit: int, *, lock: bool = False) -> list[Run]:
    """Return a task's runs held for `reason`, in claim order, at most `limit`.

    With `lock`, no other server moves them until the transaction ends; those that one is moving are passed over.
    """
    text = f"{_SELECT}state = 2 AND task_uid=? AND state_reason=? ORDER BY priority DESC, schedule_time, uid LIMIT ?"
    locks = " FOR UPDATE SKIP LOCKED" if lock else ""
    return [run_of(row) for row in fetch(connection, text + locks, task_uid, reason, limit)]


def tasks_with_held(connection: Connection, task_uids: Iterable[str]) -> set[str]:
    """Return those of the tasks that have held runs."""
    text = f"SELECT t.uid FROM tasks t WHERE {among('t.uid')} AND ({_HELD}) IS NOT NULL"  # noqa: S608 - our names
    return {row[0] for row in fetch(connection, text, listed(task_uids))}


def holding(task_uids: Iterable[str]) -> Question:
    """Return the question which of the tasks have a limit or held runs: uid, and whether it has a limit."""
    text = (
        f"SELECT t.uid, t.max_concurrent_runs > 0 FROM tasks t WHERE {among('t.uid')}"  # noqa: S608 - our names
        f" AND (t.max_concurrent_runs > 0 OR ({_HELD}) IS NOT NULL)"
    )
    return Question(text, (listed(task_uids),))


def tasks_to_release(connection: Connection, limit: int = sys.maxsize) -> list[str]:
    """Return tasks with held runs that may go on, below their limit or with no other run open, at most `limit`."""
    # From task to task, each by one look at the index: a DISTINCT would read all that is held.
    step = "SELECT task_uid FROM runs WHERE state = 2 AND task_uid > {} ORDER BY task_uid LIMIT 1"
    text = (
        f"WITH RECURSIVE held(uid) AS (SELECT ({step.format(repr(''))}) UNION ALL"  # noqa: S608 - ours
        f" SELECT ({step.format('held.uid')}) FROM held WHERE held.uid IS NOT NULL)"
        " SELECT h.uid FROM held h LEFT JOIN tasks t ON t.uid = h.uid WHERE h.uid IS NOT NULL AND"
        f" (t.running < t.max_concurrent_runs OR NOT {_HAS_OPEN.format(task='h.uid')}) LIMIT ?"
    )
    return [row[0] for row in fetch(connection, text, limit)]


def going_on(connection: Connection, task_uid: str, limit: int) -> list[Run]:
    """Return and lock a task's runs that have neither ended nor been asked to, at most `limit`, pending ones first."""
    uids = [row[0] for row in fetch(connection, _GOING_ON, task_uid, limit, task_uid, limit, limit)]
    return [run for run in by_uid(connection, uids, lock=True).values() if run.state <= State.RUNNING]


def pending(connection: Connection, task_uid: str, limit: int) -> list[Run]:
    """Return and lock a task's pending runs, oldest first, at most `limit`; not those that others have locked."""
    return [run_of(row) for row in fetch(connection, f"{_PENDING} FOR UPDATE SKIP LOCKED", task_uid, limit)]


def has_open(connection: Connection, task_uid: str) -> bool:
    """Tell whether a task has a run that is neither done nor itself held back by the overlap policy."""
    return bool(fetch_value(connection, f"SELECT {_HAS_OPEN.format(task='?')}", task_uid, task_uid))


def count_running(connection: Connection, task_uid: str) -> int:
    """Return how many of a task's runs are leased."""
    return int(fetch_value(connection, "SELECT count(*) FROM runs WHERE state IN (4, 5) AND task_uid=?", task_uid))


def write_moved(connection: Connection, moves: Sequence[tuple[Run, State]]) -> None:
    """Write runs that moved to another live state, fenced by the state each one left."""
    rows = [(*_moved(run), run.uid, before) for run, before in moves]
    update_all(connection, runs, _MOVED, ("uid", "state"), rows)


def write_handed_back(connection: Connection, moves: Sequence[tuple[Run, State]]) -> None:
    """Write runs that went back from a worker, fenced by the state each one left."""
    rows = [(*_started(run), run.uid, before) for run, before in moves]
    update_all(connection, runs, _STARTED, ("uid", "state"), rows)


def write_started(connection: Connection, batch: Sequence[Run]) -> None:
    """Write claimed runs, fenced by their being ready."""
    rows = [(*_started(run), run.uid) for run in batch]
    update_all(connection, runs, _STARTED, ("uid",), rows, _CLAIMABLE)


def write_succeeded(connection: Connection, batch: Sequence[Run]) -> None:
    """Write leased runs that ended well, fenced by the token."""
    rows = [(*_succeeded(run), run.uid, run.lease_token) for run in batch]
    update_all(connection, runs, _SUCCEEDED, ("uid", "lease_token"), rows, _LEASED)


def write_ended(connection: Connection, moves: Sequence[tuple[Run, State]]) -> None:
    """Write runs that ended, fenced by the state each one left."""
    rows = [(*_ended(run), run.uid, before) for run, before in moves]
    update_all(connection, runs, _ENDED, ("uid", "state"), rows)


def write_renewed(connection: Connection, batch: Sequence[Run]) -> None:
    """Write renewed leases and their progress, fenced by the token."""
    rows = [(*_renewed(run), run.uid, run.lease_token) for run in batch]
    update_all(connection, runs, _RENEWED, ("uid", "lease_token"), rows, _LEASED)


def extend_leases(connection: Connection, until: int) -> int:
    """Have every lease last until `until` (µs) at least; no run gets more time by it. Return how many were extended."""
    text = (
        "UPDATE runs SET lease_expire_time=?, deadline ="
        " CASE WHEN run_timeout > 0 AND start_time + run_timeout < ? THEN start_time + run_timeout ELSE ? END"
        " WHERE state IN (4, 5) AND deadline IS NOT NULL AND deadline <= ? AND lease_expire_time < ?"
    )
    return execute(connection, text, until, until, until, until, until)


def write_logged(connection: Connection, batch: Sequence[Run]) -> None:
    """Write how much each run has logged, fenced by the token."""
    rows = [(run.log_count, run.log_bytes, run.uid, run.lease_token) for run in batch]
    update_all(connection, runs, ("log_count", "log_bytes"), ("uid", "lease_token"), rows)


def expired(connection: Connection, horizon: int, limit: int) -> list[Run]:
    """Return runs that ended at or before `horizon` (µs), the oldest first, at most `limit`."""
    ended = "end_time IS NOT NULL AND end_time <= ? ORDER BY end_time LIMIT ?"
    return [run_of(row) for row in fetch(connection, f"{_SELECT}{ended}", horizon, limit)]


def delete(connection: Connection, batch: Sequence[Run]) -> None:
    """Delete runs with their logs and request ids."""
    uids = [(run.uid,) for run in batch]
    asked = [(run.namespace, run.request_id) for run in batch if run.request_id is not None]
    delete_many(connection, logs, ("run_uid",), uids)
    delete_many(connection, requests, _REQUEST[:2], asked)
    delete_many(connection, runs, ("uid",), uids)
