"""The worker as its users see it, and the loop that keeps it connected."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import signal
import socket
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import grpc

from taskwheel._errors import RpcError
from taskwheel._transport import AsyncTransport, Metadata
from taskwheel._worker.executor import Executor, Handler
from taskwheel._worker.outbox import Outbox
from taskwheel._worker.stream import Stream
from taskwheel.v1 import worker_service_pb2

H = TypeVar("H", bound=Handler)

_log = logging.getLogger("taskwheel.worker")

_FIRST_DELAY = 0.2
_LAST_DELAY = 10.0
# A worker that stops has only its grace to bring home what it has.
_STOPPING_DELAY = 0.5

# What servers and proxies that end make of a stream; anything else is a refusal.
_BROKEN = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}

# Once the grace is over: for handlers to hear that they are cancelled, and for the last results to arrive.
_AFTER_GRACE = 5.0
# And for each call that says what no stream could any more.
_LAST_CALL = 5.0


class Worker:
    """Works runs of the handlers it has, until it is stopped.

    Plain handlers run in threads and async ones in the event loop. A handler is given a Run; what it returns, any JSON
    value, is the result of the run, and what it raises is its error. The connection is kept: after a break the worker
    connects again, goes on with the runs it holds, and delivers the results it could not deliver.

    Args:
        address: host and port; default the environment variable TASKWHEEL_ADDRESS, else localhost:7420.
        max_concurrent_runs: how many runs it works on at a time, 1 to 10,000.
        worker_id: a name for it, which runs carry; default the host and the process id.
        grace: seconds that runs may still take after stop; then async handlers are cancelled, and plain ones are left
            to their leases.
        credentials: of the channel, such as grpc.ssl_channel_credentials(); default none, without TLS.
        server_name: the name in the server's certificate; default the host of the address.
        metadata: sent with each call, or a function that is asked each time.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        max_concurrent_runs: int = 100,
        worker_id: str | None = None,
        grace: float = 30.0,
        credentials: grpc.ChannelCredentials | None = None,
        server_name: str | None = None,
        metadata: Metadata = (),
    ) -> None:
        self.address = address
        self.handlers: dict[str, Handler] = {}
        self.max_concurrent_runs = max_concurrent_runs
        self.worker_id = worker_id or f"{socket.gethostname()}:{os.getpid()}"
        self.grace = grace
        self.credentials = credentials
        self.server_name = server_name
        self.metadata = metadata
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()
        self._hurry = asyncio.Event()

    def handler(self, name: str) -> Callable[[H], H]:
        """Register a function, plain or async, for the runs of tasks whose handler has this name.

        Raises:
            ValueError: the name has a handler already.
        """

        def register(function: H) -> H:
            if name in self.handlers:
                raise ValueError(f"there is a handler {name!r} already")
            self.handlers[name] = function
            return function

        return register

    def run(self) -> None:
        """Work until stop is called, or the process is told to end by SIGTERM or SIGINT; the second time at once.

        Raises:
            RpcError: the server refuses the worker.
            ValueError: it has no handlers.
        """

        async def main() -> None:
            for number in (signal.SIGTERM, signal.SIGINT):
                with contextlib.suppress(ValueError, RuntimeError):  # not the main thread: stop is all there is
                    asyncio.get_running_loop().add_signal_handler(number, self.stop)
            await self.serve()

        asyncio.run(main())

    def stop(self) -> None:
        """Finish what is under way and hand back what has not begun; called again, do not wait. From any thread."""
        if self._loop is None:
            self._stop()
        else:
            with contextlib.suppress(RuntimeError):  # it has ended
                self._loop.call_soon_threadsafe(self._stop)

    def _stop(self) -> None:
        if self._stopping.is_set():
            self._hurry.set()
        self._stopping.set()

    async def serve(self) -> None:
        """Work until stop is called, in the running event loop. Raises as run does."""
        if not self.handlers:
            raise ValueError("the worker has no handlers")
        self._loop = asyncio.get_running_loop()
        transport = AsyncTransport(
            self.address, credentials=self.credentials, server_name=self.server_name, metadata=self.metadata
        )
        outbox = Outbox()
        executor = Executor(self.handlers, self.max_concurrent_runs, outbox)
        connecting = asyncio.create_task(self._stay_connected(transport, outbox, executor))
        stopping = asyncio.create_task(self._end_of_grace(executor))
        try:
            await asyncio.wait((connecting, stopping), return_when=asyncio.FIRST_COMPLETED)
            if connecting.done():
                await connecting
        finally:
            for task in (connecting, stopping):
                task.cancel()
            await asyncio.gather(connecting, stopping, return_exceptions=True)
            executor.close()
            await asyncio.sleep(0)  # lets interrupted handlers report
            await self._deliver(transport, outbox)
            await transport.close()

    async def _end_of_grace(self, executor: Executor) -> None:
        await self._stopping.wait()
        executor.drain()
        await _within(self.grace, self._hurry)
        executor.interrupt()
        await asyncio.sleep(_AFTER_GRACE)

    async def _stay_connected(self, transport: AsyncTransport, outbox: Outbox, executor: Executor) -> None:
        hello = worker_service_pb2.Hello(
            worker_id=self.worker_id, handlers=self.handlers, max_concurrent_runs=self.max_concurrent_runs
        )
        delay, told = _FIRST_DELAY, False
        while not self._over(outbox):
            stream = Stream(transport, hello, outbox, executor)
            try:
                await stream.work()
            except RpcError as error:
                if error.code not in _BROKEN:
                    raise
                if stream.welcomed or not told:  # once an outage
                    _log.warning("no connection to %s, trying again: %s", transport.address, error)
                told = True
            else:
                told = False
            if stream.welcomed:
                delay = _FIRST_DELAY
            pause = delay * random.uniform(0.5, 1)
            if not self._stopping.is_set():
                await _within(pause, self._stopping)
            elif not self._over(outbox):
                await asyncio.sleep(min(pause, _STOPPING_DELAY))
            delay = min(2 * delay, _LAST_DELAY)

    def _over(self, outbox: Outbox) -> bool:
        return self._stopping.is_set() and not outbox.held and outbox.empty

    async def _deliver(self, transport: AsyncTransport, outbox: Outbox) -> None:
        """Say by single calls what the stream could not deliver before the worker ended; lines before results.

        Each call waits for a connection, for a moment. A line that is lost is no reason to lose a result.
        """
        outbox.restore()
        reached = True
        workers = transport.workers
        while reached and (frame := outbox.frame()):
            calls: list[tuple[Any, Any]] = [(workers.AppendLogs, lines) for lines in frame.logs]
            if frame.results:
                results = worker_service_pb2.CompleteTaskRunsRequest(results=frame.results)
                calls.append((workers.CompleteTaskRuns, results))
            for rpc, request in calls:
                try:
                    await transport.call(partial(rpc, wait_for_ready=True), request, _LAST_CALL)
                except RpcError as error:
                    _log.warning("what the worker had left could not be delivered: %s", error)
                    reached &= error.code not in _BROKEN and error.code is not grpc.StatusCode.DEADLINE_EXCEEDED


async def _within(seconds: float, event: asyncio.Event) -> None:
    """Let time pass, until the event at most."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
