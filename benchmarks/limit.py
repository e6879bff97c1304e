"""What PostgreSQL alone does with the wheel's own statements: as fast as taskwheel could be there.

python -m benchmarks.limit

A wheel turned by hand carries out a workload while its connection writes down each statement with its values; the bare
driver then executes the same, one after the other on one connection, on a copy of the database made before.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, Self

import psycopg
from psycopg.types.numeric import Int8BinaryDumper

from benchmarks.cases import PAYLOAD
from benchmarks.hand import HandWheel
from benchmarks.peers import services
from benchmarks.peers.site import Site
from benchmarks.peers.toolchains import BUILD
from taskwheel_server.db.dialect import postgresql

RUNS = 40_000
BATCH = 1_000
CREDIT = 4_000

_statements: list[tuple[Any, Any, bool]] = []


class _Cursor(psycopg.Cursor[Any]):
    """Writes down what it executes."""

    def execute(self, query: Any, params: Any = None, **options: Any) -> Self:
        _statements.append((query, params, options.get("prepare") is None))
        return super().execute(query, params, **options)


def main() -> int:
    """Measure and print."""
    BUILD.mkdir(exist_ok=True)
    with Site(BUILD / "log", {}) as site:
        services.postgres(site)
        url = site.environment["DATABASE_URL"]
        options: dict[str, Any] = postgresql._CONNECT
        options["cursor_factory"] = _Cursor
        wheel = HandWheel(url.replace("postgresql:", "postgresql+psycopg:"))
        wheel.create_task()
        wheel.close()
        workloads: dict[str, Callable[[HandWheel], None]] = {
            "enqueue": lambda wheel: wheel.enqueue(RUNS, BATCH, PAYLOAD),
            "drain": lambda wheel: wheel.drain(RUNS, CREDIT),
            "enqueue and work at once": lambda wheel: wheel.enqueue_and_drain(RUNS, BATCH, CREDIT, PAYLOAD),
        }
        for name, workload in workloads.items():
            seconds, cpu = _replayed(site, url, workload)
            print(
                f"PostgreSQL alone, {name}: {RUNS / seconds:,.0f} runs/s, {1e3 * cpu / RUNS:.3f} CPU s per 1,000 runs"
            )
    return 0


def _replayed(site: Site, url: str, workload: Callable[[HandWheel], None]) -> tuple[float, float]:
    """Return the seconds that the bare driver takes for the statements of a workload, and PostgreSQL's CPU seconds."""
    copy = url.rpartition("/")[0] + "/copy"
    with psycopg.connect(url.rpartition("/")[0] + "/template1", autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS copy")
        connection.execute("CREATE DATABASE copy TEMPLATE postgres")
    wheel = HandWheel(url.replace("postgresql:", "postgresql+psycopg:"))
    _statements.clear()
    workload(wheel)
    wheel.close()
    recorded = list(_statements)
    with psycopg.connect(copy, autocommit=True, prepare_threshold=0) as connection:
        connection.prepared_max = 512
        connection.adapters.register_dumper(int, Int8BinaryDumper)
        connection.execute("; ".join(f"SET {each}" for each in postgresql._WRITER).encode(), prepare=False)
        began, cpu = time.perf_counter(), site.cpu
        for query, values, prepared in recorded:
            connection.cursor(binary=prepared).execute(query, values, prepare=prepared)
        return time.perf_counter() - began, site.cpu - cpu


if __name__ == "__main__":
    sys.exit(main())
