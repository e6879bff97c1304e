"""All that differs between databases: opening, locking, transactions and the hot statements as fixed text.

Hot statements are executed many rows at a time as plain driver text: for batches of a hundred rows that is twice as
fast as compiled constructs. Everything else in `db` is SQLAlchemy Core and knows no dialect.
"""

from __future__ import annotations

import fcntl
import json
import sqlite3
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import create_engine, event
from sqlalchemy.engine import URL, make_url

from taskwheel_server.errors import FailedPrecondition, InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import IO

    from sqlalchemy import Connection, Engine, Table

READERS = 4
# What the driver raises when the database does not answer: the statements here do not pass through SQLAlchemy.
FAILURES = (sqlite3.OperationalError,)


def check_url(text: str) -> URL:
    """Return the parsed database URL, or raise InvalidArgument naming `database_url`."""
    try:
        url = make_url(text)
    except Exception:  # noqa: BLE001 - whatever the parser dislikes; its message may hold the password
        raise InvalidArgument("database_url", "is not a database URL such as sqlite:///taskwheel.db") from None
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        raise InvalidArgument("database_url", "must name a SQLite file, such as sqlite:///taskwheel.db")
    return url


def lock_file(url: URL) -> IO[bytes]:
    """Take the lock that keeps a second server off the same file; closing the result frees it.

    Raises:
        InvalidArgument: the file's folder is not there or cannot be written.
        FailedPrecondition: DATABASE_IN_USE, another server holds it.
    """
    try:
        file = Path(f"{url.database}.lock").open("wb")  # noqa: SIM115 - held as long as the server lives
    except OSError as error:
        raise InvalidArgument("database_url", f"the file cannot be written: {error.strerror}") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise FailedPrecondition("DATABASE_IN_USE", "another server is using this database file") from None
    return file


def writer(url: URL) -> Engine:
    """Return the engine of the one writing connection: WAL, and each commit on the disk before it is acknowledged."""
    engine = create_engine(url, pool_size=1, max_overflow=0, connect_args=_CONNECT)
    # A WAL that one large turn or a long read made grow is cut again to 64 MiB.
    pragmas = "journal_mode=WAL", "synchronous=FULL", "cache_size=-65536", "journal_size_limit=67108864"
    _configure(engine, *pragmas)
    return engine


