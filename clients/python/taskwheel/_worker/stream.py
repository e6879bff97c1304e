"""One Work stream, from hello to its end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any

import grpc.aio

from taskwheel._errors import from_grpc
from taskwheel._transport import AsyncTransport
from taskwheel._worker.executor import Executor
from taskwheel._worker.outbox import Outbox, WorkRequest
from taskwheel.v1 import worker_service_pb2

Acknowledgement = worker_service_pb2.Acknowledgement
Hello = worker_service_pb2.Hello
WorkResponse = worker_service_pb2.WorkResponse

_log = logging.getLogger("taskwheel.worker")

# A server that was told there is no more ends the stream at once.
_LAST_WORD = 5.0


class Stream:
    """A Work stream: brings assignments to the executor and takes frames from the outbox.

    It ends when the server ends it; after goaway, once all that was reported is acknowledged; and when the
    executor drains, once no run is left either.
    """

    def __init__(self, transport: AsyncTransport, hello: Hello, outbox: Outbox, executor: Executor) -> None:
        self._transport = transport
        self._hello = hello
        self._outbox = outbox
        self._executor = executor
        self._goaway = False
        self._renewing: asyncio.Task[None] | None = None
        self._welcome = asyncio.Event()

    @property
    def welcomed(self) -> bool:
        """Whether the server has taken the worker on."""
        return self._welcome.is_set()

    async def work(self) -> None:
        """Work until the stream ends. Raises RpcError when it breaks."""
        call = self._transport.workers.Work(metadata=self._transport.metadata())
        self._outbox.restore()
        writing = asyncio.create_task(self._write(call))
        # A stream on which nothing is sent any more would go on to take runs and let their leases end.
        writing.add_done_callback(lambda _: call.cancel())
        try:
            async for response in call:
                self._receive(response)
        except grpc.aio.AioRpcError as failed:
            raise from_grpc(failed) from None
        except asyncio.CancelledError:
            # Asked of us, or how the call tells that the writer has ended it.
            if (task := asyncio.current_task()) is None or task.cancelling():
                raise
        finally:
            call.cancel()
            for task in (writing, self._renewing):
                if task:
                    task.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await task

    def _receive(self, response: WorkResponse) -> None:
        if response.HasField("welcome"):
            self._welcome.set()
            _log.info("%s is connected to %s", self._hello.worker_id, self._transport.address)
            self._renewing = asyncio.create_task(self._renew(response.welcome.lease_duration.ToTimedelta() / 3))
        if response.assignments:
            self._executor.assign(response.assignments)
        for acknowledgement in response.acknowledgements:
            self._outbox.acknowledge(acknowledgement.run)
            if acknowledgement.status == Acknowledgement.LEASE_LOST:
                _log.warning("%s: the result came after its lease had ended", acknowledgement.run)
        for cancellation in response.cancellations:
            self._executor.cancel(cancellation)
        self._goaway |= response.goaway
        if self._goaway or self._executor.draining:
            self._outbox.wake()

    async def _renew(self, interval: Any) -> None:
        while True:
            await asyncio.sleep(interval.total_seconds())
            self._outbox.renew()

    async def _write(self, call: Any) -> None:
        # A stream that broke fails each write; the reader tells why.
        with contextlib.suppress(asyncio.InvalidStateError, grpc.aio.AioRpcError):
            await call.write(WorkRequest(hello=self._hello))
            # A log entry is gone once it is written: not to a server that takes none.
            await self._welcome.wait()
            told = False
            while not self._finished:
                if self._executor.draining and not told:
                    told = True
                    await call.write(WorkRequest(drain=True))
                while request := self._outbox.frame():
                    await call.write(request)
                if not self._finished:
                    await self._outbox.changed()
            await call.done_writing()
            await asyncio.sleep(_LAST_WORD)

    @property
    def _finished(self) -> bool:
        if not self._outbox.empty:
            return False
        return self._goaway or (self._executor.draining and not self._outbox.held)
