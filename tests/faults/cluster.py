"""Servers on one PostgreSQL, each of which may be hurt, and how to tell that it is well again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from itertools import count
from pathlib import Path
from typing import Self

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]

from taskwheel.v1.task_service_pb2 import CreateTaskRequest, ListTasksRequest
from tests.faults.api import Api, reason_of, retry_delay_of, task_of
from tests.faults.history import Policy
from tests.faults.processes import Server, connect, until

# The program, on a machine whose clock is wrong by as many seconds as follow.
SHIFTED = ("-m", "tests.faults.shifted")


class Cluster:
    """Some servers on one database, an async context manager. They start all at once, on an empty database.

    Args:
        folder: for logs.
        database_urls: how each of them gets to the database.
        lease: as `--lease` has it.
        shifts: by how many seconds their wall clocks are wrong; default: none is.
    """

    def __init__(
        self, folder: Path, database_urls: Sequence[str], *, lease: str = "2s", shifts: Sequence[int] = ()
    ) -> None:
        self.servers = []
        for number, url in enumerate(database_urls):
            program = (*SHIFTED, str(shifts[number])) if shifts else ("-m", "taskwheel.cli")
            self.servers.append(Server(folder / str(number), lease=lease, database_url=url, program=program))
        self._stack = AsyncExitStack()
        self._numbers = count()

    @property
    def targets(self) -> list[str]:
        return [server.target for server in self.servers]

    async def __aenter__(self) -> Self:
        for server in self.servers:
            server.log.parent.mkdir()
            self._stack.push_async_exit(server.__aexit__)
        try:
            await asyncio.gather(*(server.start() for server in self.servers))
            self._channels = [await self._stack.enter_async_context(connect(target)) for target in self.targets]
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def healthy_again(self) -> float:
        """Wait until every server says it serves and acknowledges a write; return how long that took, s."""
        began = time.monotonic()
        await asyncio.gather(*(until(partial(self._healthy, each), "a server is healthy") for each in self._channels))
        return time.monotonic() - began

    async def _healthy(self, channel: grpc.aio.Channel) -> bool:
        task_id = f"probe-{next(self._numbers)}"
        request = CreateTaskRequest(task_id=task_id, task=task_of("none", Policy()))
        try:
            answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=1)
            await Api(channel).tasks.CreateTask(request, timeout=5)
        except grpc.aio.AioRpcError as error:
            if error.code() not in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}:
                raise
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    async def refusals(self) -> list[tuple[str, str, bool]]:
        """Return how each server refuses a read and a write: code, reason, and whether it says when to try again."""
        found = []
        for channel in self._channels:
            api = Api(channel)
            create = CreateTaskRequest(task_id=f"probe-{next(self._numbers)}", task=task_of("none", Policy()))
            for rpc, request in ((api.tasks.CreateTask, create), (api.tasks.ListTasks, ListTasksRequest())):
                try:
                    await rpc(request, timeout=20)
                except grpc.aio.AioRpcError as error:
                    found.append((error.code().name, reason_of(error)[0], bool(retry_delay_of(error))))
                else:
                    found.append(("OK", "", False))
        return found
