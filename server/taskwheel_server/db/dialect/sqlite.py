"""SQLite: one file, one server, one writer; hot statements go through `executemany`."""

from __future__ import annotations

import fcntl
import json
import re
import sqlite3
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Connection, Engine, Table, create_engine, event
from sqlalchemy.engine import URL

from taskwheel_server.db.dialect.common import READERS, Batch, Closeable, Columns, Derived, Dialect, Question, StaleTurn
from taskwheel_server.errors import FailedPrecondition, InvalidArgument

# The one writer has no need of locks on rows.
_LOCKS = re.compile(r" FOR (?:NO KEY )?UPDATE(?: OF \w+)?(?: SKIP LOCKED)?")
_CONNECT = {"check_same_thread": False, "timeout": 10, "cached_statements": 512, "isolation_level": None}


class SQLite(Dialect):
    """A file in WAL mode."""

    name = "sqlite"
    exclusive = True
    failures = (sqlite3.OperationalError,)

    def check(self, url: URL) -> URL:
        if not url.database or url.database == ":memory:":
            raise InvalidArgument("database_url", "must name a SQLite file, such as sqlite:///taskwheel.db")
        return url

    def exists(self, url: URL) -> bool:
        return Path(url.database or "").exists()

    def lock(self, url: URL) -> Closeable:
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

    def writer(self, url: URL, *, pooled: bool) -> Engine:  # noqa: ARG002 - there is no pooler of files
        engine = create_engine(url, pool_size=1, max_overflow=0, connect_args=_CONNECT)
        # A WAL that one large turn or a long read made grow is cut again to 64 MiB.
        pragmas = "journal_mode=WAL", "synchronous=FULL", "cache_size=-65536", "journal_size_limit=67108864"
        _configure(engine, *pragmas)
        return engine

    def reader(self, url: URL, *, pooled: bool) -> Engine:  # noqa: ARG002
        engine = create_engine(url, pool_size=READERS, max_overflow=0, connect_args=_CONNECT)
        # Several of them, which read the mapped file at no cost: what one large List has read need not stay.
        _configure(engine, "query_only=ON", "cache_size=-8192")

        @event.listens_for(engine, "begin")
        def start(connection: Connection) -> None:
            connection.exec_driver_sql("BEGIN")

        return engine

    def begin(self, connection: Connection, questions: Sequence[Question]) -> None:
        _driver(connection).execute("BEGIN IMMEDIATE")
        for question in questions:
            self.ask(connection, question)

    def commit(self, connection: Connection) -> None:
        _driver(connection).commit()

    def roll_back(self, connection: Connection) -> None:
        _driver(connection).rollback()

    def wait_for_turns(self, driver: sqlite3.Connection) -> None:
        """Do nothing: there is no other server."""

    def tell(self, driver: sqlite3.Connection, text: str) -> None:
        """Do nothing: there is no other server."""

    def interrupt(self, driver: sqlite3.Connection) -> None:
        driver.interrupt()

    def lock_schema(self, connection: Connection) -> None:
        """Do nothing: the writing transaction is the only one."""

    def execute(self, driver: sqlite3.Connection, statement: str, values: Sequence[Any]) -> sqlite3.Cursor:
        text, lists = _translated(statement)
        if lists:
            values = [json.dumps(value) if isinstance(value, list) else value for value in values]
        return driver.execute(text, values)

    def execute_batch(self, driver: sqlite3.Connection, batch: Batch, rows: Sequence[Sequence[Any]]) -> sqlite3.Cursor:
        return driver.executemany(batch.text, rows)

    def post(self, connection: Connection, statement: str | Batch, values: Sequence[Any], expected: int | None) -> None:
        execute = self.execute_batch if isinstance(statement, Batch) else self.execute
        changed = execute(_driver(connection), statement, values).rowcount  # type: ignore[arg-type]
        if expected not in {None, changed}:
            raise StaleTurn

    def ask(self, connection: Connection, question: Question) -> None:
        question.rows = self.execute(_driver(connection), question.statement, question.values).fetchall()

    def await_answers(self, connection: Connection) -> None:
        """Do nothing: they have come."""

    def stream(
        self, driver: sqlite3.Connection, statement: str, values: Sequence[Any], chunk: int
    ) -> Iterator[Sequence[Any]]:
        cursor = self.execute(driver, statement, values)
        while rows := cursor.fetchmany(chunk):
            yield from rows

    def insert(self, table: Table, columns: Columns, *, free: bool = False, derived: Derived = ()) -> Batch:
        values = [f"?{number}" for number, _ in enumerate(columns, 1)]
        expressions = dict(derived)
        places = ",".join(
            expressions.get(column, value).format(*values) for column, value in zip(columns, values, strict=True)
        )
        otherwise = "" if free else " ON CONFLICT DO NOTHING"
        return Batch(f"INSERT INTO {table.name} ({','.join(columns)}) VALUES ({places}){otherwise}")  # noqa: S608 - our names

    def update(self, table: Table, columns: Columns, keys: Columns, guard: str) -> Batch:
        assignments = ",".join(f"{column}=?" for column in columns)
        fence = " AND ".join([*(f"{key}=?" for key in keys), *([guard] if guard else [])])
        return Batch(f"UPDATE {table.name} SET {assignments} WHERE {fence}")  # noqa: S608 - our names

    def delete(self, table: Table, keys: Columns) -> Batch:
        return Batch(f"DELETE FROM {table.name} WHERE " + " AND ".join(f"{key}=?" for key in keys))  # noqa: S608 - our names


def _driver(connection: Connection) -> sqlite3.Connection:
    return cast("sqlite3.Connection", connection.connection.driver_connection)


@lru_cache(maxsize=1024)
def _translated(statement: str) -> tuple[str, bool]:
    """Return the statement as SQLite reads it, and whether it has lists among its values: they go as JSON."""
    text = _LOCKS.sub("", statement)
    return text.replace("= ANY(?)", "IN (SELECT value FROM json_each(?))"), "= ANY(?)" in text


def _configure(engine: Engine, *pragmas: str) -> None:
    @event.listens_for(engine, "connect")
    def connect(connection: Any, _record: object) -> None:
        for pragma in (*pragmas, "temp_store=MEMORY", "mmap_size=268435456"):
            connection.execute(f"PRAGMA {pragma}")
