"""A server that is told to stop under load, and one that is started beside another."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]

from tests.faults.history import History, Told, read
from tests.faults.processes import Server, connect, free_target, until
from tests.faults.size import size
from tests.faults.traffic import Traffic
from tests.faults.verdict import judge

# The server gives calls under way 5 s; a supervisor kills after 10 s or more.
STOPS_WITHIN = 10.0
STOPS = size(3, 20)
SEED = 20260303
SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


async def _watch_health(target: str, told: list[int]) -> None:
    """Write down what a watch of the server's health is told until it ends."""
    async with connect(target) as channel:
        stream = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        with contextlib.suppress(grpc.aio.AioRpcError):
            async for response in stream:
                told.append(response.status)  # noqa: PERF401 - what was told must be there before the end


@pytest.mark.timeout(size(180, 600))
async def test_a_server_told_to_stop_under_load_says_so_and_loses_nothing(
    tmp_path: Path, history: History, figure: Callable[..., None]
) -> None:
    stopped_after = []
    async with Server(tmp_path, lease="2s") as server, Traffic([server.target], history, SEED) as traffic:
        for stop in range(STOPS):
            traffic.ends.clear()
            told = len(read(history.path))
            await traffic.goes_on(400)
            health: list[int] = []
            watching = asyncio.create_task(_watch_health(server.target, health))
            await until(lambda: health, "the watch begins")  # noqa: B023 - awaited at once
            positions = dict(traffic.positions)
            began = time.monotonic()
            assert await server.stop() == 0
            stopped_after.append(time.monotonic() - began)
            await watching
            assert health == [SERVING, NOT_SERVING]
            goaways = [record.worker for record in read(history.path)[told:] if isinstance(record, Told)]
            assert {"worker-0", "worker-1"} <= set(goaways), f"stop {stop}"
            await until(lambda: len(traffic.ends) == len(positions), "the watches end")  # noqa: B023 - awaited at once
            for name, (reason, metadata) in traffic.ends.items():
                assert (reason, metadata["after_sequence"]) == ("SHUTTING_DOWN", str(traffic.positions[name]))
                assert traffic.positions[name] >= positions[name] > 0
            traffic.check_alive()
            await server.start()
        await judge(traffic, history)
    figure(stops=STOPS, seed=SEED, stopped_after_max=max(stopped_after), **traffic.figures)
    assert max(stopped_after) <= STOPS_WITHIN


async def test_a_second_server_on_the_same_file_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    async with Server(tmp_path) as server:
        second = Server(tmp_path, database_url=server.database_url)
        second.log = tmp_path / "second.log"
        process = second.launch(free_target())
        assert await process.ended() == 1
        assert second.log.read_text() == "taskwheel: another server is using this database file\n"
        async with connect(server.target) as channel:
            health = health_pb2_grpc.HealthStub(channel)
            assert (await health.Check(health_pb2.HealthCheckRequest())).status == SERVING
        # The lock goes with its process, however that ends.
        server.process.send(signal.SIGKILL)
        await server.process.ended()
        await server.start()


async def test_a_port_in_use_is_said_so(tmp_path: Path) -> None:
    async with Server(tmp_path) as server:
        other = Server(tmp_path, database_url=f"sqlite:///{tmp_path}/other.db")
        other.log = tmp_path / "other.log"
        process = other.launch(server.target)
        assert await process.ended() == 1
        assert other.log.read_text() == (
            f"taskwheel: cannot listen on {server.target}: the port is in use, or the address is not of this machine\n"
        )
