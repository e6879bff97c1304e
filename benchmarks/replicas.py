"""Replicas of taskwheel on one PostgreSQL: how the rate grows with them, and how soon one hears of another.

python -m benchmarks.replicas [--quick]
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median, quantiles

import taskwheel
from benchmarks.peers import services
from benchmarks.peers.scenarios import Driver
from benchmarks.peers.site import Site
from benchmarks.peers.systems import OURS, System
from benchmarks.peers.toolchains import BUILD

MOST = 3
RUNS = 60_000
REPETITIONS = 3
# Of each latency.
SAMPLES = 200
# What each latency must stay below at p99, ms.
GOAL = 100.0
SYSTEM = OURS[-1]


def main() -> int:
    """Measure and print; return 1 if a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.replicas", description="Measure replicas.")
    parser.add_argument("--quick", action="store_true", help="a fifth of the work, once")
    arguments = parser.parse_args()
    scale, repetitions = (0.2, 1) if arguments.quick else (1.0, REPETITIONS)
    BUILD.mkdir(exist_ok=True)
    log = BUILD / "log"
    rates: dict[int, list[float]] = {count: [] for count in range(1, MOST + 1)}
    for _ in range(repetitions):
        for count, measured in rates.items():
            measured.append(enqueue(log, count, int(RUNS * scale)))
    one = median(rates[1])
    for count, measured in rates.items():
        print(
            f"{count} replicas: enqueue {median(measured):,.0f} runs/s, {median(measured) / one:.2f} of one", flush=True
        )
    with Site(log, {}) as site:
        services.postgres(site)
        here, there = services.replica(site), services.replica(site)
        latencies = asyncio.run(_Across(here, there, int(SAMPLES * scale)).measure())
    for name, milliseconds in latencies.items():
        p99 = quantiles(milliseconds, n=100)[98]
        print(f"{name}: p50 {median(milliseconds):.1f} ms, p99 {p99:.1f} ms, most {max(milliseconds):.1f} ms")
    return int(any(quantiles(milliseconds, n=100)[98] > GOAL for milliseconds in latencies.values()))


def enqueue(log: Path, count: int, runs: int) -> float:
    """Return how many runs a second so many replicas take in, each from a client of its own that fills it."""
    with Site(log, {}) as site, ExitStack() as drivers:
        services.postgres(site)
        fillers: list[Driver] = []
        for number in range(count):
            services.replica(site)
            if number == 0:
                _drive(site, SYSTEM, "setup")
            fillers.append(drivers.enter_context(Driver(site, SYSTEM, "fill", runs // count)))
        for filler in fillers:
            filler.go()
        measured = [filler.result() for filler in fillers]
    ends = [filled["start"] + filled["seconds"] for filled in measured]
    return float(runs // count * count / (max(ends) - min(filled["start"] for filled in measured)))


def _drive(site: Site, system: System, scenario: str) -> None:
    with Driver(site, system, scenario) as driver:
        driver.go()
        driver.result()


class _Across:
    """Callers at one replica, the worker at another.

    Args:
        here: address of the one.
        there: address of the other.
        samples: how many of each.
    """

    def __init__(self, here: str, there: str, samples: int) -> None:
        self._client = taskwheel.AsyncClient(here)
        self._worker = taskwheel.Worker(there)
        self._samples = samples
        self._begun: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._moments: dict[str, asyncio.Future[float]] = {}

    async def measure(self) -> dict[str, list[float]]:
        """Return milliseconds of each kind."""

        @self._worker.handler("quick")
        async def quick(run: taskwheel.Run) -> None:
            self._note(run)

        @self._worker.handler("long")
        async def long(run: taskwheel.Run) -> None:
            self._begun[str(run.payload["key"])].set()
            try:
                await asyncio.Event().wait()
            finally:
                self._note(run)

        serving = asyncio.create_task(self._worker.serve())
        for name in ("quick", "long"):
            await self._client.create_task(name, handler=name)
        kinds: dict[str, Callable[[], Awaitable[float]]] = {
            "a run starts at the other's worker": self._start,
            "a run is cancelled at the other's worker": self._cancel,
            "a wait ends with a run of the other's worker": self._wait,
        }
        found: dict[str, list[float]] = {}
        for name, sample in kinds.items():
            # The first few meet connections and statements that are not prepared yet.
            found[name] = [1e3 * await sample() for _ in range(self._samples + 5)][5:]
        self._worker.stop()
        await serving
        await self._client.close()
        return found

    def _note(self, run: taskwheel.Run) -> None:
        self._moment(str(run.payload["key"])).set_result(time.perf_counter())

    def _moment(self, key: str) -> asyncio.Future[float]:
        return self._moments.setdefault(key, asyncio.get_running_loop().create_future())

    async def _start(self) -> float:
        key = str(len(self._moments))
        begun = time.perf_counter()
        await self._client.task("quick").run({"key": key})
        return await self._moment(key) - begun

    async def _cancel(self) -> float:
        key = str(len(self._moments))
        run = await self._client.task("long").run({"key": key})
        await self._begun[key].wait()
        asked = time.perf_counter()
        await self._client.cancel(run.name)
        return await self._moment(key) - asked

    async def _wait(self) -> float:
        key = str(len(self._moments))
        run = await self._client.task("quick").run({"key": key})
        await self._client.wait(run.name, timeout=10)
        return time.perf_counter() - await self._moment(key)


if __name__ == "__main__":
    sys.exit(main())
