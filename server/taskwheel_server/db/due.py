"""When something is due next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskwheel_server.db import dialect

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from taskwheel_server.db.dialect.common import Question

_NEXT = (
    "SELECT (SELECT deadline FROM runs WHERE deadline IS NOT NULL ORDER BY deadline LIMIT 1),"
    " (SELECT next_time FROM tasks WHERE next_time IS NOT NULL ORDER BY next_time LIMIT 1)"
)


def ask(connection: Connection) -> Question:
    """Ask, in the writing transaction, at which instant a run or a task must be looked at; `next_time` reads it."""
    return dialect.ask(connection, _NEXT)


def next_time(question: Question) -> int | None:
    """Return the earliest instant (µs) at which a run or a task must be looked at."""
    [instants] = question.rows
    return min((instant for instant in instants if instant is not None), default=None)
