"""The benchmarks: a line a figure.

python -m benchmarks [--quick] [--full] [--only WORD] [--folder FOLDER]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import cases, coalescing, history, languages
from benchmarks.cases import Bench
from benchmarks.measure import HEAD, Line, Reading, Skipped
from benchmarks.processes import Load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager

    from benchmarks.measure import Case

CASES: tuple[Callable[[Bench], AbstractContextManager[Case]], ...] = (
    cases.batch_enqueue,
    cases.drain,
    cases.enqueue_and_work,
    cases.one_call_per_run,
    coalescing.many_callers,
    cases.idle,
    cases.due_at_once,
    cases.ready,
    cases.watch,
)
REPETITIONS = 5
# No figure may fall by more with the large file.
KEPT = 0.75


def main() -> int:
    """Measure and print; return 1 if a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure the server beside baselines.")
    parser.add_argument("--quick", action="store_true", help="a fifth of the work, 3 repetitions instead of 5")
    parser.add_argument("--full", action="store_true", help="everything again with 1,100,000 runs in the file")
    parser.add_argument("--only", default="", metavar="WORD", help="only the cases whose name holds WORD")
    parser.add_argument("--repetitions", type=int, metavar="N", help="of each measurement")
    parser.add_argument("--folder", type=Path, help="where the databases go; default: the temporary folder")
    arguments = parser.parse_args()
    repetitions = arguments.repetitions or (3 if arguments.quick else REPETITIONS)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name, Load() as load:
        bench = Bench(load, Path(name), scale=0.2 if arguments.quick else 1.0)
        print(HEAD, flush=True)
        lines = _measure(CASES, bench, arguments.only, repetitions)
        clients = _measure(languages.CASES, bench, arguments.only, repetitions)
        if arguments.full:
            print(f"\nthe same with {history.FINISHED:,} finished and {history.QUEUED:,} queued runs in the file")
            template = Path(name) / "template.db"
            history.build(template, cases.PAYLOAD)
            loaded = _measure(CASES, replace(bench, template=template), arguments.only, repetitions)
            print("\nof the figure with an empty file remains")
            lines += [_kept(empty, full) for empty, full in zip(lines, loaded, strict=True)]
    return int(any(line.met is False for line in lines + clients))


def _measure(
    group: Iterable[Callable[[Bench], AbstractContextManager[Case]]], bench: Bench, only: str, repetitions: int
) -> list[Line]:
    lines: list[Line] = []
    for case in group:
        if only not in case.__name__:
            continue
        try:
            with case(bench) as prepared:
                measured = prepared.measure(repetitions)
        except Skipped as why:
            print(f"{case.__name__} skipped: {why}", flush=True)
            continue
        print(*measured, sep="\n", flush=True)
        lines += measured
    return lines


def _kept(empty: Line, full: Line) -> Line:
    better, worse = (full, empty) if empty.figure.rising else (empty, full)
    kept = better.ours.value / worse.ours.value
    line = Line(replace(empty.figure, unit="", goal=KEPT, by_ratio=False, rising=True), Reading(kept))
    print(line, flush=True)
    return line


if __name__ == "__main__":
    sys.exit(main())
