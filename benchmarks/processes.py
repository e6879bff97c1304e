"""Processes under measurement: the server, the bare echo server, the load generator; their CPU time and memory."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import grpc

from taskwheel.v1.admin_service_pb2 import GetServerInfoRequest
from taskwheel.v1.admin_service_pb2_grpc import AdminServiceStub

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_TICKS = os.sysconf("SC_CLK_TCK")
START_TIMEOUT = 60.0


class Process:
    """A child process.

    Args:
        arguments: what follows `python`.
        **pipes: for Popen.
    """

    def __init__(self, *arguments: str, **pipes: Any) -> None:
        self._child = subprocess.Popen([sys.executable, *arguments], **pipes)
        self._proc = Path(f"/proc/{self._child.pid}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._child.terminate()
        self._child.wait()

    @property
    def cpu(self) -> float:
        """CPU seconds used so far, in all threads."""
        fields = (self._proc / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    @property
    def rss(self) -> int:
        """Resident memory, bytes."""
        return int((self._proc / "statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")

    def alive(self) -> bool:
        """Whether it still runs."""
        return self._child.poll() is None


class Listener(Process):
    """A process that listens on `target`, ready when it accepts connections."""

    def __init__(self, target: str, *arguments: str, **pipes: Any) -> None:
        self.target = target
        super().__init__(*arguments, **pipes)
        wait_for(target, self.alive, f"{' '.join(arguments)} does not listen")


def wait_for(target: str, alive: Callable[[], bool], failure: str) -> None:
    """Return when something listens on `target`; raise RuntimeError with `failure` when it is not `alive`, or late."""
    host, _, port = target.rpartition(":")
    limit = time.monotonic() + START_TIMEOUT
    while True:
        try:
            socket.create_connection((host, int(port))).close()
            return
        except ConnectionRefusedError:
            if not alive() or time.monotonic() > limit:
                raise RuntimeError(failure) from None
            time.sleep(0.002)


def free_target() -> str:
    """Return an address of this machine that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def server(database: Path) -> Listener:
    """Start `taskwheel serve` on a database file and wait until it answers."""
    target = free_target()
    url = f"sqlite:///{database}"
    arguments = ["-m", "taskwheel.cli", "serve", "--listen", target, "--database-url", url]
    listener = Listener(target, *arguments, stderr=subprocess.DEVNULL)
    with channel(listener.target) as connection:
        AdminServiceStub(connection).GetServerInfo(GetServerInfoRequest(), wait_for_ready=True)
    return listener


def echo(reply: bytes = b"") -> Listener:
    """Start the bare gRPC server that answers every call with `reply`."""
    target = free_target()
    return Listener(target, "-m", "benchmarks.echo", target, reply.hex(), stderr=subprocess.DEVNULL)


@contextmanager
def channel(target: str) -> Iterator[grpc.Channel]:
    """Open a channel of its own connection."""
    with grpc.insecure_channel(target, options=[("grpc.use_local_subchannel_pool", 1)]) as connection:
        yield connection


class Load(Process):
    """The load generator: `benchmarks.load`, told what to do line by line."""

    def __init__(self) -> None:
        # Servers come and go: the library has something to say each time.
        quiet = os.environ | {"GRPC_VERBOSITY": "ERROR"}
        pipe = subprocess.PIPE
        super().__init__("-m", "benchmarks.load", stdin=pipe, stdout=pipe, text=True, env=quiet)

    def __call__(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Have `command` carried out and return what it measured; bytes travel as hexadecimal text."""
        assert self._child.stdin
        assert self._child.stdout
        packed = {name: value.hex() if isinstance(value, bytes) else value for name, value in arguments.items()}
        print(json.dumps([command, packed]), file=self._child.stdin, flush=True)
        answer = self._child.stdout.readline()
        if not answer:
            raise RuntimeError(f"the load generator died at {command}")
        measured: dict[str, Any] = json.loads(answer)
        return measured
