"""PostgreSQL, by psycopg: any number of servers on one database; hot statements take binary arrays.

Imported only for such a URL. The driver's connections commit by themselves; the writing transaction is ours, for
BEGIN and the clock then take one round trip.
"""

from __future__ import annotations

import os
import select
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import count
from typing import Any, cast

import psycopg
from psycopg import errors
from psycopg.types.numeric import Int8BinaryDumper
from sqlalchemy import Connection, Engine, Table, create_engine, event
from sqlalchemy.engine import URL

from taskwheel_server.db.dialect.arrays import encoder, type_name
from taskwheel_server.db.dialect.common import READERS, Batch, Columns, Dialect
from taskwheel_server.errors import InvalidArgument

_DRIVER = "postgresql+psycopg"
# It takes as long as it takes. The number is "taskwhee" in ASCII: as much as it holds.
_LOCK_SCHEMA = """
    SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = 0;
    SELECT pg_advisory_xact_lock(x'7461736b77686565'::bigint)
"""
# Seconds, and of the last one milliseconds: a server that is gone is found out before callers give up.
_CONNECT: dict[str, Any] = {
    "connect_timeout": 3,
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "application_name": "taskwheel",
}
# A server that hangs in the middle of a turn must not hold the others up for long: its turn is rolled back, then.
# Every statement of the wheel finds its rows by an index, however few there were when it was planned: once, for good.
_WRITER = (
    *("SET lock_timeout = '5s'", "SET statement_timeout = '10s'", "SET idle_in_transaction_session_timeout = '5s'"),
    *("SET jit = off", "SET plan_cache_mode = force_generic_plan"),
    *("SET enable_seqscan = off", "SET enable_bitmapscan = off", "SET enable_hashjoin = off"),
    "SET enable_mergejoin = off",
)
_READER = ("SET jit = off", "SET statement_timeout = '30s'", "SET idle_in_transaction_session_timeout = '30s'")
_CHANNEL = "taskwheel"
_NOTIFY = f"SELECT pg_notify('{_CHANNEL}', %b)".encode()
_BEGIN = (
    "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
)


class PostgreSQLChannel:
    """LISTEN and NOTIFY."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        self._interrupted, self._interrupt = os.pipe()
        connection.execute(f"LISTEN {_CHANNEL}".encode())

    def wait(self, timeout: float) -> list[str]:
        # What came with the answer to a statement is there already, and makes no file readable.
        told = list(self._connection.notifies(timeout=0))
        if not told:
            select.select([self._connection.fileno(), self._interrupted], [], [], max(timeout, 0))
            told = list(self._connection.notifies(timeout=0))
        return [each.payload for each in told]

    def tell(self, text: str) -> None:
        self._connection.execute(_NOTIFY, [text])

    def interrupt(self) -> None:
        os.write(self._interrupt, b"!")

    def close(self) -> None:
        """Give back what interrupts; the connection is its maker's."""
        os.close(self._interrupted)
        os.close(self._interrupt)


