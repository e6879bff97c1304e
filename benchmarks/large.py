"""What is left of taskwheel's speed on a PostgreSQL that holds a million schedules and ten million finished runs.

python -m benchmarks.large [--scale FACTOR]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
from sqlalchemy import Table

import taskwheel
from benchmarks.peers.scenarios import Bench, Driver, Readings
from benchmarks.peers.site import Site
from benchmarks.peers.systems import OURS
from benchmarks.peers.table import FIGURES
from benchmarks.peers.toolchains import BUILD
from taskwheel_server.db import tables

TASKS = 1_000_000
RUNS = 10_000_000
# No figure may fall by more, and a replica must not grow beyond.
KEPT = 0.75
MEMORY = 150 << 20
SCENARIOS: tuple[Callable[[Bench], Readings], ...] = (
    Bench.drain,
    Bench.at_once,
    Bench.at_once_single,
    Bench.idle,
    Bench.schedules,
)
# As uuid7 has it: in the order of time.
_UID = "substr(h, 1, 8) || '-' || substr(h, 9) || '-7000-8000-' || lpad(to_hex(n), 12, '0')"
_HEX = "lpad(to_hex({time} / 1000), 12, '0')"
# Within retention, so that there is nothing to sweep; schedules come long after.
_AGO = "pattern.create_time - 518400000000 + n * (500000000000 / {count})"
_TASK = {"uid": _UID, "request_id": _UID, "task_id": "'past-' || n", "next_time": "pattern.next_time + 86400000000 + n"}
_RUN = {"uid": _UID, "request_id": _UID} | dict.fromkeys(
    ("create_time", "schedule_time", "start_time", "end_time", "update_time", "state_change_time"), _AGO
)


@dataclass(frozen=True)
class Standing(Bench):
    """Measures where the services stand, and each scenario finds what those before it have left."""

    site: Site | None = None

    @contextmanager
    def _site(self) -> Iterator[Site]:
        assert self.site
        yield self.site


def main() -> int:
    """Measure and print; return 1 if a figure falls by more than a quarter."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.large", description="Measure on a large database.")
    parser.add_argument("--scale", type=float, default=1.0, metavar="FACTOR", help="of the amount of rows and of work")
    scale = parser.parse_args().scale
    BUILD.mkdir(exist_ok=True)
    log = BUILD / "log"
    with _standing(log, scale) as bench:
        empty = _measure(bench)
    with _standing(log, scale) as bench:
        begun = time.monotonic()
        fill(bench, int(TASKS * scale), int(RUNS * scale))
        print(f"filled in {time.monotonic() - begun:.0f} s, {_size(bench)}", file=sys.stderr, flush=True)
        full = _measure(bench)
        assert bench.site
        memory = bench.site.memory
    kept: list[float] = []
    for figure in FIGURES:
        if (before := empty.get(figure.name)) and (after := full.get(figure.name)) and before.value and after.value:
            kept.append(after.value / before.value if figure.rising else before.value / after.value)
            print(f"{figure.title}: {before.value:,.4g} empty, {after.value:,.4g} full: {kept[-1]:.2f} of it remains")
    print(f"a replica takes {memory / (1 << 20):.0f} MiB")
    return int(min(kept) < KEPT or memory > MEMORY)


@contextmanager
def _standing(log: Path, scale: float) -> Iterator[Standing]:
    # Tasks of another number of schedules would have the same names.
    system = replace(OURS[-1], schedules=(10_000,))
    with Site(log, {}) as site:
        system.services(site)
        bench = Standing(system, log, scale, site)
        with Driver(site, system, "setup") as driver:
            driver.go()
            driver.result()
        yield bench


def _measure(bench: Bench) -> Readings:
    readings: Readings = {}
    for scenario in SCENARIOS:
        readings |= scenario(bench)
        print(
            {name: reading.value or reading.remark for name, reading in readings.items()}, file=sys.stderr, flush=True
        )
    return readings


def fill(bench: Standing, tasks: int, runs: int) -> None:
    """Copy one scheduled task and one finished run, that the server itself has made, until there are so many."""
    assert bench.site
    address = bench.site.environment["TASKWHEEL_ADDRESS"]
    with taskwheel.Client(address) as client:
        client.create_task("past", handler="past", schedules=[taskwheel.every(86400)])
        for scenario, numbers in (("fill", (20,)), ("work", (20, 60))):
            with Driver(bench.site, bench.system, scenario, *numbers) as driver:
                driver.work() if scenario == "work" else driver.go()
                driver.result()
    with psycopg.connect(bench.site.environment["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("SET maintenance_work_mem = '1GB'")
        for table, pattern, changed, count in (
            (tables.tasks, "task_id = 'past'", _TASK, tasks),
            (tables.runs, "end_time IS NOT NULL", _RUN, runs),
        ):
            _copy(connection, table, pattern, changed, count)
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")


def _copy(connection: psycopg.Connection, table: Table, pattern: str, changed: Mapping[str, str], count: int) -> None:
    """Insert `count` rows like the first that matches `pattern`, some columns changed; its indexes are made after."""
    name = table.name
    secondary = connection.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = %s AND indexname LIKE %s", [name, f"{name}\\_%"]
    ).fetchall()
    indexes = [(index, made) for index, made in secondary if not index.endswith("_pkey")]
    names = table.c.keys()
    values = ",".join(changed.get(column, f"pattern.{column}") for column in names)
    hexadecimal = _HEX.format(time=f"({_AGO})")
    statement = (
        f"INSERT INTO {name} ({','.join(names)}) SELECT {values} FROM"
        f" (SELECT * FROM {name} WHERE {pattern} LIMIT 1) pattern, generate_series(1, {{count}}) n, {hexadecimal} h"
    )
    for index, _ in indexes:
        connection.execute(f"DROP INDEX {index}".encode())
    connection.execute(statement.format(count=count).encode())
    for _, made in indexes:
        connection.execute(made.encode())


def _size(bench: Standing) -> str:
    assert bench.site
    with psycopg.connect(bench.site.environment["DATABASE_URL"]) as connection:
        size = connection.execute("SELECT pg_size_pretty(pg_database_size(current_database()))").fetchone()
    return str(size[0]) if size else ""


if __name__ == "__main__":
    sys.exit(main())
