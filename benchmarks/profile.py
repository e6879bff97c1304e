"""Where the server's time goes: a case's load against a server in this process, each of its two threads profiled.

    python -m benchmarks.profile enqueue|drain|work|call|idle [--runs N] [--lines N] [--wait]

Times are µs per run by the thread's own CPU clock; with `--wait` by the clock on the wall, so that waiting shows. The
profiler itself makes small functions look two to three times as dear as they are: compare lines, do not add them up.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import pstats
import tempfile
import time
from typing import TYPE_CHECKING, Any

import uvloop

from benchmarks import cases
from benchmarks.hand import HANDLER, TASK
from benchmarks.processes import Load
from taskwheel_server.app import Server, Settings
from taskwheel_server.model.names import DEFAULT_NAMESPACE
from taskwheel_server.model.task import Task
from taskwheel_server.wheel import Wheel
from taskwheel_server.wheel.commands import CreateTask

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH = 200


def _load(case: str, load: Load, target: str, runs: int) -> list[Callable[[], Any]]:
    """Return what to do before the profile and what to do under it."""
    batches = {"method": cases.BATCH, "request": cases.batch(BATCH)}
    calls = {"method": cases.RUN, "request": cases.SINGLE}
    streams = {"handler": HANDLER, "streams": cases.STREAMS, "credit": cases.CREDIT, "runs": runs}

    def enqueue(batch_calls: int) -> Callable[[], Any]:
        return lambda: load("unary", target=target, callers=2, calls=batch_calls, **batches)

    def work(callers: int, batch_calls: int) -> Callable[[], Any]:
        return lambda: load("worked", target=target, callers=callers, calls=batch_calls, **streams, **batches)

    return {
        "enqueue": [enqueue(5), enqueue(runs // BATCH)],
        "drain": [enqueue(runs // BATCH), work(0, 0)],
        "work": [enqueue(5), work(2, runs // BATCH)],
        "call": [enqueue(5), lambda: load("unary", target=target, callers=32, calls=runs, **calls)],
        "idle": [
            lambda: None,
            lambda: load("idle", target=target, handler=HANDLER, calls=runs, pause=cases.PAUSE, **calls),
        ],
    }[case]


async def _profile(case: str, runs: int, profiles: dict[str, cProfile.Profile]) -> None:
    loop = profiles["event loop"]
    with tempfile.TemporaryDirectory() as folder, Load() as load:
        settings = Settings(listen="127.0.0.1:0", database_url=f"sqlite:///{folder}/server.db")
        async with Server(settings) as server:
            wheel = server.wheel
            await wheel.submit(CreateTask(task=Task(wheel.minter.mint(), DEFAULT_NAMESPACE, TASK, HANDLER)))
            before, under = _load(case, load, f"127.0.0.1:{server.port}", runs)
            await asyncio.to_thread(before)
            for profile in profiles.values():
                profile.clear()
            loop.enable()
            await asyncio.to_thread(under)
            loop.disable()


def main() -> None:
    """Profile a case and print the dearest functions of each thread."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description="Show where time goes.")
    parser.add_argument("case", choices=["enqueue", "drain", "work", "call", "idle"])
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--lines", type=int, default=25, help="functions shown of each thread")
    parser.add_argument("--wait", action="store_true", help="time by the wall's clock, not by the CPU")
    arguments = parser.parse_args()
    clock = time.perf_counter if arguments.wait else time.thread_time
    profiles = {name: cProfile.Profile(clock) for name in ("event loop", "wheel")}
    turns = Wheel._loop
    # Each thread has a profiler of its own, which must be started on it.
    setattr(Wheel, "_loop", lambda wheel: profiles["wheel"].runcall(turns, wheel))  # noqa: B010 - no method to mypy
    uvloop.run(_profile(arguments.case, arguments.runs, profiles))
    for name, profile in profiles.items():
        _print(name, profile, arguments.runs, arguments.lines)


def _print(name: str, profile: cProfile.Profile, runs: int, lines: int) -> None:
    functions = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    total = sum(own for _, _, own, _, _ in functions.values())
    print(f"\n{name}: {1e6 * total / runs:.1f} µs per run\n{'own':>8}{'with callees':>14}{'calls':>9}")
    dearest = sorted(functions.items(), key=lambda item: -item[1][2])[:lines]
    for (file, line, function), (_, calls, own, whole, _) in dearest:
        place = f"{'/'.join(file.split('/')[-2:])}:{line} " if line else ""
        print(f"{1e6 * own / runs:8.2f}{1e6 * whole / runs:14.2f}{calls / runs:9.2f}  {place}{function}")


if __name__ == "__main__":
    main()
