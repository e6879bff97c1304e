"""What only PostgreSQL does: its arrays, its clock, its connections that break."""

from __future__ import annotations

import os
import resource
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from queue import Queue
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import errors
from sqlalchemy import BigInteger, Boolean, Column, Double, Integer, LargeBinary, SmallInteger, create_engine, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from taskwheel_server.clock import HOUR, SECOND, ManualClock, SystemClock
from taskwheel_server.db import Connection, task_reads
from taskwheel_server.db.dialect import dialect_of, execute, fetch, fetch_value, post, stream
from taskwheel_server.db.dialect.arrays import encoder, type_name
from taskwheel_server.db.dialect.common import SharedDialect
from taskwheel_server.db.dialect.types import string
from taskwheel_server.db.hints import Hint
from taskwheel_server.db.store import Store
from taskwheel_server.errors import Unavailable
from taskwheel_server.wheel.commands import AdmitRuns
from tests.databases import PostgreSQLDatabases
from tests.wheel.breaker import Breaker, Point
from tests.wheel.handwheel import START, HandWheel

TYPES: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (string(8), st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))),
    (BigInteger(), st.integers(-(2**63), 2**63 - 1)),
    (Integer(), st.integers(-(2**31), 2**31 - 1)),
    (SmallInteger(), st.integers(-(2**15), 2**15 - 1)),
    (Boolean(), st.booleans()),
    (Double(), st.floats(allow_nan=False)),
    (LargeBinary(), st.binary()),
]


@pytest.fixture
def database_url(postgresql: PostgreSQLDatabases) -> str:
    return postgresql.fresh()


@pytest.fixture
def wheel(database_url: str) -> Iterator[HandWheel]:
    wheel = HandWheel(database_url, ManualClock(START))
    yield wheel
    wheel.close()


@pytest.fixture(scope="module")
def driver(postgresql: PostgreSQLDatabases) -> Any:
    return postgresql._connection


@pytest.mark.parametrize(("kind", "values"), TYPES, ids=lambda each: type(each).__name__)
def test_an_array_holds_what_was_put_in(driver: Any, kind: Any, values: st.SearchStrategy[Any]) -> None:
    column = Column("c", kind)

    @given(st.lists(values | st.none(), min_size=1) | st.tuples(values | st.none(), st.integers(1, 9)))
    def hold(given: Any) -> None:
        column_of_rows = tuple(given) if isinstance(given, list) else (given[0],) * given[1]
        query = f"SELECT * FROM unnest(%b::{type_name(column)}[])"
        found = driver.execute(query, [encoder(column)(column_of_rows)]).fetchall()
        assert [row[0] for row in found] == list(column_of_rows)

    hold()


@pytest.mark.parametrize(
    "hosts",
    [
        "postgresql://ann:p%40ss@one:1,two:2,three:3/db?target_session_attrs=any",
        "postgresql+psycopg://ann:p%40ss@one:1,two:2,three:3/db?target_session_attrs=any",
        "postgresql+psycopg://ann:p%40ss@/db?host=one:1&host=two:2&host=three:3&target_session_attrs=any",
        "postgresql+psycopg://ann:p%40ss@/db?host=one,two,three&port=1,2,3&target_session_attrs=any",
    ],
)
def test_all_hosts_of_a_url_reach_the_driver(monkeypatch: pytest.MonkeyPatch, hosts: str) -> None:
    dialect, url = dialect_of(hosts)
    assert isinstance(dialect, SharedDialect)
    tried = []

    def connect(*_: object, **arguments: Any) -> None:
        tried.append({name: arguments[name] for name in ("host", "port", "user", "password", "dbname")})
        assert arguments["target_session_attrs"] == "any"
        raise psycopg.OperationalError

    monkeypatch.setattr(psycopg, "connect", connect)
    with pytest.raises(psycopg.OperationalError), dialect.listen(url):
        pass
    for engine in (dialect.writer(url, pooled=False), dialect.reader(url, pooled=True)):
        with pytest.raises(OperationalError):
            engine.connect()
    assert tried == [{"host": "one,two,three", "port": "1,2,3", "user": "ann", "password": "p@ss", "dbname": "db"}] * 3


def test_the_first_host_of_a_url_may_be_gone(database_url: str) -> None:
    url = make_url(database_url)
    hosts = f"/nowhere,{url.query.get('host', url.host)}"
    several = url.set(host=None).update_query_dict({"host": hosts}).render_as_string(hide_password=False)
    store = Store(several, SystemClock())
    heard = threading.Event()
    store.listen(lambda _: heard.set())
    assert heard.wait(10)
    assert store.read(lambda connection: fetch_value(connection, "SELECT 1")) == 1
    store.close()


