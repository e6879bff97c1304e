"""The cases of the clients: a worker's drain, and a run per call from 32 callers of one process.

Each language has a program that prints one line of JSON: how many runs it did, in how many seconds, and at the cost of
how many CPU seconds of its own. Beside it stands the load generator, which does as little as it can: what the server
allows on this machine.
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.cases import BATCH, CREDIT, Bench, batch
from benchmarks.hand import HANDLER
from benchmarks.measure import Case, Figure, Reading, Skipped
from tests.conformance.languages import LANGUAGES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

# The callers of each program.
CALLERS = 32

_BY_NAME = {language.name: language for language in LANGUAGES}


@contextmanager
def _client(
    bench: Bench, *, name: str, program: tuple[str, ...], drain: float | None, call: float | None
) -> Iterator[Case]:
    language = _BY_NAME[name]
    if why := language.lacks():
        raise Skipped(why)
    for command in language.build:
        subprocess.run(command, cwd=language.path, check=True, stdout=subprocess.DEVNULL)
    runs, calls = bench.amount(20_000, 500), bench.amount(8_000, CALLERS)

    def ours() -> list[Reading]:
        return [_measured("drain", runs), _measured("call", calls)]

    def _measured(mode: str, amount: int) -> Reading:
        with bench.server() as server:
            command = [*program, mode, server.target, str(amount)]
            done = subprocess.run(command, cwd=language.path, check=True, stdout=subprocess.PIPE, text=True)
            told = json.loads(done.stdout)
            return Reading(amount / told["seconds"], 1e6 * told["cpu_seconds"] / amount)

    def beside() -> list[Reading]:
        with bench.server() as server:
            arguments = {"target": server.target, "method": BATCH}
            bench.load("unary", **arguments, request=batch(500), callers=1, calls=runs // 500 - 1)
            work = {"handler": HANDLER, "streams": 1, "credit": 2 * CREDIT, "runs": runs, "callers": 0, "calls": 0}
            drained = bench.load("worked", **arguments, request=b"", **work)
        with bench.server() as server:
            called = bench.load(
                "unary", target=server.target, method=BATCH, request=batch(CALLERS), callers=1, calls=calls // CALLERS
            )
        return [Reading(runs / drained["seconds"]), Reading(calls / called["seconds"])]

    yield Case(
        (
            Figure(f"{name}, a worker's drain", "runs/s", drain, by_ratio=(drain or 0) < 1),
            Figure(f"{name}, {CALLERS} callers, a call a run", "runs/s", call),
        ),
        ours,
        beside,
        "bare",
    )


def _case(
    name: str, *program: str, drain: float | None = None, call: float | None = None
) -> Callable[[Bench], AbstractContextManager[Case]]:
    case = partial(_client, name=name, program=program, drain=drain, call=call)
    case.__name__ = f"{name}_client"  # type: ignore[attr-defined]
    return case


CASES = (
    _case("python", sys.executable, "-m", "benchmarks.python_client"),
    # It must not be the bottleneck.
    _case("go", "build/bench", drain=0.9, call=20_000),
    _case("node", "node", "dist/bench/main.js", drain=10_000, call=8_000),
    _case("java", "sh", "bench.sh", drain=20_000),
)
