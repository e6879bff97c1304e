"""The disk fills up under the server, and there is room again: by a file system that is full, and by a file's limit."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import grpc
import pytest

from taskwheel.v1.task_run_service_pb2 import GetTaskRunRequest
from taskwheel.v1.task_service_pb2 import RunTaskRequest
from tests.faults.api import Api, all_runs, create_tasks, reason_of
from tests.faults.history import Policy
from tests.faults.processes import Server, connect, until

MIB = 1024 * 1024
# Room for the empty database and some 20 runs of 256 KiB.
SMALL = 8 * MIB
PAYLOAD = "x" * (256 * 1024)
# How soon it writes again.
RECOVERS_WITHIN = 5.0


class Disk(Protocol):
    """Somewhere to put a database, that is small until it grows."""

    folder: Path

    def shrink(self, server: Server) -> None: ...
    def grow(self, server: Server) -> None: ...


class FileSystem:
    """A file system in memory. Full, it answers ENOSPC."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def shrink(self, _server: Server) -> None:
        """It is small from the start."""

    def grow(self, _server: Server) -> None:
        subprocess.run(["mount", "-o", f"remount,size={16 * SMALL}", self.folder], check=True)


class FileLimit:
    """A limit on the size of the server's files. Past it, it answers EFBIG."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def shrink(self, server: Server) -> None:
        _, hard = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (SMALL, hard))

    def grow(self, server: Server) -> None:
        _, hard = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (hard, hard))


@pytest.fixture(params=["file system", "file limit"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    if request.param == "file limit":
        yield FileLimit(folder)
        return
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={SMALL}", "taskwheel", str(folder)]
    if subprocess.run(mounting, check=False, capture_output=True).returncode:
        pytest.skip("only root may mount")
    yield FileSystem(folder)
    subprocess.run(["umount", "--lazy", folder], check=True)


async def _run(api: Api, number: int) -> str:
    request = RunTaskRequest(name="plain", request_id=f"request-{number}")
    request.payload.update({"text": PAYLOAD})
    return (await api.tasks.RunTask(request, timeout=10)).name


@pytest.mark.timeout(120)
async def test_a_full_disk_refuses_writes_and_only_those_until_there_is_room(
    disk: Disk, tmp_path: Path, figure: Callable[..., None]
) -> None:
    database = disk.folder / "taskwheel.db"
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(Server(tmp_path, database_url=f"sqlite:///{database}"))
        api = Api(await stack.enter_async_context(connect(server.target)))
        await create_tasks(api, {"plain": "nobody"}, {"plain": Policy()})
        disk.shrink(server)
        acknowledged: list[str] = []
        refused: list[grpc.aio.AioRpcError] = []
        for number in range(200):
            try:
                acknowledged.append(await _run(api, number))
            except grpc.aio.AioRpcError as error:
                refused.append(error)
            if len(refused) == 5:
                break
        assert acknowledged
        assert {(error.code(), reason_of(error)[0]) for error in refused} == {
            (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")
        }
        assert len(refused) == 5
        # What is stored can still be read.
        await api.runs.GetTaskRun(GetTaskRunRequest(name=acknowledged[-1]))
        assert {run.name async for run in all_runs(api)} == set(acknowledged)
        disk.grow(server)
        began = asyncio.get_running_loop().time()
        numbers = iter(range(1000, 2000))

        async def writes() -> bool:
            with contextlib.suppress(grpc.aio.AioRpcError):
                acknowledged.append(await _run(api, next(numbers)))
                return True
            return False

        await until(writes, "it writes again", RECOVERS_WITHIN)
        figure(written_again_after=asyncio.get_running_loop().time() - began, runs=len(acknowledged))
        acknowledged += [await _run(api, number) for number in range(2000, 2020)]
        stored = [run async for run in all_runs(api)]
        assert {run.name for run in stored} >= set(acknowledged)
        assert {run.payload.fields["text"].string_value for run in stored} == {PAYLOAD}
        assert await server.stop() == 0
        with contextlib.closing(sqlite3.connect(database)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
