"""Statements of a PostgreSQL transaction that are sent at once and answered together, in one round trip."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import psycopg

from taskwheel_server.db.dialect.common import StaleTurn

_Cursor = psycopg.Cursor[tuple[Any, ...]]


class Posts:
    """Answers that are still to come, on a connection that goes on sending until they are awaited.

    Args:
        driver: the connection; what it executes is posted as long as this is open.
    """

    def __init__(self, driver: psycopg.Connection) -> None:
        self._stack = ExitStack()
        self._stack.enter_context(driver.pipeline())
        self._expected: list[tuple[_Cursor, int]] = []

    def expect(self, cursor: _Cursor, count: int) -> None:
        """Note how many rows a statement just sent must change."""
        self._expected.append((cursor, count))

    @property
    def awaited(self) -> bool:
        """Whether an answer is still to tell if all is as expected."""
        return bool(self._expected)

    def close(self) -> None:
        """Await all answers; the connection waits for each one again. Raises StaleTurn."""
        # Not Pipeline.sync(): it waits for answers to what may be too large to have been sent in one piece.
        self._stack.close()
        if any(cursor.rowcount != count for cursor, count in self._expected):
            raise StaleTurn
