"""One language on its way through the table."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from tests.conformance.driver import Driver, DriverDied
from tests.conformance.languages import Language
from tests.conformance.matrix import Matrix
from tests.conformance.runner import Cell, play
from tests.conformance.stage import Server, Stage
from tests.conformance.table import Behaviour


class Column:
    """A language with its driver and its stage.

    Args:
        language: which.
        server: the one live server.
        folder: for what is begun, and for logs.
        matrix: where its cells go.
        tell: what each step and answer is told to.
    """

    def __init__(
        self, language: Language, server: Server, folder: Path, matrix: Matrix, tell: Callable[[str], None]
    ) -> None:
        self._language = language
        self._folder = folder / language.name
        self._folder.mkdir()
        self._stage = Stage(server, self._folder)
        self._matrix = matrix
        self._tell = tell
        self._driver: Driver | None = None

    def play(self, rows: list[Behaviour]) -> None:
        """Take the driver through these rows; one that dies fails its row, and another takes its place."""
        for row in rows:
            self._tell(f"{self._language.name}: {row.name}")
            began = time.monotonic()
            try:
                cell = play(row, self._ready(), self._stage, self._tell)
            except DriverDied as error:
                cell = Cell("FAIL", f"the driver: {error}")
                self._end()
            self._tell(f"  {cell.verdict} in {time.monotonic() - began:.2f} s")
            self._matrix.add(self._language, row, cell)
            if cell.why:
                print(f"{self._language.name}: {cell.verdict}: {row.name}: {cell.why}")

    def close(self) -> None:
        """End what was begun."""
        self._end()
        self._stage.close()

    def _ready(self) -> Driver:
        if self._driver is None:
            self._driver = Driver(self._language.driver, self._language.path, self._folder / "driver.log")
            self._driver.ask({"target": self._stage.target})
        return self._driver

    def _end(self) -> None:
        if self._driver:
            self._driver.close()
        self._driver = None
