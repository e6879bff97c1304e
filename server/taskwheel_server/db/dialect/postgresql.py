"""PostgreSQL, by psycopg: any number of servers on one database; hot statements take binary arrays.

Imported only for such a URL. The driver's connections commit by themselves; the writing transaction is ours, for
BEGIN and the clock then take one round trip.
"""

from __future__ import annotations

import secrets
import select
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from itertools import count
from typing import Any, cast

import psycopg
from psycopg import errors
from psycopg.types.numeric import Int8BinaryDumper
from sqlalchemy import Connection, Engine, Table, create_engine, event
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.engine import URL
from sqlalchemy.engine.interfaces import Dialect as SQLAlchemyDialect

from taskwheel_server.db.dialect import shapes
from taskwheel_server.db.dialect.common import READERS, Batch, Columns, Derived, Question, SharedDialect
from taskwheel_server.db.dialect.posts import Posts
from taskwheel_server.errors import InvalidArgument

_DRIVER = "postgresql+psycopg"
# It turns a URL of several hosts into what the driver takes.
_SQLALCHEMY: SQLAlchemyDialect = PGDialect_psycopg()  # type: ignore[no-untyped-call]
# Seconds after which statements are planned anew, a dozen of them, 0.3 ms each, and servers that hang are looked for.
UPKEEP = 2.0
# Rows of a posted statement: so many are better written while we go on than later, when we wait for them.
WORTHWHILE = 50
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
    # Of several hosts the one that can write now: a standby is of no use.
    "target_session_attrs": "read-write",
}
# A server that hangs in the middle of a turn must not hold the others up for long: its turn is rolled back, then.
# Every statement of the wheel finds its rows by an index, however few there were when it was planned.
_WRITER = (
    *("lock_timeout = '5s'", "statement_timeout = '10s'", "idle_in_transaction_session_timeout = '5s'"),
    *("jit = off", "plan_cache_mode = force_generic_plan"),
    *("enable_seqscan = off", "enable_bitmapscan = off", "enable_hashjoin = off", "enable_mergejoin = off"),
)
_READER = ("jit = off", "statement_timeout = '30s'", "idle_in_transaction_session_timeout = '30s'")
_CHANNEL = "taskwheel"
# Of a writing transaction, held shared to its end.
_TURNS = "x'7461736b77686566'::bigint"
_NOTIFY = f"SELECT pg_notify('{_CHANNEL}', %b)".encode()
# How long a transaction waits for its server amid what that posts, or to be rid of an answer: to PostgreSQL it is not
# idle then, and no timeout ends it.
_HUNG = "5s"
_CUT_OFF = f"""
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND state = 'active' AND wait_event IN ('ClientRead', 'ClientWrite')
    AND state_change < clock_timestamp() - %s::interval AND pid = ANY(ARRAY(
        SELECT pid FROM pg_locks
        WHERE locktype = 'advisory' AND (classid::bigint << 32) + objid::bigint = {_TURNS}
    ))
""".encode()  # noqa: S608 - ours
_BEGIN_WRITING = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
# Of its own transactions a server has one at a time, also where a connection broke and its COMMIT arrives late.
_CLOCK = f"""
    SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
    FROM pg_advisory_xact_lock_shared({_TURNS}), pg_advisory_xact_lock({{own}})
"""  # noqa: S608 - ours
_BEGIN_READING = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


