"""What every system is put through. A reading counts only if each run was done, and done once."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from benchmarks.peers.site import Site
from benchmarks.peers.systems import System

# A measurement that takes longer is a reading of what was done by then.
LIMIT = 120
# Past the instant that schedules are due at; the next minute is the next slot of some.
SCHEDULE_LIMIT = 55
CALLERS = (1, 16, 32)
PACED = 200
# For a worker that has started to come to rest.
REST = 1.0


@dataclass(frozen=True)
class Reading:
    """A figure as measured once; the remark tells why there is no value."""

    value: float | None
    remark: str = ""


Readings = dict[str, Reading]


class Driver:
    """A driver at work on one scenario, see README.md."""

    def __init__(self, site: Site, system: System, scenario: str, *numbers: int) -> None:
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.child = site.child([*system.driver(), scenario, *map(str, numbers)], **pipes)
        self._watchdog = threading.Timer(2 * LIMIT + sum(numbers[2:]), self.child.kill)
        self._watchdog.start()
        self._await("ready")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._watchdog.cancel()
        self.child.stop()

    def _line(self) -> str:
        assert self.child.popen.stdout
        line: str = self.child.popen.stdout.readline()
        return line

    def _await(self, word: str) -> None:
        if self._line() != f"{word}\n":
            self.__exit__()
            raise RuntimeError(f"not {word}, see .peers/log: {self.child.command}")

    def go(self) -> None:
        """Let it begin."""
        assert self.child.popen.stdin
        print(file=self.child.popen.stdin, flush=True)

    def work(self) -> None:
        """Let it begin as a worker, and wait until it works."""
        self.go()
        self._await("working")

    def result(self) -> dict[str, Any]:
        """Wait for what it has measured.

        Raises:
            RuntimeError: it ended without.
        """
        line = self._line()
        if not line:
            raise RuntimeError(f"died, see .peers/log: {self.child.command}")
        measured: dict[str, Any] = json.loads(line)
        return measured


@dataclass(frozen=True)
class Bench:
    """One system under measurement.

    Args:
        system: which.
        log: for what its processes say.
        scale: how much of the full amount of work is done.
    """

    system: System
    log: Path
    scale: float = 1.0

    @contextmanager
    def _site(self) -> Iterator[Site]:
        with Site(self.log, self.system.environment) as site:
            self.system.services(site)
            self._drive(site, "setup")
            yield site

    def _driver(self, site: Site, scenario: str, *numbers: int) -> Driver:
        return Driver(site, self.system, scenario, *numbers)

    def _drive(self, site: Site, scenario: str, *numbers: int) -> dict[str, Any]:
        with self._driver(site, scenario, *numbers) as driver:
            driver.go()
            return driver.result()

    def _amount(self, full: int) -> int:
        return max(20, int(full * self.scale))

    def insert(self) -> Readings:
        """One run per call, with no worker."""
        readings: Readings = {}
        for callers in CALLERS:
            runs = self._amount(self.system.single * (1 if callers == 1 else 4))
            with self._site() as site:
                measured = self._drive(site, "insert", runs, callers)
            kept = measured["left"] == runs
            name = f"insert {callers}"
            readings[name] = (
                Reading(runs / measured["seconds"]) if kept else Reading(None, f"{measured['left']} of {runs} stored")
            )
        return readings

    def drain(self) -> Readings:
        """A full queue, from the first start until all is stored as done."""
        runs = self._amount(self.system.queued)
        with self._site() as site:
            self._drive(site, "fill", runs)
            for settle in site.settle:
                settle()
            with self._driver(site, "work", runs, LIMIT) as worker:
                before = site.cpu + worker.child.cpu
                worker.work()
                measured = worker.result()
                cpu = site.cpu + worker.child.cpu - before
        rate = runs / (measured["stored"] - measured["first"])
        return judged(measured, runs, {"drain": rate, "drain CPU": 1e3 * cpu / runs})

    def at_once(self) -> Readings:
        """Enqueued in the peer's best way, and worked meanwhile, until all is stored as done."""
        runs = self._amount(self.system.queued)
        return self._worked("at once", runs, "fill", runs)

    def at_once_single(self) -> Readings:
        """The same, enqueued by 16 callers, one run per call."""
        runs = self._amount(self.system.single * 4)
        return self._worked("at once, one per call", runs, "insert", runs, 16)

    def _worked(self, name: str, runs: int, scenario: str, *numbers: int) -> Readings:
        with (
            self._site() as site,
            self._driver(site, "work", runs, LIMIT) as worker,
            self._driver(site, scenario, *numbers) as producer,
        ):
            worker.work()
            time.sleep(REST)
            before = site.cpu + worker.child.cpu + producer.child.cpu
            producer.go()
            produced, measured = producer.result(), worker.result()
            cpu = site.cpu + worker.child.cpu + producer.child.cpu - before
        rate = runs / (measured["stored"] - produced["start"])
        return judged(measured, runs, {name: rate, f"{name} CPU": 1e3 * cpu / runs})

    def idle(self) -> Readings:
        """A run every 20 to 50 ms: from before it is enqueued until its handler starts."""
        runs = self._amount(PACED)
        with self._site() as site, self._driver(site, "work", runs, LIMIT) as worker:
            worker.work()
            time.sleep(REST)
            self._drive(site, "pace", runs)
            measured = worker.result()
        return judged(measured, runs, {"idle p50": measured["p50"], "idle p99": measured["p99"]})

    def schedules(self) -> Readings:
        """Schedules due at one instant, a whole minute: from then until the last start."""
        readings: Readings = {}
        for full in self.system.schedules:
            count = self._amount(full)
            due = (int(time.time() + self.system.lead) // 60 + 1) * 60
            with self._site() as site, self._driver(site, "schedules", count, due, SCHEDULE_LIMIT) as driver:
                late = time.time() > due
                driver.go()
                measured = driver.result()
            name = f"due {full}"
            if late:
                readings[name] = Reading(None, f"not registered in {self.system.lead} s")
            else:
                readings |= judged(measured, count, {name: measured["last"] - due})
        return readings


def judged(measured: dict[str, Any], runs: int, values: dict[str, float]) -> Readings:
    """Return the values as readings, or why they do not count."""
    handled, distinct, left = (measured[name] for name in ("handled", "distinct", "left"))
    faults = {"missed": runs - distinct, "doubled": handled - distinct, "not stored": left}
    remark = ", ".join(f"{count:,} of {runs:,} {fault}" for fault, count in faults.items() if count)
    return {name: Reading(None, remark) if remark else Reading(value) for name, value in values.items()}


SCENARIOS: tuple[Callable[[Bench], Readings], ...] = (
    Bench.insert,
    Bench.drain,
    Bench.at_once,
    Bench.at_once_single,
    Bench.idle,
    Bench.schedules,
)
