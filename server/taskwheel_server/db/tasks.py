"""Tasks, for the wheel."""

from __future__ import annotations

import json
from dataclasses import asdict
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from taskwheel_server.db.dialect import (
    among,
    answer,
    delete_many,
    execute,
    fetch,
    fetch_one,
    fetch_value,
    insert_all,
    listed,
    post,
    update_all,
)
from taskwheel_server.db.dialect.common import Question
from taskwheel_server.db.tables import tasks
from taskwheel_server.model.names import TaskRef
from taskwheel_server.model.state import MisfireMode, OverlapPolicy
from taskwheel_server.model.task import TASK_COLUMNS, Task

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection

_SELECT = f"SELECT {','.join(TASK_COLUMNS)} FROM tasks WHERE "  # noqa: S608 - our names
# The counter of running runs is moved by `add_running` alone, so that an edit cannot overwrite it.
_WRITTEN = tuple(column for column in TASK_COLUMNS if column not in {"uid", "running"})
_OVERLAP_POLICIES = {int(policy): policy for policy in OverlapPolicy}
_MISFIRE_MODES = {int(mode): mode for mode in MisfireMode}
_row = attrgetter(*TASK_COLUMNS)
_written = attrgetter(*_WRITTEN)


def task_of(row: Sequence[Any]) -> Task:
    """Return the task of a row that holds TASK_COLUMNS in order."""
    task = Task(*row)
    task.paused = bool(task.paused)
    task.overlap_policy = _OVERLAP_POLICIES[task.overlap_policy]
    task.misfire_mode = _MISFIRE_MODES[task.misfire_mode]
    return task


def find(connection: Connection, ref: TaskRef, *, lock: bool = False) -> Task | None:
    """Return the live task that a caller points at, its row locked if asked for."""
    key = "uid=?" if ref.uid else "task_id=?"
    text = f"{_SELECT}namespace=? AND {key} AND delete_time IS NULL{' FOR UPDATE' if lock else ''}"
    row = fetch_one(connection, text, ref.namespace, ref.uid or ref.task_id)
    return task_of(row) if row else None


def finding(refs: Iterable[TaskRef]) -> list[Question]:
    """Return the questions for the live tasks that callers point at; `found` reads the answers."""
    pointed: dict[tuple[str, str], list[str]] = {}
    for ref in refs:
        pointed.setdefault((ref.namespace, "uid" if ref.uid else "task_id"), []).append(ref.uid or ref.task_id)
    return [
        Question(f"{_SELECT}namespace=? AND {among(key)} AND delete_time IS NULL", (namespace, listed(values)))
        for (namespace, key), values in pointed.items()
    ]


def found(questions: Iterable[Question], refs: Iterable[TaskRef]) -> dict[TaskRef, Task]:
    """Return the tasks that refs point at, of the answers to `finding`; missing ones are left out."""
    live = [task_of(row) for question in questions for row in question.rows]
    known = {TaskRef(task.namespace, uid=task.uid): task for task in live}
    known |= {TaskRef(task.namespace, task_id=task.task_id): task for task in live}
    return {ref: known[ref] for ref in refs if ref in known}


def find_all(connection: Connection, refs: set[TaskRef]) -> dict[TaskRef, Task]:
    """Return the live tasks that callers point at; missing ones are left out."""
    questions = finding(refs)
    answer(connection, questions)
    return found(questions, refs)


def near_match(connection: Connection, ref: TaskRef) -> str | None:
    """Return the id of a task that differs from the one asked for in case only."""
    text = "SELECT task_id FROM tasks WHERE namespace=? AND lower(task_id)=? AND delete_time IS NULL LIMIT 1"
    near: str | None = fetch_value(connection, text, ref.namespace, ref.task_id.lower()) if ref.task_id else None
    return near


def by_uid(connection: Connection, uids: Iterable[str]) -> dict[str, Task]:
    """Return the tasks with these uids, deleted ones included, by uid."""
    return {row[0]: task_of(row) for row in fetch(connection, _SELECT + among("uid"), listed(uids))}


def lock(connection: Connection, uids: Iterable[str]) -> dict[str, Task]:
    """Return the tasks with these uids as they are and, until the turn's end, stay for every other server."""
    text = f"{_SELECT}{among('uid')} ORDER BY uid FOR UPDATE"
    return {row[0]: task_of(row) for row in fetch(connection, text, listed(uids))}


