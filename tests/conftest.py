"""Fixtures of all tests: a database, a clock that stands still, and a real server that goes by it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import grpc
import hypothesis
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from grpc_status import rpc_status  # type: ignore[import-untyped]

from taskwheel.v1.admin_service_pb2_grpc import AdminServiceStub
from taskwheel.v1.event_service_pb2_grpc import EventServiceStub
from taskwheel.v1.task_run_service_pb2_grpc import TaskRunServiceStub
from taskwheel.v1.task_service_pb2_grpc import TaskServiceStub
from taskwheel.v1.worker_service_pb2_grpc import WorkerServiceStub
from taskwheel_server.app import Server, Settings
from taskwheel_server.clock import ManualClock
from taskwheel_server.wheel.commands import RenewLeases
from tests.databases import databases, postgresql, sqlite

# No test tells the time: on a busy machine an example may take long.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

# Sunday 2026-03-01 12:00:00 UTC.
START = 1_772_366_400_000_000
__all__ = ["databases", "postgresql", "sqlite"]


@pytest.fixture
def database_url(databases) -> str:
    """An empty database of each kind."""
    return databases.fresh()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


class RunningServer:
    """A server in a thread and on an event loop of its own, as a client in another process would meet it."""

    def __init__(self, settings: Settings, clock: ManualClock) -> None:
        self.clock = clock
        self._settings = settings
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), name="server")
        self._started: Future[None] = Future()

    def start(self) -> None:
        self._thread.start()
        self._started.result()

    def stop(self) -> None:
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()

    async def _main(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        try:
            async with Server(self._settings, self.clock, grace=1) as self.server:
                store = self.server.store
                # Closing the store replaces its pools.
                self._pools: list[Any] = [store._reader.pool, store._writer.pool]
                self._started.set_result(None)
                await self._stop.wait()
        except BaseException as error:
            if self._started.done():
                raise
            self._started.set_exception(error)

    @property
    def checked_out(self) -> int:
        """How many connections to the database nobody gave back."""
        return sum(pool.checkedout() for pool in self._pools)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server.port}"

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine on the server's loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)

    def settle(self) -> None:
        """Wait until the wheel has nothing more to do at this instant."""
        self.run(self._settled())

    async def _settled(self) -> None:
        wheel = self.server.wheel
        await wheel.submit(RenewLeases([]))
        while wheel.busy:
            await wheel.submit(RenewLeases([]))

    def crank(self, duration: int) -> None:
        """Move the clock forward by `duration` µs, and wait until all that became due has been done."""
        self.clock.advance(duration)
        self.settle()


class Stubs:
    """The services as a client sees them."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.channel = channel
        self.tasks = TaskServiceStub(channel)
        self.runs = TaskRunServiceStub(channel)
        self.events = EventServiceStub(channel)
        self.workers = WorkerServiceStub(channel)
        self.admin = AdminServiceStub(channel)


@pytest.fixture
def server(database_url, clock) -> Iterator[RunningServer]:
    running = RunningServer(Settings(listen="127.0.0.1:0", database_url=database_url), clock)
    running.start()
    yield running
    running.stop()
    assert running.checked_out == 0


@pytest.fixture
def stubs(server) -> Iterator[Stubs]:
    with grpc.insecure_channel(server.address) as channel:
        yield Stubs(channel)


@pytest.fixture
def crank(server):
    """Crank the server's clock: `crank(MINUTE)`."""
    return server.crank


@dataclass(frozen=True)
class Refusal:
    """An error as a caller meets it."""

    code: grpc.StatusCode
    reason: str
    fields: list[str]
    message: str
    metadata: dict[str, str]
    details: list[str]


@pytest.fixture
def refused():
    """Call an rpc that must fail and return its Refusal: `refused(stubs.tasks.GetTask, request)`."""

    def call(rpc, request, **options) -> Refusal:
        with pytest.raises(grpc.RpcError) as caught:
            rpc(request, **options)
        return refusal_of(caught.value)

    return call


def refusal_of(error: Any) -> Refusal:
    status = rpc_status.from_call(error)
    assert status is not None, f"{error.code()} without details: {error.details()}"
    assert status.ByteSize() <= 4096
    infos: list[ErrorInfo] = []
    fields: list[str] = []
    for detail in status.details:
        if detail.Is(ErrorInfo.DESCRIPTOR):
            infos.append(ErrorInfo.FromString(detail.value))
        elif detail.Is(BadRequest.DESCRIPTOR):
            fields += [violation.field for violation in BadRequest.FromString(detail.value).field_violations]
    [info] = infos
    assert info.domain == "taskwheel"
    kinds = [detail.type_url.rpartition(".")[2] for detail in status.details]
    return Refusal(error.code(), info.reason, fields, error.details(), dict(info.metadata), kinds)