def test_what_goes_through_a_pooler_brings_its_settings_and_leaves_nothing(database_url: str) -> None:
    store = Store(database_url, SystemClock(), database_url)
    query = "SELECT current_setting(?)"

    def timeout(connection: Any) -> Any:
        return [fetch_value(connection, query, "statement_timeout") for _ in range(10)][-1]

    with store.write() as connection:
        assert timeout(connection) == "10s"
        raw: Any = connection.connection.driver_connection
    assert store.read(timeout) == "30s"
    assert raw.execute("SHOW statement_timeout").fetchone() == ("0",)
    assert raw.execute("SELECT count(*) FROM pg_prepared_statements").fetchone() == (0,)
    store.close()


@pytest.mark.parametrize("hours", [-1, 1])
def test_time_is_the_database_s(database_url: str, hours: int) -> None:
    clock = SystemClock(lambda: time.time_ns() + hours * HOUR * 1000)
    store = Store(database_url, clock)
    for _ in range(2):
        with store.write() as connection:
            there = fetch_value(connection, "SELECT (extract(epoch FROM now()) * 1000000)::bigint")
            assert 0 <= clock.now() - there < SECOND
        assert 0 <= clock.now() - there < 10 * SECOND
    store.close()


def test_a_clock_cranked_by_hand_stays_where_it_is(wheel: HandWheel) -> None:
    wheel.task()
    assert wheel.run().create_time == START


def kill_connections(driver: Any, wheel: HandWheel) -> int:
    """End every connection to the wheel's database; return how many there were."""
    query = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = %s"
    [killed] = driver.execute(query, [wheel.database_url.rpartition("/")[2].partition("?")[0]]).fetchone()
    return int(killed)


def test_a_wheel_whose_connections_are_gone_goes_on_with_others(wheel: HandWheel, driver: Any) -> None:
    wheel.task()
    for _ in range(3):
        admitted = wheel.run()
        assert wheel.get(admitted).uid == admitted.uid
        assert kill_connections(driver, wheel) >= 2
        # Whatever became of the turn before: it is carried out once.
        again = wheel.run(request_id="r", request_digest=b"")
        assert kill_connections(driver, wheel) >= 1
        assert len(wheel.runs()) == len({run.uid for run in wheel.runs()})
        assert again.uid in {run.uid for run in wheel.runs()}


@pytest.mark.parametrize(
    "error",
    [errors.DeadlockDetected, errors.SerializationFailure, errors.UniqueViolation],
    ids=lambda each: each.__name__,
)
@pytest.mark.parametrize("point", [Point.STATEMENT, Point.BEFORE_COMMIT])
def test_a_turn_that_meets_another_server_s_is_repeated(
    wheel: HandWheel, point: Point, error: Callable[[], BaseException]
) -> None:
    wheel.task()
    for number in range(1, 5):
        with Breaker(point, number, error) as breaker:
            breaker.watch(wheel.store)
            [run] = wheel.call(AdmitRuns(runs=[wheel.new_run()]))
        assert wheel.get(run).state is run.state
    assert len(wheel.runs()) == 4


@pytest.mark.parametrize("error", [psycopg.OperationalError, psycopg.InterfaceError, errors.ReadOnlySqlTransaction])
def test_a_connection_that_failed_is_not_used_again(wheel: HandWheel, error: type[Exception]) -> None:
    pid = "SELECT pg_backend_pid()"
    with wheel.store.write() as connection:
        before = fetch_value(connection, pid)
    with pytest.raises(Unavailable), wheel.store.write():
        raise error
    with wheel.store.write() as connection:
        assert fetch_value(connection, pid) != before


def test_a_large_answer_is_read_as_far_as_it_is_wanted(wheel: HandWheel) -> None:
    def some(connection: Any) -> list[int]:
        rows = (stream(connection, "SELECT generate_series(1, ?)", 10**9, chunk=7) for _ in range(2))
        return [next(row)[0] for row in rows for _ in range(10)]

    def all_(connection: Any) -> list[int]:
        return [row[0] for row in stream(connection, "SELECT generate_series(1, ?)", 14, chunk=7)]

    assert wheel.store.read(some) == list(range(1, 11)) * 2
    assert wheel.store.read(all_) == list(range(1, 15))


@pytest.fixture
def heard(wheel: HandWheel) -> Queue[Hint]:
    """What the store hears of others, from when it has found out that hints arrive."""
    heard: Queue[Hint] = Queue()
    wheel.store.listen(heard.put)
    assert heard.get(timeout=20).untold
    return heard


