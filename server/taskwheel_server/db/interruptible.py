"""Reads that may be stopped before their end."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING, Generic, TypeVar

from taskwheel_server.db import dialect

if TYPE_CHECKING:
    from sqlalchemy import Connection

T = TypeVar("T")


class Interruptible(Generic[T]):
    """A read that another thread may interrupt.

    Args:
        function: takes the connection.
    """

    def __init__(self, function: Callable[[Connection], T]) -> None:
        self._function = function
        # Held while interrupting, so that it cannot hit whoever uses the connection next.
        self._lock = Lock()
        self._connection: Connection | None = None

    def __call__(self, connection: Connection) -> T:
        """Return what the function returns."""
        with self._lock:
            self._connection = connection
        try:
            return self._function(connection)
        finally:
            with self._lock:
                self._connection = None

    def interrupt(self) -> None:
        """Make the statement under way fail; without effect between two statements, before the read or after it."""
        with self._lock:
            if self._connection is not None:
                dialect.interrupt(self._connection)
