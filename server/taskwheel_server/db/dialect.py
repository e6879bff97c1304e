"""All that differs between databases: opening, locking, transactions and the hot statements as fixed text.

Hot statements are executed many rows at a time as plain driver text: for batches of a hundred rows that is twice as
fast as compiled constructs. Everything else in `db` is SQLAlchemy Core and knows no dialect.
"""

from __future__ import annotations

import fcntl
import json
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, event
from sqlalchemy.engine import URL, make_url

from taskwheel_server.errors import FailedPrecondition, InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import IO

    from sqlalchemy import Connection, CursorResult, Engine, Table

READERS = 4


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
        FailedPrecondition: DATABASE_IN_USE, another server holds it.
    """
    file = Path(f"{url.database}.lock").open("wb")  # noqa: SIM115 - held as long as the server lives
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise FailedPrecondition("DATABASE_IN_USE", "another server is using this database file") from None
    return file


def writer(url: URL) -> Engine:
    """Return the engine of the one writing connection: WAL, and each commit on the disk before it is acknowledged."""
    engine = create_engine(url, pool_size=1, max_overflow=0, connect_args=_CONNECT)
    _configure(engine, "BEGIN IMMEDIATE", "PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL")
    return engine


def reader(url: URL) -> Engine:
    """Return the engine of the reading connections: they see whole commits and cannot write."""
    engine = create_engine(url, pool_size=READERS, max_overflow=0, connect_args=_CONNECT)
    _configure(engine, "BEGIN", "PRAGMA query_only=ON")
    return engine


_CONNECT = {"check_same_thread": False, "timeout": 10, "cached_statements": 512, "isolation_level": None}


def _configure(engine: Engine, begin: str, *pragmas: str) -> None:
    @event.listens_for(engine, "connect")
    def connect(connection: Any, _record: object) -> None:
        for pragma in (*pragmas, "PRAGMA cache_size=-65536", "PRAGMA temp_store=MEMORY", "PRAGMA mmap_size=268435456"):
            connection.execute(pragma)

    @event.listens_for(engine, "begin")
    def start(connection: Connection) -> None:
        connection.exec_driver_sql(begin)


@lru_cache
def _insert(table: str, columns: tuple[str, ...]) -> str:
    places = ",".join("?" * len(columns))
    return f"INSERT INTO {table} ({','.join(columns)}) VALUES ({places}) ON CONFLICT DO NOTHING"  # noqa: S608 - our names


def insert_many(connection: Connection, table: Table, columns: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> int:
    """Insert `rows`, passing over those that any unique key already holds. Return how many went in."""
    if not rows:
        return 0
    return connection.exec_driver_sql(_insert(table.name, columns), list(rows)).rowcount


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
    return connection.exec_driver_sql(_update(table.name, columns, keys, guard), list(rows)).rowcount


@lru_cache
def _delete(table: str, keys: tuple[str, ...]) -> str:
    return f"DELETE FROM {table} WHERE " + " AND ".join(f"{key}=?" for key in keys)  # noqa: S608 - our names


def delete_many(connection: Connection, table: Table, keys: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> int:
    """Delete the rows whose `keys` equal an element of `rows`; return how many."""
    if not rows:
        return 0
    return connection.exec_driver_sql(_delete(table.name, keys), list(rows)).rowcount


def query(connection: Connection, statement: str, *values: Any) -> CursorResult[*tuple[Any, ...]]:
    """Execute one fixed statement of ours, its `?` bound to `values` in order."""
    return connection.exec_driver_sql(statement, values)


def among(column: str) -> str:
    """Return the condition that `column` is among a list: bind it as `listed(values)`."""
    return f"{column} IN (SELECT value FROM json_each(?))"  # noqa: S608 - our names


def listed(values: Iterable[str | int]) -> str:
    """Return the one bound value that stands for a list of any length, so that the statement's text stays fixed."""
    return json.dumps(list(values))
