"""Opening the database, its schema version, and the two ways in: the writing transaction and reading ones."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from sqlalchemy.exc import DBAPIError, OperationalError

from taskwheel_server.db import schema
from taskwheel_server.db.dialect import dialect_of, tell, transaction
from taskwheel_server.db.dialect.common import SharedDialect, StaleTurn
from taskwheel_server.db.hints import Hearing, Hint
from taskwheel_server.db.tables import SCHEMA_VERSION
from taskwheel_server.errors import InvalidArgument, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sqlalchemy import Connection
    from sqlalchemy.engine import URL

    from taskwheel_server.clock import Clock
    from taskwheel_server.db.dialect.common import Dialect, Question


P = ParamSpec("P")
T = TypeVar("T")


class Store:
    """One database, opened by one server.

    Args:
        database_url: SQLAlchemy URL, `sqlite:///FILE` or `postgresql+psycopg://USER@HOST/DATABASE`.
        clock: the time; it is told what a database with a clock of its own says, at each writing transaction.
        direct_url: the same database, to hear other servers, where `database_url` goes through a pooler that shares
            connections; empty: it does not.

    Raises:
        InvalidArgument: the URL cannot be used.
        FailedPrecondition: DATABASE_IN_USE, DATABASE_UNUSABLE or SCHEMA_TOO_NEW.
    """

    def __init__(self, database_url: str, clock: Clock, direct_url: str = "") -> None:
        self._dialect, url = dialect_of(database_url)
        self.clock = clock
        self.database = self._dialect.name
        self.exclusive = self._dialect.exclusive
        # By the driver, and through SQLAlchemy.
        self._failures: tuple[type[Exception], ...] = (*self._dialect.failures, OperationalError)
        self._lock = self._dialect.lock(url)
        self._direct_url = _direct(self._dialect, direct_url) if direct_url else url
        self._hearing: Hearing | None = None
        self._connection: Connection | None = None
        self._writer = self._dialect.writer(url, pooled=bool(direct_url))
        self._reader = self._dialect.reader(url, pooled=bool(direct_url))
        try:
            self._prepare()
        except (DBAPIError, Unavailable) as error:
            self.close()
            raise schema.unusable(error.__cause__ if isinstance(error, Unavailable) else error) from error
        except BaseException:
            self.close()
            raise

    def _prepare(self) -> None:
        with self.write() as connection:
            if schema.version_of(connection) != SCHEMA_VERSION:
                self._dialect.lock_schema(connection)
                schema.prepare(connection, self.clock.now())

    @contextmanager
    def write(self, questions: Sequence[Question] = ()) -> Iterator[Connection]:
        """Open the writing transaction; commit at the end, roll back on any exception.

        Args:
            questions: answered by the time that it has begun.

        Raises:
            Unavailable: STORE_UNAVAILABLE; after a failed commit its effect is unknown.
            StaleTurn: another server was faster.
        """
        # Kept from turn to turn: to check it out and in costs as much as a statement. Not kept after a failure.
        connection, self._connection = self._connection, None
        try:
            connection = connection or self._writer.connect()
            with transaction(connection, questions) as instant:
                if instant is not None:
                    self.clock.follow(instant)
                yield connection
        except self._dialect.conflicts as error:
            _close(connection)
            raise StaleTurn from error
        except self._failures as error:
            _close(connection, broken=True)
            raise unavailable() from error
        except BaseException:
            _close(connection)
            raise
        self._connection = connection

    def read(self, function: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call `function` with a reading connection, in one snapshot that holds all that was acknowledged.

        Raises:
            Unavailable: STORE_UNAVAILABLE.
        """
        try:
            with self._reader.begin() as connection:
                return function(connection, *args, **kwargs)
        except (*self._failures, DBAPIError) as error:  # type: ignore[misc]
            raise unavailable() from error

    def listen(self, receive: Callable[[Hint], None]) -> None:
        """Hear from now on what other servers on the same database tell; `receive` is called on a thread of its own."""
        if isinstance(self._dialect, SharedDialect):
            self._hearing = Hearing(self._dialect, self._direct_url, receive)

    @property
    def hears(self) -> bool:
        """Whether the hints of other servers arrive, if there are any."""
        return self.exclusive or (self._hearing is not None and self._hearing.reliable)

    @property
    def alone(self) -> bool:
        """Whether there is no other server to be told anything."""
        return self._hearing is None or self._hearing.alone

    def tell(self, connection: Connection, hint: Hint) -> None:
        """Tell other servers something when the transaction commits."""
        if self._hearing:
            tell(connection, hint.dump(self._hearing.origin))

    def close(self) -> None:
        """Close every connection, then free the lock."""
        if self._hearing:
            self._hearing.close()
        if self._connection:
            self._connection.close()
        self._reader.dispose()
        self._writer.dispose()
        if self._lock:
            self._lock.close()


def _close(connection: Connection | None, *, broken: bool = False) -> None:
    """Give a connection back to its pool; what it holds of the database is not used again when that is `broken`."""
    if connection:
        if broken:
            connection.invalidate()
        connection.close()


def _direct(dialect: Dialect, text: str) -> URL:
    direct, url = dialect_of(text)
    if direct is not dialect or dialect.exclusive:
        raise InvalidArgument("direct_database_url", "must name the database of database_url, one for several servers")
    return url


def unavailable() -> Unavailable:
    """Return the error for a store that does not answer."""
    return Unavailable("STORE_UNAVAILABLE", "the store cannot be reached or written now; try again")