def lock_limited(connection: Connection, uids: Iterable[str]) -> dict[str, Task]:
    """Return the tasks with these uids, those with a limit as `lock` does: how many of their runs run must stay."""
    found = by_uid(connection, uids)
    limited = [uid for uid, task in found.items() if task.max_concurrent_runs]
    return (found | lock(connection, limited)) if limited else found


def by_request(connection: Connection, namespace: str, request_id: str) -> Task | None:
    """Return the task that a request id created."""
    row = fetch_one(connection, f"{_SELECT}namespace=? AND request_id=?", namespace, request_id)
    return task_of(row) if row else None


def insert(connection: Connection, task: Task) -> None:
    """Insert a new task, whose uid, id and request id are free unless another server was faster."""
    insert_all(connection, tasks, TASK_COLUMNS, [_row(task)])


def update(connection: Connection, batch: Sequence[Task]) -> None:
    """Write tasks back whole, the running counter excepted."""
    rows = [(*_written(task), task.uid) for task in batch]
    update_all(connection, tasks, _WRITTEN, ("uid",), rows)


def advance(connection: Connection, batch: Sequence[tuple[int | None, str]]) -> None:
    """Set the next slot (µs or None) of tasks by uid."""
    update_all(connection, tasks, ("next_time",), ("uid",), batch)


def add_running(connection: Connection, changes: dict[str, int]) -> None:
    """Move the running counters by task uid, in uid order, of those tasks that have a limit."""
    text = "UPDATE tasks SET running = running + ? WHERE uid=? AND max_concurrent_runs > 0"
    for uid in sorted(changes):
        if changes[uid]:
            post(connection, text, changes[uid], uid)


def set_running(connection: Connection, uid: str, running: int) -> None:
    """Set a task's running counter: when it gets a limit."""
    post(connection, "UPDATE tasks SET running=? WHERE uid=?", running, uid)


def due(connection: Connection, now: int, limit: int) -> list[Task]:
    """Return the tasks whose next slot has come, the earliest first, at most `limit`; not what others have locked."""
    text = f"{_SELECT}next_time IS NOT NULL AND next_time <= ? ORDER BY next_time, uid LIMIT ? FOR UPDATE SKIP LOCKED"
    return [task_of(row) for row in fetch(connection, text, now, limit)]


def first_due(connection: Connection, now: int) -> str | None:
    """Lock the task whose slot came first by `now` (µs) and return its uid; not one that others have locked."""
    due = "next_time IS NOT NULL AND next_time <= ? ORDER BY next_time, uid LIMIT 1"
    uid: str | None = fetch_value(connection, f"SELECT uid FROM tasks WHERE {due} FOR UPDATE SKIP LOCKED", now)  # noqa: S608 - ours
    return uid


def stop(connection: Connection, uid: str, now: int) -> bool:
    """Take the next slot from a task if it came by `now` (µs); tell whether it had."""
    return execute(connection, "UPDATE tasks SET next_time = NULL WHERE uid=? AND next_time <= ?", uid, now) == 1


def deleted(connection: Connection) -> Task | None:
    """Return a deleted task whose row still stands."""
    row = fetch_one(connection, f"{_SELECT}delete_time IS NOT NULL ORDER BY delete_time LIMIT 1")
    return task_of(row) if row else None


def purge(connection: Connection, uid: str) -> None:
    """Delete a task's row for good."""
    delete_many(connection, tasks, ("uid",), [(uid,)])


def dump(task: Task) -> str:
    """Return the JSON of a task's row, for the snapshot in its events; the payload as hexadecimal text."""
    row = asdict(task)
    for column in ("payload", "request_digest"):
        row[column] = row[column].hex() if row[column] is not None else None
    return json.dumps(row, separators=(",", ":"))


def load(text: str) -> Task:
    """Return the task of `dump`'s JSON."""
    row = json.loads(text)
    for column in ("payload", "request_digest"):
        row[column] = bytes.fromhex(row[column]) if row[column] is not None else None
    task = Task(**row)
    task.overlap_policy = OverlapPolicy(task.overlap_policy)
    task.misfire_mode = MisfireMode(task.misfire_mode)
    return task
