"""All that differs between databases, and the one door through which statements of ours go.

common      what a database must bring          types     columns of tables, where databases differ
sqlite, postgresql    the databases             shapes, arrays, posts    statements as PostgreSQL takes them

Hot statements are executed many rows at a time as plain driver text: for batches of a hundred rows that is twice as
fast as compiled constructs. Everything else in `db` is SQLAlchemy Core and knows no dialect.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.engine import URL, make_url

from taskwheel_server.db.dialect.common import Batch, Columns, Derived, Dialect, Question
from taskwheel_server.errors import InvalidArgument

# Several hosts with a port each, as PostgreSQL's own tools write them: scheme and user, hosts, database, parameters.
_HOSTS = re.compile(r"^(postgres[^:/]*://(?:[^@/]*@)?)([^,@/?]+:[0-9]+(?:,[^,@/?]+:[0-9]+)+)/([^?]*)(?:\?(.*))?$")


@lru_cache
def _dialect(name: str) -> Dialect:
    # Imported when it is the one: the driver of the other costs as much as the rest of a cold start.
    match name:
        case "sqlite":
            from taskwheel_server.db.dialect.sqlite import SQLite  # noqa: PLC0415

            return SQLite()
        case "postgresql" | "postgres":
            from taskwheel_server.db.dialect.postgresql import PostgreSQL  # noqa: PLC0415

            return PostgreSQL()
        case _:
            raise InvalidArgument("database_url", "must begin with sqlite:/// or postgresql://")


def dialect_of(text: str) -> tuple[Dialect, URL]:
    """Return the kind of database that a URL names, and the URL to open.

    Raises:
        InvalidArgument: it is no such URL; names `database_url`.
    """
    try:
        url = make_url(_HOSTS.sub(_spread, text))
    except Exception:  # noqa: BLE001 - whatever the parser dislikes; its message may hold the password
        raise InvalidArgument("database_url", "is not a database URL such as sqlite:///taskwheel.db") from None
    dialect = _dialect(url.get_backend_name())
    return dialect, dialect.check(url)


def _spread(match: re.Match[str]) -> str:
    """Say the hosts as SQLAlchemy has them, one parameter each."""
    start, hosts, database, query = match.groups()
    return f"{start}/{database}?" + "&".join([*(f"host={host}" for host in hosts.split(",")), query or ""]).rstrip("&")


@contextmanager
def transaction(connection: Connection, questions: Sequence[Question] = ()) -> Iterator[int | None]:
    """Hold the writing transaction: committed at the end, rolled back on any exception.

    Not SQLAlchemy's own, which costs as much as ten statements. Gives the database's instant, µs, if it has a clock.

    Args:
        connection: of the writer.
        questions: answered by the time that it has begun.
    """
    try:
        yield _begin(connection, questions)
        _commit(connection)
    except BaseException:
        _dialect(connection.dialect.name).roll_back(connection)
        raise


def wait_for_turns(connection: Connection) -> None:
    """Wait until the writing transactions of other servers have ended; they begin no others before ours ends."""
    _dialect(connection.dialect.name).wait_for_turns(connection.connection.driver_connection)


def tell(connection: Connection, text: str) -> None:
    """Have all who listen told something when the transaction commits."""
    _dialect(connection.dialect.name).tell(connection.connection.driver_connection, text)


def interrupt(connection: Connection) -> None:
    """Make the statement that another thread executes on this connection fail, if there is one."""
    _dialect(connection.dialect.name).interrupt(connection.connection.driver_connection)


def _begin(connection: Connection, questions: Sequence[Question]) -> int | None:
    return _dialect(connection.dialect.name).begin(connection, questions)


def _commit(connection: Connection) -> None:
    _dialect(connection.dialect.name).commit(connection)


def _execute(connection: Connection, statement: str | Batch, values: Sequence[Any]) -> Any:
    """Execute a statement of ours on the driver's own connection: SQLAlchemy's result costs more than most of ours."""
    dialect = _dialect(connection.dialect.name)
    driver = connection.connection.driver_connection
    if isinstance(statement, Batch):
        return dialect.execute_batch(driver, statement, values)
    return dialect.execute(driver, statement, values)


def _post(connection: Connection, statement: str | Batch, values: Sequence[Any], expected: int | None) -> None:
    _dialect(connection.dialect.name).post(connection, statement, values, expected)


def _ask(connection: Connection, question: Question) -> None:
    _dialect(connection.dialect.name).ask(connection, question)


def execute(connection: Connection, statement: str, *values: Any) -> int:
    """Execute one fixed statement of ours, its `?` bound to `values` in order; return how many rows it changed."""
    return int(_execute(connection, statement, values).rowcount)


def post(connection: Connection, statement: str, *values: Any) -> None:
    """Execute one fixed statement of ours in the writing transaction, whatever it changes."""
    _post(connection, statement, values, None)


def ask(connection: Connection, statement: str, *values: Any) -> Question:
    """Return a fixed statement of ours, executed in the writing transaction; its answer comes by `await_answers`."""
    question = Question(statement, values)
    _ask(connection, question)
    return question


def await_answers(connection: Connection) -> None:
    """Wait for the answers to all that was asked in the writing transaction; its commit does so as well."""
    _dialect(connection.dialect.name).await_answers(connection)


def answer(connection: Connection, questions: Iterable[Question]) -> None:
    """Have questions answered in the writing transaction, now."""
    for question in questions:
        _ask(connection, question)
    await_answers(connection)


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


def stream(connection: Connection, statement: str, *values: Any, chunk: int = 32) -> Iterator[Sequence[Any]]:
    """Yield the rows, at most `chunk` read ahead: for rows that may be large, of which not all may be wanted."""
    dialect = _dialect(connection.dialect.name)
    return dialect.stream(connection.connection.driver_connection, statement, values, chunk)


@lru_cache
def _insert(dialect: str, table: Table, columns: Columns, *, free: bool = False, derived: Derived = ()) -> Batch:
    return _dialect(dialect).insert(table, columns, free=free, derived=derived)


def insert_many(connection: Connection, table: Table, columns: Columns, rows: Sequence[tuple[Any, ...]]) -> int:
    """Insert `rows`, passing over those that any unique key already holds. Return how many went in."""
    if not rows:
        return 0
    return int(_execute(connection, _insert(connection.dialect.name, table, columns), rows).rowcount)


def insert_all(connection: Connection, table: Table, columns: Columns, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert `rows` in the writing transaction, which ends with StaleTurn if a unique key already holds one of them."""
    if rows:
        _post(connection, _insert(connection.dialect.name, table, columns), rows, len(rows))


