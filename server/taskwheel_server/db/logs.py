"""Log lines of runs, numbered from 1 within each run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskwheel_server.db.dialect import insert_missing, stream
from taskwheel_server.db.tables import logs
from taskwheel_server.model.event import LogEntry

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection

_COLUMNS = ("run_uid", "sequence", "time", "level", "stream", "message", "fields")


def insert(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert lines as rows of run_uid, sequence, time, level, stream, message, fields."""
    insert_missing(connection, logs, _COLUMNS, rows)


def after(connection: Connection, run_uid: str, sequence: int, min_level: int, limit: int) -> Iterator[LogEntry]:
    """Yield up to `limit` lines of a run that follow `sequence` and are at least `min_level`, in order."""
    text = (
        f"SELECT {','.join(_COLUMNS)} FROM logs"  # noqa: S608 - our names
        " WHERE run_uid=? AND sequence>? AND level>=? ORDER BY sequence LIMIT ?"
    )
    return (LogEntry(*row) for row in stream(connection, text, run_uid, sequence, min_level, limit))
