"""A worker's stream whose server, or whose writer, does not do its part."""

import asyncio

import grpc.aio
import pytest

import taskwheel
from taskwheel._worker import stream
from taskwheel._worker.outbox import Outbox
from taskwheel.v1 import worker_service_pb2, worker_service_pb2_grpc


class Server(worker_service_pb2_grpc.WorkerServiceServicer):
    """Says goodbye to each stream, and never ends it."""

    def __init__(self) -> None:
        self.streams: asyncio.Queue[None] = asyncio.Queue()
        self.address = ""

    async def Work(self, requests, context):  # noqa: N802 - as the contract names it
        self.streams.put_nowait(None)
        response = worker_service_pb2.WorkResponse(goaway=True)
        response.welcome.lease_duration.seconds = 30
        await context.write(response)
        await asyncio.Event().wait()


@pytest.fixture
async def silent():
    server = grpc.aio.server()
    servicer = Server()
    worker_service_pb2_grpc.add_WorkerServiceServicer_to_server(servicer, server)
    servicer.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    yield servicer
    await server.stop(0)


def serving(address: str) -> asyncio.Task[None]:
    worker = taskwheel.Worker(address)
    worker.handler("a")(lambda run: None)
    return asyncio.create_task(worker.serve())


async def end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_worker_connects_anew_when_the_server_does_not_end_a_stream_after_goaway(silent, monkeypatch):
    monkeypatch.setattr(stream, "_LAST_WORD", 0.05)
    task = serving(silent.address)
    async with asyncio.timeout(10):
        for _ in range(2):
            await silent.streams.get()
    await end(task)


async def test_a_writer_that_fails_ends_the_worker_loudly(silent, monkeypatch):
    def fail(_outbox: Outbox) -> None:
        raise RuntimeError("nothing can be written")

    monkeypatch.setattr(Outbox, "frame", fail)
    with pytest.raises(RuntimeError, match="nothing can be written"):
        async with asyncio.timeout(10):
            await serving(silent.address)