def insert_missing(connection: Connection, table: Table, columns: Columns, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert `rows` in the writing transaction, passing over those that any unique key already holds."""
    if rows:
        _post(connection, _insert(connection.dialect.name, table, columns), rows, None)


def insert_free(
    connection: Connection, table: Table, columns: Columns, rows: Sequence[tuple[Any, ...]], derived: Derived = ()
) -> None:
    """Insert `rows` in the writing transaction, whose locks keep their unique keys free.

    Args:
        connection: in the writing transaction.
        table: where.
        columns: that each row has.
        rows: their values.
        derived: columns that get an expression in place of the row's value, which has the row's values by number.
    """
    if rows:
        _post(connection, _insert(connection.dialect.name, table, columns, free=True, derived=derived), rows, None)


@lru_cache
def _update(dialect: str, table: Table, columns: Columns, keys: Columns, guard: str) -> Batch:
    return _dialect(dialect).update(table, columns, keys, guard)


def update_all(
    connection: Connection,
    table: Table,
    columns: Columns,
    keys: Columns,
    rows: Sequence[tuple[Any, ...]],
    guard: str = "",
) -> None:
    """Update a row per element of `rows`; the transaction ends with StaleTurn if one of them does not match.

    Args:
        connection: in the writing transaction.
        table: what to update.
        columns: to set; the first values of each row.
        keys: equal the remaining values of each row.
        rows: values, as many as columns and keys; no two with the same keys.
        guard: a literal condition that must hold as well: the fence that the database enforces.
    """
    if rows:
        _post(connection, _update(connection.dialect.name, table, columns, keys, guard), rows, len(rows))


@lru_cache
def _delete(dialect: str, table: Table, keys: Columns) -> Batch:
    return _dialect(dialect).delete(table, keys)


def delete_many(connection: Connection, table: Table, keys: Columns, rows: Sequence[tuple[Any, ...]]) -> None:
    """Delete, in the writing transaction, the rows whose `keys` equal an element of `rows`."""
    if rows:
        _post(connection, _delete(connection.dialect.name, table, keys), rows, None)


def among(column: str) -> str:
    """Return the condition that `column` is among a list: bind it as `listed(values)`."""
    return f"{column} = ANY(?)"


def listed(values: Iterable[Any]) -> list[Any]:
    """Return the one bound value that stands for a list of any length, so that the statement's text stays fixed."""
    return list(values)
