"""Long reads: pages, waits and streams that survive a broken connection."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator
from typing import Any

from taskwheel._errors import ResourceExhausted, RpcError, RunNotDone, Unavailable
from taskwheel._transport import AsyncTransport, Transport
from taskwheel._values import to_duration
from taskwheel._views import TaskRun
from taskwheel.v1 import event_service_pb2, task_run_service_pb2

# How long one WaitTaskRun waits. Shorter than what proxies allow an idle call.
_WAIT = 30.0

# Tries to take a broken connection up again, about 30 s in all: a restart takes seconds, an outage should be heard of.
_TRIES = 10


class _Patience:
    """Decides whether a connection that broke is taken up again: if it ever stood, and not past a deadline."""

    def __init__(self, transport: Transport | AsyncTransport, deadline: float | None = None) -> None:
        self._transport = transport
        self._deadline = deadline
        self._since = time.monotonic()
        self._failures = 0 if transport.answered else _TRIES

    def answered(self) -> None:
        """The connection stands."""
        self._failures = 0

    async def after(self, error: RpcError) -> None:
        """Let some time pass before the next try, or raise the error."""
        broken = isinstance(error, Unavailable) or error.reason == "SUBSCRIBER_TOO_SLOW"
        if time.monotonic() - self._since > 1:  # what is refused is refused at once
            self.answered()
        left = 5.0 if self._deadline is None else self._deadline - time.monotonic()
        if not broken or self._failures >= _TRIES or left <= 0:
            raise error
        await self._transport.sleep(min(left, 0.1 * 2**self._failures, 5) * random.uniform(0.5, 1))
        self._failures += 1
        self._since = time.monotonic()


async def pages(transport: Transport | AsyncTransport, rpc: Any, request: Any) -> AsyncIterator[Any]:
    """All pages of a list."""
    while True:
        page = await transport.call(rpc, request)
        yield page
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token


async def wait(
    transport: Transport | AsyncTransport, request: task_run_service_pb2.WaitTaskRunRequest, timeout: float | None
) -> TaskRun:
    """The run once it is done, asked for anew as long as there is time."""
    deadline = None if timeout is None else time.monotonic() + timeout
    patience = _Patience(transport, deadline)
    while True:
        left = _WAIT if deadline is None else max(0.0, min(_WAIT, deadline - time.monotonic()))
        request.timeout.CopyFrom(to_duration(left))
        try:
            run = TaskRun(await transport.call(transport.runs.WaitTaskRun, request, left + transport.timeout))
        except Unavailable as error:
            await patience.after(error)
            continue
        patience.answered()
        if run.done:
            return run
        if deadline is not None and time.monotonic() >= deadline:
            raise RunNotDone(run)


async def event_batches(
    transport: Transport | AsyncTransport, request: event_service_pb2.WatchEventsRequest
) -> AsyncIterator[Any]:
    """The responses of WatchEvents without end. The first one is empty and tells that the watch stands."""
    patience = _Patience(transport)
    placed = False
    while True:
        try:
            async for response in transport.stream(transport.events.WatchEvents, request):
                patience.answered()
                request.after_sequence = response.sequence
                if response.events or not placed:
                    placed = True
                    yield response
        except (Unavailable, ResourceExhausted) as error:
            await patience.after(error)


async def log_batches(
    transport: Transport | AsyncTransport, request: task_run_service_pb2.StreamTaskRunLogsRequest
) -> AsyncIterator[Any]:
    """The responses of StreamTaskRunLogs to their end."""
    patience = _Patience(transport)
    while True:
        try:
            async for response in transport.stream(transport.runs.StreamTaskRunLogs, request):
                patience.answered()
                for entry in response.entries:
                    request.name, request.after_sequence = entry.run, entry.sequence
                yield response
        except (Unavailable, ResourceExhausted) as error:
            await patience.after(error)
        else:
            return
