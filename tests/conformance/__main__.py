"""`make test-clients`: builds every client, runs its own tests, then the table, and prints the matrix."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.conformance.driver import Driver, DriverDied
from tests.conformance.languages import LANGUAGES, Language
from tests.conformance.matrix import Matrix
from tests.conformance.runner import Cell, play
from tests.conformance.stage import Stage
from tests.conformance.table import Behaviour, behaviours

# One command of a build, the first download of its modules included, s.
_BUILD = 300


def main() -> int:
    """Run what the arguments name; 1 when something failed, or when something was skipped with CI=true."""
    arguments = _arguments()
    languages = [one for one in LANGUAGES if not arguments.only or one.name in arguments.only]
    rows = [row for row in behaviours() if arguments.k in row.name]
    tell: Callable[[str], None] = print if arguments.verbose else lambda line: None
    matrix = Matrix(rows, languages)
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(Path(folder))
        try:
            for language in languages:
                if why := language.lacks():
                    matrix.skip(language, why)
                elif why := "" if arguments.no_build else _prepared(language, tests=not arguments.k):
                    matrix.fail(language, why)
                else:
                    _column(language, rows, stage, matrix, Path(folder), tell)
        finally:
            stage.close()
    print(matrix)
    return matrix.status(strict=os.environ.get("CI") == "true")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make test-clients ARGS=…")
    parser.add_argument("--only", action="append", choices=[one.name for one in LANGUAGES], help="a language")
    parser.add_argument("-k", default="", metavar="TEXT", help="behaviours whose names contain it")
    parser.add_argument("--no-build", action="store_true", help="run what is built already, and the table alone")
    parser.add_argument("-v", "--verbose", action="store_true", help="print steps and answers")
    return parser.parse_args()


def _prepared(language: Language, *, tests: bool) -> str:
    """Build the client and run its own tests; why that failed, or nothing."""
    for command in (*language.build, *(language.test if tests else ())):
        began = time.monotonic()
        print(f"{language.name}: {' '.join(command)} …", end=" ", flush=True)
        try:
            done = subprocess.run(
                command,
                cwd=language.path,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=_BUILD,
                check=False,
            )
        except subprocess.TimeoutExpired:
            print("too slow")
            return f"{' '.join(command)} took longer than {_BUILD} s"
        print(f"{time.monotonic() - began:.1f} s")
        if done.returncode:
            print(done.stdout.decode(errors="replace"))
            return f"{' '.join(command)} failed, see above"
    return ""


def _column(
    language: Language, rows: list[Behaviour], stage: Stage, matrix: Matrix, folder: Path, tell: Callable[[str], None]
) -> None:
    driver: Driver | None = None
    began = time.monotonic()
    for row in rows:
        tell(f"  {language.name}: {row.name}")
        try:
            if driver is None:
                driver = Driver(language.driver, language.path, folder / f"{language.name}.log")
                driver.ask({"target": stage.target})
            cell = play(row, driver, stage, tell)
        except DriverDied as error:
            cell = Cell("FAIL", f"the driver: {error}")
            if driver:
                driver.close()
            driver = None
        matrix.add(language, row, cell)
        if cell.why:
            print(f"{language.name}: {cell.verdict}: {row.name}: {cell.why}")
    if driver:
        driver.close()
    print(f"{language.name}: {len(rows)} behaviours in {time.monotonic() - began:.1f} s")


if __name__ == "__main__":
    sys.exit(main())
