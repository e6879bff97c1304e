"""The schema: made, brought up to date, or left alone."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine
from sqlalchemy.engine import make_url

from taskwheel_server.clock import ManualClock
from taskwheel_server.db.schema import stored_version
from taskwheel_server.db.store import Store
from taskwheel_server.db.tables import SCHEMA_VERSION
from tests.databases import Databases, PostgreSQLDatabases, SQLiteFiles

FIRST = Path(__file__).parent
_SQLITE = (
    (
        'SELECT m.name, c.name, c.type, c."notnull", c.dflt_value, c.pk'
        " FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table' ORDER BY 1, 2"
    ),
    "SELECT tbl_name, name, sql FROM sqlite_master WHERE type = 'index' ORDER BY 1, 2",
)
_POSTGRESQL = (
    (
        "SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, c.oid),"
        " l.collname, c.reloptions FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0"
        " LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum"
        " LEFT JOIN pg_collation l ON l.oid = a.attcollation"
        " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND NOT a.attisdropped ORDER BY 1, 2"
    ),
    "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1, 2",
)


def with_connection(url: str, function: Any) -> Any:
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            return function(connection)
    finally:
        engine.dispose()


def described(url: str) -> list[tuple[Any, ...]]:
    """Return all columns and indexes."""

    def describe(connection: Connection) -> list[tuple[Any, ...]]:
        queries = _SQLITE if connection.dialect.name == "sqlite" else _POSTGRESQL
        return [tuple(map(str, row)) for query in queries for row in connection.exec_driver_sql(query)]

    return list(with_connection(url, describe))


def first_version(databases: Databases) -> str:
    """Return the URL of a database that a server of schema 1 has made and used."""
    url = databases.empty()
    script = FIRST / f"version_1.{make_url(url).get_backend_name()}.sql"
    statements = [each for line in script.read_text().splitlines() if (each := line.strip().rstrip(";"))]
    statements += [
        "INSERT INTO meta (key, value) VALUES ('schema_version', '1')",
        "INSERT INTO namespaces (name, sequence, create_time) VALUES ('default', 7, 1)",
    ]

    def make(connection: Connection) -> None:
        for statement in statements:
            if not statement.startswith("--"):
                connection.exec_driver_sql(statement)

    with_connection(url, make)
    return url


def test_a_migrated_database_is_as_a_fresh_one(databases: Databases, clock: ManualClock) -> None:
    migrated, fresh = first_version(databases), databases.empty()
    assert (stored_version(migrated), stored_version(fresh)) == (1, None)
    for url in (migrated, fresh):
        Store(url, clock).close()
        assert stored_version(url) == SCHEMA_VERSION
    assert described(migrated) == described(fresh)


def test_a_migration_keeps_what_is_stored(databases: Databases, clock: ManualClock) -> None:
    url = first_version(databases)
    for _ in range(2):
        Store(url, clock).close()
        rows = with_connection(url, lambda each: each.exec_driver_sql("SELECT name, sequence FROM namespaces").all())
        assert [tuple(row) for row in rows] == [("default", 7)]


def test_a_migration_that_fails_changes_nothing(
    databases: Databases, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = first_version(databases)
    before = described(url)

    def fail(op: Any) -> None:
        op.execute("ALTER TABLE runs ADD COLUMN half TEXT")
        op.execute("ALTER TABLE runs ADD COLUMN half TEXT")

    with monkeypatch.context() as patch:
        patch.setattr("taskwheel_server.db.migrations.version_2.upgrade", fail)
        with pytest.raises(Exception, match="half"):
            Store(url, clock)
    assert described(url) == before
    assert stored_version(url) == 1
    Store(url, clock).close()
    assert stored_version(url) == SCHEMA_VERSION


@pytest.mark.parametrize("version", [None, 1])
def test_servers_that_start_at_once_upgrade_it_once(
    postgresql: PostgreSQLDatabases, clock: ManualClock, version: int | None
) -> None:
    url = first_version(postgresql) if version else postgresql.empty()
    with ThreadPoolExecutor(5) as threads:
        for store in threads.map(lambda _: Store(url, clock), range(5)):
            store.close()
    assert stored_version(url) == SCHEMA_VERSION


def test_texts_are_compared_as_bytes(postgresql: PostgreSQLDatabases) -> None:
    collations = {row[5] for row in described(postgresql.fresh()) if len(row) > 5}
    assert collations == {"C", "None"}


def test_a_start_on_a_sound_file_loads_neither_migrations_nor_another_driver(sqlite: SQLiteFiles) -> None:
    program = """
import sys
from taskwheel_server.clock import SystemClock
from taskwheel_server.db.store import Store
Store(sys.argv[1], SystemClock()).close()
print(*({"alembic", "psycopg"} & set(sys.modules)))
"""
    for url in (sqlite.fresh(), sqlite.empty()):
        loaded = subprocess.run([sys.executable, "-c", program, url], capture_output=True, text=True, check=True)
        assert loaded.stdout.split() == []
