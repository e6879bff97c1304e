"""The connection to a server, twice: for callers that block and for callers that await.

Both answer the same coroutine methods, so all that is built on them is written once, as coroutines. Those of
`Transport` block inside and never suspend: `run_blocking` runs such a coroutine to its end without an event loop, at
the price of a function call.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import grpc
import grpc.aio

from taskwheel._errors import DeadlineExceeded, from_grpc
from taskwheel.v1 import (
    admin_service_pb2_grpc,
    event_service_pb2_grpc,
    task_run_service_pb2_grpc,
    task_service_pb2_grpc,
    worker_service_pb2_grpc,
)

T = TypeVar("T")

Metadata = Sequence[tuple[str, str]] | Callable[[], Sequence[tuple[str, str]]]
"""What goes with each call, such as an authorization: fixed, or asked for anew each time."""

Sent = tuple[tuple[str, str], ...]
"""What went, or is to go, with one call."""

DEFAULT_ADDRESS = "localhost:7420"
DEFAULT_TIMEOUT = 10.0

_RETRY = {
    "maxAttempts": 4,
    "initialBackoff": "0.05s",
    "maxBackoff": "1s",
    "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
}

# Streams are left out: they are taken up again where they ended, by `_follow` and by the worker. gRPC would repeat one
# that has no answer yet, and hang once its tries are used up. To claim twice is another thing than to do so once.
_SERVICE_CONFIG = {
    "methodConfig": [
        {"name": [{}], "retryPolicy": _RETRY},
        {
            "name": [
                {"service": "taskwheel.v1.EventService", "method": "WatchEvents"},
                {"service": "taskwheel.v1.TaskRunService", "method": "StreamTaskRunLogs"},
                {"service": "taskwheel.v1.WorkerService", "method": "Work"},
                {"service": "taskwheel.v1.WorkerService", "method": "ClaimTaskRuns"},
            ]
        },
    ]
}

_OPTIONS = [
    ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
    # A dead peer is noticed within 40 s, also on an idle stream.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    # A server that is back is found soon, also after a long absence.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 5_000),
    # A page ends at 3 MiB, but its last item may be a run with 1 MiB of payload and 1 MiB of result.
    ("grpc.max_receive_message_length", 16 * 2**20),
    # What the server takes: more is refused before it is sent.
    ("grpc.max_send_message_length", 4 * 2**20),
]


def _named(server_name: str | None) -> list[tuple[str, str]]:
    return [("grpc.ssl_target_name_override", server_name)] if server_name else []


class _Connection:
    """What both transports share: where to, as whom, how long, and the stubs over a channel.

    Attributes:
        answered: whether the server ever did.
    """

    def __init__(
        self,
        address: str | None,
        *,
        library: Any,
        credentials: grpc.ChannelCredentials | None = None,
        server_name: str | None = None,
        metadata: Metadata = (),
        timeout: float = DEFAULT_TIMEOUT,
    ) -> None:
        self.address = address or os.environ.get("TASKWHEEL_ADDRESS") or DEFAULT_ADDRESS
        self.timeout = timeout
        self.answered = False
        self._metadata = metadata
        self.channel = (
            library.insecure_channel(self.address, _OPTIONS)
            if credentials is None
            else library.secure_channel(self.address, credentials, [*_OPTIONS, *_named(server_name)])
        )
        self.tasks: Any = task_service_pb2_grpc.TaskServiceStub(self.channel)
        self.runs: Any = task_run_service_pb2_grpc.TaskRunServiceStub(self.channel)
        self.events: Any = event_service_pb2_grpc.EventServiceStub(self.channel)
        self.workers: Any = worker_service_pb2_grpc.WorkerServiceStub(self.channel)
        self.admin: Any = admin_service_pb2_grpc.AdminServiceStub(self.channel)

    def metadata(self) -> Sent:
        """What goes with the next call."""
        given = self._metadata() if callable(self._metadata) else self._metadata
        return tuple([(key, value) for key, value in given]) if given else ()


class Transport(_Connection):
    """Blocks: no method ever suspends."""

    def __init__(self, address: str | None, **options: Any) -> None:
        super().__init__(address, library=grpc, **options)
        self._threads = ThreadPoolExecutor(thread_name_prefix="taskwheel-client")

    async def call(self, rpc: Any, request: Any, timeout: float | None = None, metadata: Sent | None = None) -> Any:
        """Answer one request, within `timeout` seconds. Raises RpcError."""
        metadata = self.metadata() if metadata is None else metadata
        try:
            response = rpc(request, timeout=timeout or self.timeout, metadata=metadata)
        except grpc.RpcError as failed:
            raise from_grpc(failed) from None
        self.answered = True
        return response

    async def stream(self, rpc: Any, request: Any) -> AsyncIterator[Any]:
        """Answer the responses to a request, until the server ends them. Raises RpcError."""
        call = rpc(request, metadata=self.metadata())
        try:
            for response in call:
                yield response
        except grpc.RpcError as failed:
            raise from_grpc(failed) from None
        finally:
            call.cancel()

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        time.sleep(seconds)  # noqa: ASYNC251  # there is no loop to hold up

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine beside the caller, in a thread that is kept for the next one."""
        self._threads.submit(run_blocking, coroutine)

    def promise(self) -> Future[Any]:
        """A result to come, set from any thread."""
        return Future()

    async def outcome(self, promise: Future[Any], timeout: float) -> Any:
        """The result, or the error, that a promise is given within `timeout` seconds. Raises DeadlineExceeded."""
        try:
            return promise.result(timeout)
        except TimeoutError:
            raise _too_late() from None

    async def close(self) -> None:
        """End the connection."""
        self.channel.close()