class PostgreSQLChannel:
    """LISTEN and NOTIFY."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        connection.execute(f"LISTEN {_CHANNEL}".encode())

    def wait(self, timeout: float, interrupted: int) -> list[str]:
        # What came with the answer to a statement is there already, and makes no file readable.
        told = list(self._connection.notifies(timeout=0))
        if not told:
            # Not select(), which knows no descriptor above 1,023: every caller of the server has one.
            ready = select.poll()
            for descriptor in (self._connection.fileno(), interrupted):
                ready.register(descriptor, select.POLLIN)
            ready.poll(max(timeout, 0) * 1000)
            told = list(self._connection.notifies(timeout=0))
        return [each.payload for each in told]

    def tell(self, text: str) -> None:
        self._connection.execute(_NOTIFY, [text])


class PostgreSQL(SharedDialect):
    """A database of a server that may have others."""

    name = "postgresql"
    # Read-only: what was the primary is a standby now.
    failures = (psycopg.OperationalError, psycopg.InterfaceError, errors.ReadOnlySqlTransaction)
    # A division by zero is what a fence does that has met a row which has moved.
    conflicts = (errors.DeadlockDetected, errors.SerializationFailure, errors.UniqueViolation, errors.DivisionByZero)

    def __init__(self) -> None:
        self._cursors = count()
        # Of the writing transactions whose answers are still to come.
        self._posts: dict[psycopg.Connection, Posts] = {}

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

    def writer(self, url: URL, *, pooled: bool) -> Engine:
        begin = _BEGIN_WRITING, _CLOCK.format(own=secrets.randbits(63))
        return _engine(url, 1, begin, _WRITER, prepare_threshold=None if pooled else 0)

    def reader(self, url: URL, *, pooled: bool) -> Engine:
        engine = _engine(url, READERS, (_BEGIN_READING,), _READER, prepare_threshold=None if pooled else 5)
        event.listen(engine, "begin", _begin_reading)
        return engine

    def begin(self, connection: Connection, questions: Sequence[Question]) -> int:
        driver = _driver(connection)
        if (now := time.monotonic()) >= connection.info.get("upkeep_time", 0.0):
            connection.info["upkeep_time"] = now + UPKEEP
            # What was planned for a table of a few pages is slow on one of many.
            driver.execute(b"DISCARD PLANS", prepare=False)
            driver.execute(_CUT_OFF, [_HUNG], prepare=False)
        posts = self._posts[driver] = Posts(driver)
        *settings, clock = connection.get_execution_options()["begin"]
        for statement in settings:
            driver.execute(statement, prepare=False)
        instant = Question(clock, ())
        for question in (instant, *questions):
            self._ask(driver, posts, question)
        self._await_posts(driver)
        return int(instant.rows[0][0])

    def commit(self, connection: Connection) -> None:
        driver = _driver(connection)
        driver.execute(b"COMMIT", prepare=False)
        self._await_posts(driver)

    def roll_back(self, connection: Connection) -> None:
        driver = _driver(connection)
        # What failed has been raised, and has failed all that came after it.
        with suppress(psycopg.Error):
            self._await_posts(driver)
        # Where the connection has gone, so has the transaction.
        with suppress(psycopg.OperationalError):
            driver.rollback()

    def _await_posts(self, driver: psycopg.Connection) -> None:
        if posts := self._posts.pop(driver, None):
            posts.close()

    def wait_for_turns(self, driver: psycopg.Connection) -> None:
        driver.execute(f"SELECT pg_advisory_xact_lock({_TURNS})".encode())

    def tell(self, driver: psycopg.Connection, text: str) -> None:
        self._posting(driver)
        driver.execute(_NOTIFY, [text])

    @contextmanager
    def listen(self, url: URL) -> Iterator[PostgreSQLChannel]:
        _, options = _SQLALCHEMY.create_connect_args(url)
        with psycopg.connect(**{**_CONNECT, **options}, autocommit=True) as connection:
            yield PostgreSQLChannel(connection)

    def interrupt(self, driver: psycopg.Connection) -> None:
        driver.cancel_safe(timeout=_CONNECT["connect_timeout"])

    def lock_schema(self, connection: Connection) -> None:
        _driver(connection).execute(_LOCK_SCHEMA, prepare=False)

    def execute(
        self, driver: psycopg.Connection, statement: str, values: Sequence[Any]
    ) -> psycopg.Cursor[tuple[Any, ...]]:
        return self._answered(driver, driver.cursor(binary=True).execute(_translated(statement), values))

    def execute_batch(
        self, driver: psycopg.Connection, batch: Batch, rows: Sequence[Sequence[Any]]
    ) -> psycopg.Cursor[tuple[Any, ...]]:
        text, given = shapes.shaped(batch, rows)
        return self._answered(driver, driver.cursor(binary=True).execute(text, given))

    def _answered(
        self, driver: psycopg.Connection, cursor: psycopg.Cursor[tuple[Any, ...]]
    ) -> psycopg.Cursor[tuple[Any, ...]]:
        self._await_posts(driver)
        return cursor

    def post(self, connection: Connection, statement: str | Batch, values: Sequence[Any], expected: int | None) -> None:
        driver = _driver(connection)
        posts = self._posting(driver)
        if isinstance(statement, str):
            driver.cursor(binary=True).execute(_translated(statement), values)
            return
        text, given = shapes.shaped(statement, values, expected)
        driver.cursor(binary=True).execute(text, given)
        if len(values) >= WORTHWHILE:
            posts.send()

    def ask(self, connection: Connection, question: Question) -> None:
        driver = _driver(connection)
        self._ask(driver, self._posting(driver), question)

    def _posting(self, driver: psycopg.Connection) -> Posts:
        return self._posts.get(driver) or self._posts.setdefault(driver, Posts(driver))

    def _ask(self, driver: psycopg.Connection, posts: Posts, question: Question) -> None:
        posts.note(driver.cursor(binary=True).execute(_translated(question.statement), question.values), question)

    def await_answers(self, connection: Connection) -> None:
        self._await_posts(_driver(connection))

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

    def insert(self, table: Table, columns: Columns, *, free: bool = False, derived: Derived = ()) -> Batch:
        return shapes.insert(table, columns, free=free, derived=derived)

    def update(self, table: Table, columns: Columns, keys: Columns, guard: str) -> Batch:
        return shapes.update(table, columns, keys, guard)

    def delete(self, table: Table, keys: Columns) -> Batch:
        return shapes.delete(table, keys)


def _driver(connection: Connection) -> psycopg.Connection:
    return cast("psycopg.Connection", connection.connection.driver_connection)


@lru_cache(maxsize=1024)
def _translated(statement: str) -> bytes:
    return statement.replace("%", "%%").replace("?", "%b").encode()


def _begin_reading(connection: Connection) -> None:
    statements = connection.get_execution_options()["begin"]
    _driver(connection).execute(_joined(*statements), prepare=False)


def _engine(
    url: URL, size: int, begin: Sequence[str], settings: Sequence[str], *, prepare_threshold: int | None
) -> Engine:
    """Return an engine whose transactions begin with `begin`, one statement or two, and have `settings`.

    Without statements prepared (`prepare_threshold` is None) its connections may be a pooler's, which gives each
    transaction whatever connection is free: then each brings its settings along as statements of its beginning, and
    leaves none behind.
    """
    session, transaction = ((), settings) if prepare_threshold is None else (settings, ())
    arguments = {name: value for name, value in _CONNECT.items() if name not in url.query}
    engine = create_engine(
        url,
        pool_size=size,
        max_overflow=0,
        pool_pre_ping=True,
        connect_args={**arguments, "autocommit": True, "prepare_threshold": prepare_threshold},
        execution_options={"begin": (begin[0], *(f"SET LOCAL {each}" for each in transaction), *begin[1:])},
    )

    @event.listens_for(engine, "connect")
    def connect(connection: psycopg.Connection, _record: object) -> None:
        connection.prepared_max = 512
        # Else an integer's size would be part of a statement's types, and each prepared many times.
        connection.adapters.register_dumper(int, Int8BinaryDumper)
        if session:
            connection.execute(_joined(*(f"SET {each}" for each in session)), prepare=False)

    return engine


def _joined(*statements: str) -> bytes:
    return "; ".join(statements).encode()
