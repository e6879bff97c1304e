"""Statements of a PostgreSQL transaction that are sent at once and answered together, in one round trip."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import psycopg

from taskwheel_server.db.dialect.common import Question

_Cursor = psycopg.Cursor[tuple[Any, ...]]


class Posts:
    """Answers that are still to come, on a connection that goes on sending until they are awaited.

    Args:
        driver: the connection; what it executes is posted as long as this is open.
    """

    def __init__(self, driver: psycopg.Connection) -> None:
        self._driver = driver
        self._stack = ExitStack()
        self._pipeline = self._stack.enter_context(driver.pipeline())
        self._asked: list[tuple[_Cursor, Question]] = []

    def note(self, cursor: _Cursor, question: Question) -> None:
        """Note the question of a statement just executed."""
        self._asked.append((cursor, question))

    def send(self) -> None:
        """Send what was executed so far: the driver does so only when the next statement comes."""
        self._driver.wait(self._pipeline._communicate_gen())  # noqa: SLF001 - its public ways wait for answers

    def close(self) -> None:
        """Await all answers; the connection waits for each one again."""
        # Not Pipeline.sync(): it waits for answers to what may be too large to have been sent in one piece.
        self._stack.close()
        for cursor, question in self._asked:
            question.rows = cursor.fetchall()