class AsyncTransport(_Connection):
    """Awaits. To be made in a running event loop."""

    def __init__(self, address: str | None, **options: Any) -> None:
        super().__init__(address, library=grpc.aio, **options)
        # The event loop itself holds on to no task.
        self._tasks: set[asyncio.Task[None]] = set()

    async def call(self, rpc: Any, request: Any, timeout: float | None = None, metadata: Sent | None = None) -> Any:
        """Answer one request, within `timeout` seconds. Raises RpcError."""
        metadata = self.metadata() if metadata is None else metadata
        try:
            response = await rpc(request, timeout=timeout or self.timeout, metadata=metadata)
        except grpc.aio.AioRpcError as failed:
            raise from_grpc(failed) from None
        self.answered = True
        return response

    async def stream(self, rpc: Any, request: Any) -> AsyncIterator[Any]:
        """Answer the responses to a request, until the server ends them. Raises RpcError."""
        call = rpc(request, metadata=self.metadata())
        try:
            async for response in call:
                yield response
        except grpc.aio.AioRpcError as failed:
            raise from_grpc(failed) from None
        finally:
            call.cancel()

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        await asyncio.sleep(seconds)

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine beside the caller, as a task."""
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def promise(self) -> asyncio.Future[Any]:
        """A result to come."""
        return asyncio.get_running_loop().create_future()

    async def outcome(self, promise: asyncio.Future[Any], timeout: float) -> Any:
        """The result, or the error, that a promise is given within `timeout` seconds. Raises DeadlineExceeded."""
        timer = promise.get_loop().call_later(timeout, _expire, promise)
        try:
            return await promise
        finally:
            timer.cancel()

    async def close(self) -> None:
        """End the connection."""
        await self.channel.close()


def _expire(promise: asyncio.Future[Any]) -> None:
    if not promise.done():
        promise.set_exception(_too_late())


def _too_late() -> DeadlineExceeded:
    """The error that gRPC has for it."""
    return DeadlineExceeded(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")


def run_blocking(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine over `Transport` to its end, in this thread and without an event loop."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    raise RuntimeError("a coroutine over a blocking transport was about to suspend")
