"""When something is due next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskwheel_server.db.dialect import fetch_one

if TYPE_CHECKING:
    from sqlalchemy import Connection

_NEXT = (
    "SELECT (SELECT deadline FROM runs WHERE deadline IS NOT NULL ORDER BY deadline LIMIT 1),"
    " (SELECT next_time FROM tasks WHERE next_time IS NOT NULL ORDER BY next_time LIMIT 1)"
)


def next_time(connection: Connection) -> int | None:
    """Return the earliest instant (µs) at which a run or a task must be looked at."""
    return min((instant for instant in fetch_one(connection, _NEXT) or () if instant is not None), default=None)
