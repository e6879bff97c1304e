"""Breaks a store at a chosen point: at its n-th statement, or at its n-th COMMIT, before or after it took effect."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from types import TracebackType
from typing import Any, Self

import pytest
from sqlalchemy import Connection, event
from sqlalchemy.exc import OperationalError

from taskwheel_server.db import dialect
from taskwheel_server.db.store import Store


class Killed(BaseException):
    """The process ends here: nothing of it runs on."""


class Bug(Exception):
    """An error that is no database's."""


class Point(Enum):
    """Where it breaks."""

    STATEMENT = auto()
    BEFORE_COMMIT = auto()
    AFTER_COMMIT = auto()


def unavailable() -> BaseException:
    return OperationalError("disk I/O error", None, Exception("disk I/O error"))


class Breaker:
    """While entered, raises at the n-th point of a kind on the writing connection.

    Args:
        point: where.
        number: which one of them, from 1.
        error: makes what is raised.
        times: how often: again at the very next points of the kind.
    """

    def __init__(self, point: Point, number: int, error: Callable[[], BaseException], times: int = 1) -> None:
        self._point = point
        self._range = range(number, number + times)
        self._error = error
        self._seen = 0
        self._active = True
        self._patch = pytest.MonkeyPatch()

    @property
    def reached(self) -> bool:
        """Whether it broke anything."""
        return self._seen >= self._range.start

    def __enter__(self) -> Self:
        for door in ("_begin", "_execute", "_post"):
            self._patch.setattr(dialect, door, self._breaking(getattr(dialect, door)))
        self._patch.setattr(dialect, "_commit", self._breaking_commit(dialect._commit))
        self._engines: list[Any] = []
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._patch.undo()
        self._active = False

    def _breaking(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def broken(connection: Connection, *args: Any) -> Any:
            if connection.engine in self._engines:
                self._pass(Point.STATEMENT)
            return function(connection, *args)

        return broken

    def _breaking_commit(self, commit: Callable[[Connection], None]) -> Callable[[Connection], None]:
        def broken(connection: Connection) -> None:
            watched = connection.engine in self._engines
            if watched:
                self._pass(Point.BEFORE_COMMIT)
            commit(connection)
            if watched:
                self._pass(Point.AFTER_COMMIT)

        return broken

    def watch(self, store: Store) -> None:
        """Break this store too: the one in use, and the next one after each restart."""
        engine = store._writer
        self._engines.append(engine)
        # What goes through SQLAlchemy: the schema's.
        event.listen(engine, "before_cursor_execute", lambda *_: self._pass(Point.STATEMENT))

    def _pass(self, point: Point) -> None:
        if self._active and point is self._point:
            self._seen += 1
            if self._seen in self._range:
                raise self._error()


class Poison(Exception):
    """What a poisoned function raises."""


def poisoned(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, fatal: Callable[..., bool]) -> None:
    """Have a function of the wheel raise for arguments that are `fatal`."""
    function = getattr(module, name)

    def poisonous(*args: Any, **kwargs: Any) -> Any:
        if fatal(*args):
            raise Poison
        return function(*args, **kwargs)

    monkeypatch.setattr(module, name, poisonous)
