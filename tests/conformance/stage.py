"""What the runner does by itself: a real server with a proxy before it, its own calls, and a server that pretends."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.json_format import MessageToDict, ParseDict

from taskwheel._errors import from_grpc
from tests.client.proxy import Proxy
from tests.conformance.drivers.answers import error_of
from tests.conformance.matching import differences, filled
from tests.conformance.methods import method_of
from tests.conformance.pretended import Pretended
from tests.faults.processes import ROOT, free_target

# How long a condition may take to come true on a machine with other things to do, s.
PATIENCE = 20.0


class Refused(Exception):
    """The server refused a call of the runner; its argument is the error as a driver would tell it."""


class Server:
    """`taskwheel serve` on one address and one file, through any number of processes.

    Args:
        folder: for its file and its log.
        program: what to call with the arguments of `taskwheel`, as `python` takes it.
        lease: s. Short, so that losing one takes no time.
    """

    def __init__(self, folder: Path, *program: str, lease: float = 2) -> None:
        self._folder = folder
        self._program = program or ("-m", "taskwheel.cli")
        self._lease = lease
        self.target = free_target()
        self.start()

    def start(self) -> None:
        """Start a process, and wait until it serves."""
        database = f"sqlite:///{self._folder / 'taskwheel.db'}"
        flags = ("--listen", self.target, "--database-url", database, "--lease", f"{self._lease:g}s")
        with (self._folder / "server.log").open("ab") as sink:
            self._process = subprocess.Popen(
                [sys.executable, *self._program, "serve", *flags], cwd=ROOT, stdout=sink, stderr=sink
            )
        with grpc.insecure_channel(self.target, [("grpc.max_reconnect_backoff_ms", 100)]) as channel:
            grpc.channel_ready_future(channel).result(PATIENCE)

    def stop(self) -> None:
        """Drain it; nothing if it has ended."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(PATIENCE)

    def restart(self, lease: float | None = None) -> None:
        """Drain it, and start it on the same address and file, from then on with another lease if one is given."""
        self.stop()
        self._lease = lease or self._lease
        self.start()

    @property
    def stopped(self) -> bool:
        """Whether it has ended."""
        return self._process.poll() is not None


class Stage:
    """What stands around the server for one language.

    Args:
        server: the one live server.
        folder: for what else is begun.
    """

    def __init__(self, server: Server, folder: Path) -> None:
        self._server = server
        self._folder = folder
        self.target = server.target
        self._proxy = Proxy(self.target)
        self._channel: Any = grpc.insecure_channel(self.target, [("grpc.max_reconnect_backoff_ms", 200)])
        self._pretended: list[Pretended] = []
        self._skewed: Server | None = None

    def variables(self) -> dict[str, Any]:
        """What steps may name."""
        return {"target": self.target, "proxy": self._proxy.address}

    def verb(self, name: str) -> Callable[..., Any]:
        """The runner's verb of this name."""
        verb: Callable[..., Any] = getattr(self, name)
        return verb

    def start_server(self) -> None:
        """Start it again."""
        self._server.start()

    def stop_server(self) -> None:
        """Drain it."""
        self._server.stop()

    def restart_server(self) -> None:
        """Drain it, and start it on the same port and file."""
        self._server.restart()

    def skew(self, seconds: int) -> dict[str, Any]:
        """Begin a server whose clock differs from the callers' by so much; the variable by which it is found."""
        self._skewed = Server(Path(tempfile.mkdtemp(dir=self._folder)), "-m", "tests.faults.shifted", str(seconds))
        return {"skewed": self._skewed.target}

    def rest(self, seconds: float) -> None:
        """Let time pass."""
        time.sleep(seconds)

    def refuse(self) -> None:
        """Let the proxy take no new connections."""
        self._proxy.refusing = True

    def accept(self) -> None:
        """Let the proxy take connections again."""
        self._proxy.refusing = False

    def cut(self) -> None:
        """Break the connections through the proxy."""
        self._proxy.cut()

    def call(self, method: str, request: dict[str, Any], times: int = 1) -> Any:
        """Call the server, so many times, and answer what it answered last. Raises Refused."""
        return [self._call(method, filled(request, {"n": number})) for number in range(times)][-1]

    def _call(self, method: str, request: dict[str, Any]) -> Any:
        rpc = method_of(method)
        call = self._channel.unary_unary(
            f"/taskwheel.v1.{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=rpc.response.FromString,
        )
        try:
            answer = call(ParseDict(request, rpc.request()), timeout=PATIENCE, wait_for_ready=True)
        except grpc.RpcError as failed:
            raise Refused(error_of(from_grpc(failed))) from None
        return MessageToDict(answer)

    def until(self, run: str, **expected: Any) -> Any:
        """Wait until a run is as it is to be."""
        limit = time.monotonic() + PATIENCE
        while True:
            found = self._call("TaskRunService/GetTaskRun", {"name": run})
            if not list(differences(expected, found)) or time.monotonic() > limit:
                return found
            time.sleep(0.01)

    def pretend(self, answers: dict[str, list[dict[str, Any]]], tls: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002
        """Begin a server of a later version that answers so; the variables by which it is found."""
        certificate = self._folder / "ca.pem" if tls else None
        self._pretended.append(Pretended(answers, certificate))
        return {"newer": self._pretended[-1].address, "ca": str(certificate)}

    def requests(self, method: str) -> list[dict[str, Any]]:
        """What the server that pretends was asked."""
        return self._pretended[-1].requests[method]

    def requested(self, method: str, request: dict[str, Any]) -> None:
        """Wait until the server that pretends is asked such a thing."""
        limit = time.monotonic() + PATIENCE
        while True:
            found = [one["request"] for one in self.requests(method)]
            if any(not list(differences(request, one)) for one in found):
                return
            if time.monotonic() > limit:
                raise Refused({"unexpected": f"it was only asked {found}"})
            time.sleep(0.01)

    def reset(self) -> None:
        """Make it as it was at first, for the next behaviour."""
        self.accept()
        self.cut()
        while self._pretended:
            self._pretended.pop().close()
        if self._skewed:
            self._skewed.stop()
            self._skewed = None
        if self._server.stopped:
            self._server.start()

    def close(self) -> None:
        """End everything but the server."""
        self.reset()
        self._channel.close()
        self._proxy.close()
