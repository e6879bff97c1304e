"""The baseline of the batch figures: the wheel's own statements, recorded, then executed anew by the bare driver.

A wheel turned by hand on one file carries out a workload while its connection writes down each statement with its
values; the bare driver then executes the same on a second file that stands where the first stood. So the baseline is
the same SQL in the same transactions on the same schema, whatever the wheel has become; what it lacks is Python, gRPC
and threads.
"""

from __future__ import annotations

import gc
import shutil
import sqlite3
import time
from typing import TYPE_CHECKING, Any, Self

from benchmarks.hand import HandWheel
from benchmarks.measure import Reading
from taskwheel_server.db.dialect import sqlite

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_statements: list[tuple[str, Any, bool]] = []


class _Cursor(sqlite3.Cursor):
    def execute(self, sql: str, values: Any = (), /) -> Self:
        _statements.append((sql, values, False))
        super().execute(sql, values)
        return self

    def executemany(self, sql: str, rows: Any, /) -> Self:
        _statements.append((sql, rows, True))
        super().executemany(sql, rows)
        return self


class _Connection(sqlite3.Connection):
    """Writes down what it executes."""

    def cursor(self, factory: Any = _Cursor) -> Any:
        return super().cursor(factory)

    def execute(self, sql: str, values: Any = (), /) -> sqlite3.Cursor:
        return _Cursor(self).execute(sql, values)

    def executemany(self, sql: str, rows: Any, /) -> sqlite3.Cursor:
        return _Cursor(self).executemany(sql, rows)

    def commit(self) -> None:
        if self.in_transaction:
            _statements.append(("COMMIT", (), False))
        super().commit()


class Twin:
    """A wheel on one file, and the bare driver that follows it on another.

    Args:
        folder: for the files.
        template: a database that both are copies of at first; None: empty.
    """

    def __init__(self, folder: Path, template: Path | None) -> None:
        files = [folder / "wheel.db", folder / "bare.db"]
        if template:
            for file in files:
                shutil.copyfile(template, file)
        _statements.clear()
        options: dict[str, Any] = sqlite._CONNECT
        options["factory"] = _Connection
        try:
            self.wheel = HandWheel(f"sqlite:///{files[0]}")
        finally:
            del options["factory"]
        self._bare = sqlite3.connect(files[1], isolation_level=None, cached_statements=512)
        self.wheel.create_task()
        self._replay()

    def close(self) -> None:
        """Close both files."""
        self.wheel.close()
        self._bare.close()

    def measure(self, runs: int, workload: Callable[..., None], *arguments: Any) -> Reading:
        """Have the wheel carry out `workload(*arguments)`; return how fast the bare driver did the same.

        Args:
            runs: how many the workload is about.
            workload: a method of `wheel`.
            *arguments: its.
        """
        self._replay()
        workload(*arguments)
        seconds, cpu = self._replay()
        return Reading(runs / seconds, 1e6 * cpu / runs)

    def _replay(self) -> tuple[float, float]:
        bare = self._bare
        gc.collect()
        gc.disable()
        began, cpu = time.perf_counter(), time.process_time()
        for sql, values, many in _statements:
            if many:
                bare.executemany(sql, values)
            else:
                bare.execute(sql, values).fetchall()
        spent = time.perf_counter() - began, time.process_time() - cpu
        gc.enable()
        _statements.clear()
        return spent