def reader(url: URL) -> Engine:
    """Return the engine of the reading connections: they see whole commits and cannot write."""
    engine = create_engine(url, pool_size=READERS, max_overflow=0, connect_args=_CONNECT)
    # Several of them, which read the mapped file at no cost: what one large List has read need not stay.
    _configure(engine, "query_only=ON", "cache_size=-8192")

    @event.listens_for(engine, "begin")
    def start(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


@contextmanager
def transaction(connection: Connection) -> Iterator[None]:
    """Hold the writing transaction: committed at the end, rolled back on any exception.

    Not SQLAlchemy's own, which costs as much as ten statements.
    """
    _execute(connection, "BEGIN IMMEDIATE", ())
    try:
        yield
        connection.dialect.do_commit(connection.connection)
    except BaseException:
        connection.dialect.do_rollback(connection.connection)
        raise


def interrupt(connection: Connection) -> None:
    """Make the statement that another thread executes on this connection fail, if there is one."""
    cast("sqlite3.Connection", connection.connection.driver_connection).interrupt()


_CONNECT = {"check_same_thread": False, "timeout": 10, "cached_statements": 512, "isolation_level": None}


def _configure(engine: Engine, *pragmas: str) -> None:
    @event.listens_for(engine, "connect")
    def connect(connection: Any, _record: object) -> None:
        for pragma in (*pragmas, "temp_store=MEMORY", "mmap_size=268435456"):
            connection.execute(f"PRAGMA {pragma}")


def _execute(connection: Connection, statement: str, values: Sequence[Any], *, many: bool = False) -> Any:
    """Execute a statement of ours on the driver's own connection: SQLAlchemy's result costs more than most of ours."""
    driver = cast("sqlite3.Connection", connection.connection.driver_connection)
    return driver.executemany(statement, values) if many else driver.execute(statement, values)


def execute(connection: Connection, statement: str, *values: Any) -> int:
    """Execute one fixed statement of ours, its `?` bound to `values` in order; return how many rows it changed."""
    return int(_execute(connection, statement, values).rowcount)


def fetch(connection: Connection, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    """Return all rows of one fixed statement of ours, its `?` bound to `values` in order."""
    rows: list[tuple[Any, ...]] = _execute(connection, statement, values).fetchall()
    return rows


def fetch_one(connection: Connection, statement: str, *values: Any) -> tuple[Any, ...] | None:
    """Return the first row, or None."""
    row: tuple[Any, ...] | None = _execute(connection, statement, values).fetchone()
    return row


def fetch_value(connection: Connection, statement: str, *values: Any) -> Any:
    """Return the first column of the first row, or None."""
    row = fetch_one(connection, statement, *values)
    return row[0] if row else None


def stream(connection: Connection, statement: str, *values: Any, chunk: int = 32) -> Iterator[tuple[Any, ...]]:
    """Yield the rows, at most `chunk` read ahead: for rows that may be large, of which not all may be wanted."""
    cursor = _execute(connection, statement, values)
    while rows := cursor.fetchmany(chunk):
        yield from rows


@lru_cache
def _insert(table: str, columns: tuple[str, ...]) -> str:
    places = ",".join("?" * len(columns))
    return f"INSERT INTO {table} ({','.join(columns)}) VALUES ({places}) ON CONFLICT DO NOTHING"  # noqa: S608 - our names


def insert_many(connection: Connection, table: Table, columns: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> int:
    """Insert `rows`, passing over those that any unique key already holds. Return how many went in."""
    if not rows:
        return 0
    return int(_execute(connection, _insert(table.name, columns), rows, many=True).rowcount)


@lru_cache
def _update(table: str, columns: tuple[str, ...], keys: tuple[str, ...], guard: str) -> str:
    assignments = ",".join(f"{column}=?" for column in columns)
    fence = " AND ".join([*(f"{key}=?" for key in keys), *([guard] if guard else [])])
    return f"UPDATE {table} SET {assignments} WHERE {fence}"  # noqa: S608 - our names


def update_many(
    connection: Connection,
    table: Table,
    columns: tuple[str, ...],
    keys: tuple[str, ...],
    rows: Sequence[tuple[Any, ...]],
    guard: str = "",
) -> int:
    """Update a row per element of `rows` and return how many matched.

    Args:
        connection: in a transaction.
        table: what to update.
        columns: to set; the first values of each row.
        keys: equal the remaining values of each row.
        rows: values, as many as columns and keys.
        guard: a literal condition that must hold as well: the fence that the database enforces.
    """
    if not rows:
        return 0
    return int(_execute(connection, _update(table.name, columns, keys, guard), rows, many=True).rowcount)


@lru_cache
def _delete(table: str, keys: tuple[str, ...]) -> str:
    return f"DELETE FROM {table} WHERE " + " AND ".join(f"{key}=?" for key in keys)  # noqa: S608 - our names


def delete_many(connection: Connection, table: Table, keys: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> int:
    """Delete the rows whose `keys` equal an element of `rows`; return how many."""
    if not rows:
        return 0
    return int(_execute(connection, _delete(table.name, keys), rows, many=True).rowcount)


def among(column: str) -> str:
    """Return the condition that `column` is among a list: bind it as `listed(values)`."""
    return f"{column} IN (SELECT value FROM json_each(?))"  # noqa: S608 - our names


def listed(values: Iterable[str | int]) -> str:
    """Return the one bound value that stands for a list of any length, so that the statement's text stays fixed."""
    return json.dumps(list(values))