def say(driver_url: str, text: str) -> None:
    with psycopg.connect(driver_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("SELECT pg_notify('taskwheel', %s)", [text])


@pytest.mark.parametrize(
    "text",
    ["", "no JSON", "[]", "7", "{}", '{"origin": []}', '{"origin": "x", "ready": [1]}', '{"origin": "x", "ready": 1}'],
)
def test_what_no_server_of_ours_says_is_passed_over(wheel: HandWheel, heard: Queue[Hint], text: str) -> None:
    say(wheel.database_url, text)
    say(wheel.database_url, Hint(sequences={"default": 7}).dump("other"))
    while (hint := heard.get(timeout=20)).sequences != {"default": 7}:
        assert hint.untold


def test_hints_that_are_lost_are_logged_once_with_the_reason_and_so_is_their_return(
    wheel: HandWheel, heard: Queue[Hint], monkeypatch: pytest.MonkeyPatch
) -> None:
    dialect: Any = type(wheel.store._dialect)
    refusals = iter(["no route to host"] * 3)

    def listen(self: Any, url: URL, listen: Any = dialect.listen) -> Any:
        if refusal := next(refusals, None):
            raise psycopg.OperationalError(refusal)
        return listen(self, url)

    monkeypatch.setattr(dialect, "listen", listen)
    monkeypatch.setattr("taskwheel_server.db.hints.BACK_OFF", 0)
    listening = "datname = current_database() AND pid <> pg_backend_pid() AND query ~* 'listen|notify'"
    with capture_logs() as logs:
        with wheel.store.write() as connection:
            fetch_value(connection, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {listening}")
        assert heard.get(timeout=20).untold
    assert [line["event"] for line in logs] == ["hints_lost", "hints_heard"]
    assert "connection" in logs[0]["reason"]


def test_hints_are_heard_where_more_than_1024_files_are_open(database_url: str) -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(limits[0], min(limits[1], 2048)), limits[1]))
    dialect, url = dialect_of(database_url)
    assert isinstance(dialect, SharedDialect)
    with ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, limits)
        interrupted, interrupt = os.pipe()
        for descriptor in (interrupted, interrupt, *(os.dup(interrupt) for _ in range(1100))):
            stack.callback(os.close, descriptor)
        channel = stack.enter_context(dialect.listen(url))
        assert channel.wait(0, interrupted) == []
        say(database_url, "news")
        assert channel.wait(20, interrupted) == ["news"]


def test_no_turn_waits_for_ever_for_another_server_s(wheel: HandWheel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taskwheel_server.db.dialect.postgresql._WRITER", ("lock_timeout = '100ms'",))
    wheel.restart()
    wheel.task()
    engine = create_engine(wheel.database_url)
    with engine.begin() as connection:
        connection.execute(text("LOCK TABLE runs"))
        with pytest.raises(Unavailable):
            wheel.run()
    engine.dispose()
    assert wheel.run().uid == wheel.runs()[0].uid


def test_the_last_run_of_a_task_is_not_looked_for_among_those_of_another(
    wheel: HandWheel, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel.task("busy")
    for _ in range(4):
        wheel.run_many(500, "busy")
    idle = wheel.task("idle")
    with wheel.store.write() as connection:
        execute(connection, "ANALYZE runs")
    plan: list[str] = []

    def explain(connection: Connection, statement: str, *values: Any) -> list[Any]:
        plan.extend(row[0] for row in fetch(connection, f"EXPLAIN {statement}", *values))
        return []

    monkeypatch.setattr(task_reads, "fetch", explain)
    wheel.store.read(task_reads.last_runs, [idle.uid], 0)
    for index in ("runs_pending", "runs_leased", "runs_ended"):
        assert any(f"Scan Backward using {index}" in line for line in plan), plan


@pytest.fixture
def stores(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Store]]:
    """Three servers' stores that cut off, at every turn, whoever has hung for 20 ms."""
    monkeypatch.setattr("taskwheel_server.db.dialect.postgresql.UPKEEP", 0)
    monkeypatch.setattr("taskwheel_server.db.dialect.postgresql._HUNG", "20ms")
    stores = [Store(database_url, SystemClock()) for _ in range(3)]
    yield stores
    for store in stores:
        store.close()


CHANGE = "UPDATE namespaces SET sequence = sequence + 1"
CHANGING = "SELECT clock_timestamp() - state_change > interval '20ms' FROM pg_stat_activity WHERE query = ?"


def turn_until(store: Store, expected: object) -> None:
    """Turn until a CHANGE has been under way for 20 ms (True), or its session is gone (None)."""
    for _ in range(2000):
        with store.write() as connection:
            if fetch_value(connection, CHANGING, CHANGE) is expected:
                break


def test_a_server_that_hangs_amid_what_it_posts_is_cut_off(stores: list[Store]) -> None:
    hung, other, _ = stores

    def turn() -> None:
        with hung.write() as connection:
            post(connection, CHANGE)
            turn_until(other, None)
            with other.write() as beside:
                assert execute(beside, CHANGE) == 1

    with pytest.raises(Unavailable):
        turn()
    assert other.read(lambda reader: fetch_value(reader, "SELECT sequence FROM namespaces")) == 1


def test_a_server_whose_statement_takes_long_is_not_cut_off(stores: list[Store]) -> None:
    slow, blocking, other = stores
    with slow.write() as connection:
        with blocking.write() as beside:
            fetch_value(beside, "SELECT 1 FROM namespaces FOR UPDATE")
            post(connection, CHANGE)
            for _ in range(2):
                turn_until(other, True)
        assert fetch_value(connection, "SELECT sequence FROM namespaces") == 1
