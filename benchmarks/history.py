"""A database that has been in use: finished and queued runs with their events and tags, written as fast as SQL can."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from benchmarks.hand import HANDLER, NULL, HandWheel
from taskwheel_server.clock import DAY, HOUR
from taskwheel_server.model.event import EventType
from taskwheel_server.model.names import DEFAULT_NAMESPACE
from taskwheel_server.model.run import RUN_COLUMNS, Run
from taskwheel_server.model.state import State, StateReason

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

FINISHED = 1_000_000
QUEUED = 100_000
TASKS = 100
# Within retention, so that the server has nothing to sweep.
SPAN = 6 * DAY
_ENDED = (EventType.RUN_PENDING, EventType.RUN_STARTED, EventType.RUN_SUCCEEDED)


def build(database: Path, payload: bytes) -> None:
    """Write a new database file with FINISHED finished runs and QUEUED queued ones.

    Half of the queued runs are ready, of a handler that no worker has; the others are due in a day, with a priority
    above all others, of the handler that the cases work.
    """
    with closing(HandWheel(f"sqlite:///{database}")) as wheel:
        now = wheel.now()
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=OFF")
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("PRAGMA cache_size=-1000000")
        indexes = connection.execute("SELECT name, sql FROM sqlite_master WHERE type='index' AND sql <> ''").fetchall()
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}")
        connection.execute("BEGIN")
        columns = attrgetter(*RUN_COLUMNS)
        runs = _runs(now, payload)
        _insert(connection, "runs", RUN_COLUMNS, map(columns, runs))
        tagged = "SELECT '', 'nightly', uid FROM runs WHERE tags <> '' ORDER BY uid"
        connection.execute(f"INSERT INTO labels (key, value, owner) {tagged}")
        event_columns = ("namespace", "sequence", "type", "time", "run_uid", "worker")
        _insert(connection, "events", event_columns, _events(now))
        connection.execute("UPDATE namespaces SET sequence = (SELECT max(sequence) FROM events)")
        for _, sql in indexes:
            connection.execute(sql)
        connection.execute("COMMIT")


def _insert(
    connection: sqlite3.Connection, table: str, columns: tuple[str, ...], rows: Iterable[tuple[Any, ...]]
) -> None:
    places = ",".join("?" * len(columns))
    connection.executemany(f"INSERT INTO {table} ({','.join(columns)}) VALUES ({places})", rows)


def _runs(now: int, payload: bytes) -> Iterator[Run]:
    first = now - SPAN
    step = (SPAN - HOUR) // (FINISHED + QUEUED)
    blank = Run("", DEFAULT_NAMESPACE, "", "", "history", State.READY, payload=payload, creator_application="anonymous")
    for number in range(FINISHED + QUEUED):
        time = first + number * step
        task = number % TASKS
        run = replace(
            blank,
            uid=_uid(now, number),
            task_uid=f"00000000-0000-7000-8000-{task:012x}",
            task_id=f"history-{task}",
            tags='["nightly"]' if number % 10 == 0 else "",
            create_time=time,
            schedule_time=time,
            update_time=time,
            state_change_time=time,
        )
        if number < FINISHED:
            run.state, run.result, run.worker = State.SUCCEEDED, NULL, "history"
            run.lease_token = run.uid
            run.start_time = run.end_time = time
        elif number % 2:
            run.state, run.state_reason, run.priority = State.WAITING, StateReason.NOT_DUE, 1_000
            run.handler = HANDLER
            run.schedule_time = run.deadline = now + DAY + number
        yield run


def _events(now: int) -> Iterator[tuple[Any, ...]]:
    sequence = 0
    for number in range(FINISHED + QUEUED):
        for kind in _ENDED if number < FINISHED else _ENDED[:1]:
            sequence += 1
            worker = "history" if kind is not EventType.RUN_PENDING else None
            yield DEFAULT_NAMESPACE, sequence, kind, now - SPAN + number, _uid(now, number), worker


def _uid(now: int, number: int) -> str:
    milliseconds = f"{(now - SPAN) // 1000 + number // 8:012x}"
    return f"{milliseconds[:8]}-{milliseconds[8:]}-7000-8000-{number:012x}"
