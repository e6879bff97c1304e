"""Processes to kill, stop and starve: servers and workers, each watched from outside only."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]

ROOT = Path(__file__).parents[2]
# How long a condition may take to come true on a machine with other things to do.
PATIENCE = 30.0
_OPTIONS = [
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 20),
    ("grpc.min_reconnect_backoff_ms", 20),
    ("grpc.max_reconnect_backoff_ms", 100),
]


async def until(condition: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
    """Return what `condition` answers once that is true; it may be a coroutine function."""
    limit = time.monotonic() + seconds
    while True:
        answer = condition()
        if asyncio.iscoroutine(answer):
            answer = await answer
        if answer:
            return answer
        if time.monotonic() > limit:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        await asyncio.sleep(0.005)


def free_target() -> str:
    """Return an address of this machine that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def all_of(targets: Sequence[str], first: int = 0) -> str:
    """Return a target that stands for several addresses: each is tried in turn, from `first` on."""
    return "ipv4:" + ",".join([*targets[first:], *targets[:first]])


def connect(target: str) -> grpc.aio.Channel:
    """Return a channel of its own connection, quick to come back."""
    return grpc.aio.insecure_channel(target, options=_OPTIONS)


class Process:
    """A Python process whose standard error goes to a file.

    Args:
        log: that file.
        *arguments: what follows `python`.
    """

    def __init__(self, log: Path, *arguments: str) -> None:
        self.log = log
        with log.open("ab") as sink:
            self._child = subprocess.Popen([sys.executable, *arguments], cwd=ROOT, stdout=sink, stderr=sink)

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def status(self) -> int | None:
        """The exit status; None as long as it runs."""
        return self._child.poll()

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._child.send_signal(number)

    def kill(self) -> None:
        """End it as a power cut would, and wait until it is gone."""
        self._child.kill()
        self._child.wait()

    async def ended(self, seconds: float = PATIENCE) -> int:
        """Wait for its end and return its exit status."""
        await until(lambda: self.status is not None, f"the end of process {self.pid}", seconds)
        return self._child.wait()

    def memory(self) -> int:
        """Return the bytes of memory of its own, file mappings left out."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no RssAnon")


class Server:
    """`taskwheel serve` on one database and one address, through any number of processes.

    Args:
        folder: for the log, and for the database unless it is elsewhere.
        lease: as `--lease` has it.
        database_url: default: a SQLite file in `folder`.
        program: what to call with the arguments of `taskwheel`, as `python` takes it.
    """

    def __init__(
        self,
        folder: Path,
        *,
        lease: str = "30s",
        database_url: str = "",
        program: Sequence[str] = ("-m", "taskwheel.cli"),
    ) -> None:
        self.target = free_target()
        self.database_url = database_url or f"sqlite:///{folder / 'taskwheel.db'}"
        self.log = folder / "server.log"
        self._lease = lease
        self._program = program
        self._process: Process | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process and self._process.status is None:
            self._process.kill()

    @property
    def process(self) -> Process:
        assert self._process
        return self._process

    def launch(self, target: str | None = None) -> Process:
        """Start a process and return at once."""
        flags = ("--listen", target or self.target, "--database-url", self.database_url, "--lease", self._lease)
        return Process(self.log, *self._program, "serve", *flags)

    async def start(self) -> float:
        """Start a process, wait until it serves, and return how long that took, s."""
        began = time.monotonic()
        self._process = self.launch()
        async with connect(self.target) as channel:
            health = health_pb2_grpc.HealthStub(channel)
            serving = asyncio.ensure_future(health.Check(health_pb2.HealthCheckRequest(), wait_for_ready=True))
            try:
                await until(lambda: serving.done() or self.process.status is not None, "the server serves")
                assert self.process.status is None, f"the server ended: {self.log.read_text()[-2000:]}"
                assert (await serving).status == health_pb2.HealthCheckResponse.SERVING
            finally:
                serving.cancel()
        return time.monotonic() - began

    async def stop(self) -> int:
        """Drain it, and return its exit status."""
        self.process.send(signal.SIGTERM)
        return await self.process.ended()


@asynccontextmanager
async def workers(
    target: str, history: Path, handlers: Mapping[str, Sequence[str]]
) -> AsyncIterator[dict[str, Process]]:
    """Run a worker process for each id of `handlers`, for its handlers; those that are left at the end are killed."""
    log = history.with_suffix(".log")
    module = ("-m", "tests.faults.worker", target, str(history))
    started = {worker_id: Process(log, *module, worker_id, *names) for worker_id, names in handlers.items()}
    try:
        yield started
    finally:
        for process in started.values():
            if process.status is None:
                process.kill()


def now() -> float:
    """Return the wall clock of this machine, which its servers go by too, s."""
    return time.time()