class PostgreSQL(Dialect):
    """A database of a server that may have others."""

    name = "postgresql"
    exclusive = False
    # Read-only: what was the primary is a standby now.
    failures = (psycopg.OperationalError, psycopg.InterfaceError, errors.ReadOnlySqlTransaction)
    conflicts = (errors.DeadlockDetected, errors.SerializationFailure, errors.UniqueViolation)

    def __init__(self) -> None:
        self._cursors = count()

    def check(self, url: URL) -> URL:
        if url.drivername not in {"postgres", "postgresql", _DRIVER} or not url.database:
            raise InvalidArgument(
                "database_url", "must name a PostgreSQL database, such as postgresql+psycopg://user@host/taskwheel"
            )
        return url.set(drivername=_DRIVER)

    def exists(self, url: URL) -> bool:  # noqa: ARG002 - to connect tells
        return True

    def lock(self, url: URL) -> None:
        """Do nothing: any number of servers use a database."""

    def writer(self, url: URL) -> Engine:
        engine = _engine(url, 1, prepare_threshold=0)

        @event.listens_for(engine, "connect")
        def connect(connection: psycopg.Connection, _record: object) -> None:
            connection.prepared_max = 512
            _configure(connection, *_WRITER)

        return engine

    def reader(self, url: URL) -> Engine:
        engine = _engine(url, READERS)

        @event.listens_for(engine, "connect")
        def connect(connection: psycopg.Connection, _record: object) -> None:
            _configure(connection, *_READER)
            connection.autocommit = False
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True

        return engine

    def begin(self, connection: Connection) -> int:
        cursor = _driver(connection).execute(_BEGIN, prepare=False)
        cursor.nextset()
        [(instant,)] = cursor.fetchall()
        return int(instant)

    def tell(self, driver: psycopg.Connection, text: str) -> None:
        driver.execute(_NOTIFY, [text])

    @contextmanager
    def listen(self, url: URL) -> Iterator[PostgreSQLChannel]:
        text = url.set(drivername=self.name).render_as_string(hide_password=False)
        with psycopg.connect(text, **_CONNECT, autocommit=True) as connection:
            channel = PostgreSQLChannel(connection)
            try:
                yield channel
            finally:
                channel.close()

    def interrupt(self, driver: psycopg.Connection) -> None:
        driver.cancel_safe(timeout=_CONNECT["connect_timeout"])

    def lock_schema(self, connection: Connection) -> None:
        _driver(connection).execute(_LOCK_SCHEMA, prepare=False)

    def execute(
        self, driver: psycopg.Connection, statement: str, values: Sequence[Any]
    ) -> psycopg.Cursor[tuple[Any, ...]]:
        return driver.cursor(binary=True).execute(_translated(statement), values)

    def execute_batch(
        self, driver: psycopg.Connection, batch: Batch, rows: Sequence[Sequence[Any]]
    ) -> psycopg.Cursor[tuple[Any, ...]]:
        columns = zip(*rows, strict=True)
        arrays = [encode(column) for encode, column in zip(batch.encoders, columns, strict=True)]
        return driver.cursor(binary=True).execute(batch.text.encode(), arrays)

    def stream(
        self, driver: psycopg.Connection, statement: str, values: Sequence[Any], chunk: int
    ) -> Iterator[Sequence[Any]]:
        # Left open: the end of the transaction closes it.
        name = f"stream_{next(self._cursors)}"
        with driver.pipeline():
            driver.execute(f"DECLARE {name} NO SCROLL CURSOR FOR ".encode() + _translated(statement), values)
            cursor = driver.cursor(binary=True).execute(f"FETCH {chunk} FROM {name}".encode())
        while rows := cursor.fetchall():
            yield from rows
            if len(rows) < chunk:
                break
            cursor = driver.cursor(binary=True).execute(f"FETCH {chunk} FROM {name}".encode())

    def insert(self, table: Table, columns: Columns) -> Batch:
        text = f"INSERT INTO {table.name} ({','.join(columns)}) SELECT * FROM {_unnest(table, columns)}"  # noqa: S608 - our names
        return _batch(f"{text} ON CONFLICT DO NOTHING", table, columns)

    def update(self, table: Table, columns: Columns, keys: Columns, guard: str) -> Batch:
        names = (*columns, *keys)
        assignments = ",".join(f"{column}=v{index}" for index, column in enumerate(columns))
        text = f"UPDATE {table.name} SET {assignments} FROM {_unnest(table, names)} WHERE "  # noqa: S608 - our names
        return _batch(text + _matching(table, keys, len(columns)) + (guard and f" AND {guard}"), table, names)

    def delete(self, table: Table, keys: Columns) -> Batch:
        text = f"DELETE FROM {table.name} USING {_unnest(table, keys)} WHERE "  # noqa: S608 - our names
        return _batch(text + _matching(table, keys, 0), table, keys)


def _driver(connection: Connection) -> psycopg.Connection:
    return cast("psycopg.Connection", connection.connection.driver_connection)


def _unnest(table: Table, columns: Columns) -> str:
    arrays = ",".join(f"%b::{type_name(table.c[column])}[]" for column in columns)
    return f"unnest({arrays}) AS given({','.join(f'v{index}' for index in range(len(columns)))})"


def _matching(table: Table, keys: Columns, start: int) -> str:
    return " AND ".join(f"{table.name}.{key}=v{start + index}" for index, key in enumerate(keys))


def _batch(text: str, table: Table, columns: Columns) -> Batch:
    return Batch(text, tuple(encoder(table.c[column]) for column in columns))


@lru_cache(maxsize=1024)
def _translated(statement: str) -> bytes:
    return statement.replace("%", "%%").replace("?", "%b").encode()


def _engine(url: URL, size: int, **options: Any) -> Engine:
    arguments = {name: value for name, value in _CONNECT.items() if name not in url.query} | options
    return create_engine(url, pool_size=size, max_overflow=0, pool_pre_ping=True, connect_args=arguments)


def _configure(connection: psycopg.Connection, *settings: str) -> None:
    connection.autocommit = True
    # Else an integer's size would be part of a statement's types, and each prepared many times.
    connection.adapters.register_dumper(int, Int8BinaryDumper)
    connection.execute("; ".join(settings).encode(), prepare=False)
