"""What the transport does about a server that does not answer well."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from google.protobuf.any_pb2 import Any as Packed
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

import taskwheel
from taskwheel._transport import Transport, run_blocking
from taskwheel.v1 import admin_service_pb2_grpc, event_service_pb2_grpc, worker_service_pb2_grpc
from taskwheel.v1.admin_service_pb2 import GetServerInfoResponse
from taskwheel.v1.event_pb2 import Event
from taskwheel.v1.event_service_pb2 import WatchEventsRequest, WatchEventsResponse
from taskwheel.v1.worker_service_pb2 import ClaimTaskRunsRequest


class Moody(
    admin_service_pb2_grpc.AdminServiceServicer,
    event_service_pb2_grpc.EventServiceServicer,
    worker_service_pb2_grpc.WorkerServiceServicer,
):
    """Answers what the test has it answer, call by call."""

    def __init__(self) -> None:
        self.moods: list[Callable[[Any], Any]] = []
        self.requests: list[Any] = []

    def GetServerInfo(self, request, context):  # noqa: N802
        self.requests.append(request)
        return self.moods.pop(0)(context)

    def WatchEvents(self, request, context):  # noqa: N802
        self.requests.append(request)
        yield from self.moods.pop(0)(context)

    def ClaimTaskRuns(self, request, context):  # noqa: N802
        self.requests.append(request)
        return self.moods.pop(0)(context)


@pytest.fixture
def moody() -> Iterator[Moody]:
    servicer = Moody()
    with ThreadPoolExecutor(4) as pool:
        server = grpc.server(pool)
        admin_service_pb2_grpc.add_AdminServiceServicer_to_server(servicer, server)
        event_service_pb2_grpc.add_EventServiceServicer_to_server(servicer, server)
        worker_service_pb2_grpc.add_WorkerServiceServicer_to_server(servicer, server)
        servicer.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"  # type: ignore[attr-defined]
        server.start()
        yield servicer
        server.stop(0).wait()


@pytest.fixture
def client(moody) -> Iterator[taskwheel.Client]:
    with taskwheel.Client(moody.address, timeout=5) as client:
        yield client


def unavailable(context: grpc.ServicerContext) -> Any:
    context.abort(grpc.StatusCode.UNAVAILABLE, "not now")


def cut_short(context: grpc.ServicerContext) -> Any:
    context.abort(grpc.StatusCode.CANCELLED, "")


def lost(context: grpc.ServicerContext) -> Any:
    context.abort(grpc.StatusCode.INTERNAL, "lost")


def info(_: grpc.ServicerContext) -> Any:
    return GetServerInfoResponse(version="1")


def test_a_call_that_finds_no_server_is_repeated(client, moody):
    moody.moods = [unavailable, cut_short, unavailable, info]
    assert client.server_info().version == "1"


def test_after_four_times_the_caller_hears_of_it(client, moody):
    moody.moods = [unavailable] * 4 + [info]
    with pytest.raises(taskwheel.Unavailable, match="not now"):
        client.server_info()
    assert len(moody.requests) == 4


def test_other_errors_are_not_repeated(client, moody):
    moody.moods = [lost, info]
    with pytest.raises(taskwheel.RpcError, match="lost") as caught:
        client.server_info()
    assert caught.value.code is grpc.StatusCode.INTERNAL


async def test_the_async_client_repeats_too(moody):
    moody.moods = [unavailable, info]
    async with taskwheel.AsyncClient(moody.address) as client:
        assert (await client.server_info()).version == "1"


def placed(context: grpc.ServicerContext) -> Any:
    yield WatchEventsResponse(sequence=5)
    yield WatchEventsResponse(sequence=7, events=[Event(sequence=6), Event(sequence=7)])
    detail = Packed()
    detail.Pack(ErrorInfo(reason="SUBSCRIBER_TOO_SLOW", domain="taskwheel"))
    status = Status(code=grpc.StatusCode.RESOURCE_EXHAUSTED.value[0], message="too slow", details=[detail])
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too slow")


def marked(context: grpc.ServicerContext) -> Any:
    yield WatchEventsResponse(sequence=7)
    yield WatchEventsResponse(sequence=9)
    unavailable(context)


def more(_: grpc.ServicerContext) -> Any:
    yield WatchEventsResponse(sequence=10, events=[Event(sequence=10)])


def test_a_watch_resumes_from_its_last_mark_also_when_it_was_too_slow(client, moody):
    moody.moods = [placed, marked, more]
    events = client.watch_events()
    assert [next(events).sequence for _ in range(3)] == [6, 7, 10]
    positions = [request.after_sequence if request.HasField("after_sequence") else None for request in moody.requests]
    assert positions == [None, 7, 9]
    events.close()


def test_a_blocking_transport_never_suspends(moody):
    async def suspends() -> None:
        import asyncio  # noqa: PLC0415  # only here

        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="suspend"):
        run_blocking(suspends())
    transport = Transport(moody.address, credentials=None, metadata=(), timeout=1)
    run_blocking(transport.sleep(0))
    run_blocking(transport.close())
    assert WatchEventsRequest().after_sequence == 0


def test_a_claim_is_not_repeated(moody):
    moody.moods = [unavailable] * 4
    transport = Transport(moody.address)
    with pytest.raises(taskwheel.Unavailable):
        run_blocking(transport.call(transport.workers.ClaimTaskRuns, ClaimTaskRunsRequest()))
    run_blocking(transport.close())
    assert len(moody.requests) == 1
