"""Opening the database, its schema version, and the two ways in: the writing transaction and reading ones."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from sqlalchemy import insert, inspect, select
from sqlalchemy.exc import DBAPIError, OperationalError

from taskwheel_server.db import dialect
from taskwheel_server.db.tables import SCHEMA_VERSION, meta, metadata, namespaces
from taskwheel_server.errors import FailedPrecondition, Unavailable
from taskwheel_server.model.names import DEFAULT_NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection

    from taskwheel_server.clock import Clock


P = ParamSpec("P")
T = TypeVar("T")


class Store:
    """One database, opened by one server.

    Args:
        database_url: SQLAlchemy URL, `sqlite:///FILE`.
        clock: the time of a store that has no clock of its own.

    Raises:
        InvalidArgument: the URL cannot be used.
        FailedPrecondition: DATABASE_IN_USE, DATABASE_UNUSABLE or SCHEMA_TOO_NEW.
    """

    def __init__(self, database_url: str, clock: Clock) -> None:
        url = dialect.check_url(database_url)
        self.clock = clock
        self.database = url.get_backend_name()
        self._lock = dialect.lock_file(url)
        self._connection: Connection | None = None
        self._writer = dialect.writer(url)
        self._reader = dialect.reader(url)
        try:
            self._prepare()
        except DBAPIError as error:
            self.close()
            raise FailedPrecondition("DATABASE_UNUSABLE", f"the database cannot be used: {error.orig}") from error
        except BaseException:
            self.close()
            raise

    def _prepare(self) -> None:
        with self.write() as connection:
            if not inspect(connection).has_table(meta.name):
                metadata.create_all(connection)
                connection.execute(insert(meta).values(key="schema_version", value=str(SCHEMA_VERSION)))
                connection.execute(insert(namespaces).values(name=DEFAULT_NAMESPACE, create_time=self.clock.now()))
            version = int(connection.execute(select(meta.c.value).where(meta.c.key == "schema_version")).scalar_one())
        if version > SCHEMA_VERSION:
            raise FailedPrecondition(
                "SCHEMA_TOO_NEW",
                f"the database has schema {version}, this server knows {SCHEMA_VERSION}: run a newer server",
                schema_version=str(version),
            )

    @property
    def exclusive(self) -> bool:
        """Whether no other server has this database open."""
        return True

    def now(self, _connection: Connection) -> int:
        """Return the store's instant, µs: read once a turn."""
        return self.clock.now()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open the writing transaction; commit at the end, roll back on any exception.

        Raises:
            Unavailable: STORE_UNAVAILABLE; after a failed commit its effect is unknown.
        """
        connection = self._connection or self._writer.connect()
        # Kept from turn to turn: to check it out and in costs as much as a statement. Not kept after a failure.
        self._connection = None
        try:
            with dialect.transaction(connection):
                yield connection
        except (OperationalError, *dialect.FAILURES) as error:
            connection.close()
            raise unavailable() from error
        except BaseException:
            connection.close()
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
        except (DBAPIError, *dialect.FAILURES) as error:
            raise unavailable() from error

    def close(self) -> None:
        """Close every connection, then free the lock."""
        if self._connection:
            self._connection.close()
        self._reader.dispose()
        self._writer.dispose()
        self._lock.close()


def unavailable() -> Unavailable:
    """Return the error for a store that does not answer."""
    return Unavailable("STORE_UNAVAILABLE", "the store cannot be reached or written now; try again")
