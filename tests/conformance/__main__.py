"""`make test-clients`: builds every client, runs its own tests, then the table, and prints the matrix."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path

from tests.conformance.column import Column
from tests.conformance.languages import LANGUAGES, Language
from tests.conformance.matrix import Matrix
from tests.conformance.stage import Server
from tests.conformance.table import Behaviour, behaviours

# One command of a build, the first download of its modules included, s.
_BUILD = 300
# How many languages are built and tested beside each other: their tests wait more than they work.
_AT_A_TIME = 2


def main() -> int:
    """Run what the arguments name; 1 when something failed, or when something was skipped with CI=true."""
    arguments = _arguments()
    languages = [one for one in LANGUAGES if not arguments.only or one.name in arguments.only]
    rows = [row for row in behaviours() if arguments.k in row.name]
    strict = os.environ.get("CI") == "true"
    if arguments.lacking:
        return _tell_lacking(languages, strict=strict)
    matrix = Matrix(rows, languages)
    present: list[Language] = []
    for language in languages:
        if why := language.lacks():
            matrix.skip(language, why)
        else:
            present.append(language)
    if not arguments.no_build:
        with ThreadPoolExecutor(_AT_A_TIME) as pool:
            list(pool.map(lambda language: _prepare(language, matrix, tests=not arguments.k), present))
    ready = [language for language in present if language not in matrix.unbuilt]
    with tempfile.TemporaryDirectory() as folder:
        _play(ready, rows, matrix, Path(folder), verbose=arguments.verbose)
    print(matrix)
    return matrix.status(strict=strict)


def _tell_lacking(languages: Sequence[Language], *, strict: bool) -> int:
    """Print what `make test` leaves to `make test-clients`, and what that cannot run here either."""
    print(
        "not among these: the clients of", ", ".join(one.name for one in languages if one.tools), "(make test-clients)"
    )
    lacking = {one.name: why for one in languages if (why := one.lacks())}
    for name, why in lacking.items():
        print(f"make test-clients skips {name}: {why}")
    return int(strict and bool(lacking))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make test-clients ARGS=…")
    parser.add_argument("--only", action="append", choices=[one.name for one in LANGUAGES], help="a language")
    parser.add_argument("-k", default="", metavar="TEXT", help="behaviours whose names contain it")
    parser.add_argument("--no-build", action="store_true", help="run what is built already, and the table alone")
    parser.add_argument("--lacking", action="store_true", help="run nothing; print which languages cannot be run here")
    parser.add_argument("-v", "--verbose", action="store_true", help="print steps and answers")
    return parser.parse_args()


def _prepare(language: Language, matrix: Matrix, *, tests: bool) -> None:
    """Build the client and run its own tests; who fails these is taken through the table all the same."""
    if why := _failure(language, language.build):
        matrix.unbuilt.append(language)
        matrix.fail(language, why)
    elif tests and (why := _failure(language, language.test)):
        matrix.fail(language, why)


def _failure(language: Language, commands: Iterable[Sequence[str]]) -> str:
    """Run the commands in the language's folder; why one failed, or nothing."""
    for command in commands:
        text = " ".join(command)
        began = time.monotonic()
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
            return f"{text} took longer than {_BUILD} s"
        print(f"{language.name}: {text}: {time.monotonic() - began:.1f} s", flush=True)
        if done.returncode:
            print(done.stdout.decode(errors="replace"), flush=True)
            return f"{text} failed, see above"
    return ""


def _play(languages: list[Language], rows: list[Behaviour], matrix: Matrix, folder: Path, *, verbose: bool) -> None:
    """Take all languages through the table: beside each other, as long as no row ends the server."""
    tell: Callable[[str], None] = print if verbose else lambda line: None
    began = time.monotonic()
    server = Server(folder)
    columns = [Column(language, server, folder, matrix, tell) for language in languages]
    try:
        with ThreadPoolExecutor(max(1, len(columns))) as pool:
            list(pool.map(Column.play, columns, repeat([row for row in rows if not row.alone])))
        # The start of a server may take longer than a short lease lasts.
        server.restart(lease=30)
        for column in columns:
            column.play([row for row in rows if row.alone])
    finally:
        for column in columns:
            column.close()
        server.stop()
    print(f"{len(rows)} behaviours in {time.monotonic() - began:.1f} s")


if __name__ == "__main__":
    sys.exit(main())
