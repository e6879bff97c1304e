"""Runs that are started at the same time, sent together.

One call of RunTask costs client and server several times what an item of BatchRunTasks does. Calls that may share a
batch are a *lane*: those of one namespace that carry the same metadata, so that none goes in another's name. A lane is

- closed: nothing of it is on its way. The next call opens it, and goes at once and alone, as RunTask;
- open: something is on its way. Calls wait for it to return and then go together, up to 1,000 runs and 3 MiB at a
  time; when none waits, the lane is closed.

So a lone caller waits for nobody, and batches grow with the load. Each call keeps an outcome of its own:

- A batch is refused whole for the fault of one run. Then all its calls go alone, each to its own answer or error. So
  does a call whose run a batch does not answer in full: one that is done already, as its request_id was used before.
  The request_id that every call has makes that safe, whatever became of the batch.
- Only what says nothing about a single run, such as a server that cannot be reached, is the error of all.
- A caller that gives up or is cancelled leaves the others alone; what has not been sent by then, is not.

The price: a batch that is slow to return holds up the calls behind it, up to their own deadlines.
"""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass
from typing import Any

from taskwheel._errors import DeadlineExceeded, ResourceExhausted, RpcError, Unavailable
from taskwheel._requests import batches
from taskwheel._transport import AsyncTransport, Sent, Transport
from taskwheel.v1 import task_service_pb2

_Lane = tuple[str, Sent]


@dataclass(slots=True, eq=False)
class _Call:
    """A call that waits: its promise is to hold the run, or None when it is to go alone."""

    request: task_service_pb2.RunTaskRequest
    deadline: float
    promise: Any

    @property
    def waited_for(self) -> bool:
        """Whether the caller has neither given up nor run out of time."""
        return not self.promise.done() and time.monotonic() < self.deadline

    def settle(self, run: Any) -> None:
        """Keep the promise, if somebody still waits."""
        if not self.promise.done():
            self.promise.set_result(run)

    def fail(self, error: RpcError) -> None:
        """Break the promise, if somebody still waits."""
        if not self.promise.done():
            self.promise.set_exception(error)


class RunCoalescer:
    """Starts runs, those of concurrent callers together. May be used by any number of threads or asyncio tasks.

    Args:
        transport: the connection.
    """

    def __init__(self, transport: Transport | AsyncTransport) -> None:
        self._transport = transport
        self._lock = threading.Lock()
        # The calls that wait, by open lane.
        self._lanes: dict[_Lane, list[_Call]] = {}

    async def run(self, request: task_service_pb2.RunTaskRequest) -> Any:
        """Start a run, and answer the message that RunTask would. Raises RpcError.

        Args:
            request: with payload and request_id. The payload that a task has by default is not in the answer to a
                batch.
        """
        lane = (_parent(request.name), self._transport.metadata())
        deadline = time.monotonic() + self._transport.timeout
        call = self._join(lane, request, deadline)
        if call is None:
            try:
                return await self._alone(lane, request, deadline)
            finally:
                self._go_on(lane)
        run = await self._transport.outcome(call.promise, self._transport.timeout)
        return await self._alone(lane, request, deadline) if run is None else run

    def _join(self, lane: _Lane, request: Any, deadline: float) -> _Call | None:
        """Wait in a lane; None: it was closed, and is open now."""
        with self._lock:
            waiting = self._lanes.get(lane)
            if waiting is None:
                self._lanes[lane] = []
                return None
            call = _Call(request, deadline, self._transport.promise())
            waiting.append(call)
            return call

    async def _alone(self, lane: _Lane, request: Any, deadline: float) -> Any:
        return await self._transport.call(self._transport.tasks.RunTask, request, _left(deadline), lane[1])

    def _go_on(self, lane: _Lane) -> None:
        """Close the lane, or send what has come to wait."""
        with self._lock:
            if not self._lanes[lane]:
                del self._lanes[lane]
                return
        self._transport.spawn(self._send_waiting(lane))

    async def _send_waiting(self, lane: _Lane) -> None:
        calls: list[_Call] = []
        try:
            while calls := self._take(lane):
                for batch in batches(calls, lambda call: call.request.ByteSize()):
                    await self._send(lane, [call for call in batch if call.waited_for])
                # Callers that have just been answered often have the next run at hand.
                await self._transport.sleep(0)
        except asyncio.CancelledError:  # the connection was closed, or the event loop ends
            for call in [*calls, *self._lanes.pop(lane, ())]:
                call.settle(None)
            raise

    def _take(self, lane: _Lane) -> list[_Call]:
        """Take what waits; if nothing does, close the lane."""
        with self._lock:
            calls = self._lanes.pop(lane)
            if calls:
                self._lanes[lane] = []
            return calls

    async def _send(self, lane: _Lane, calls: list[_Call]) -> None:
        if not calls:
            return
        request = task_service_pb2.BatchRunTasksRequest(parent=lane[0], requests=[call.request for call in calls])
        rpc, timeout = self._transport.tasks.BatchRunTasks, _left(calls[-1].deadline)
        try:
            answer = await self._transport.call(rpc, request, timeout, lane[1])
            runs = [_whole(call.request, run) for call, run in zip(calls, answer.task_runs, strict=True)]
        except (Unavailable, DeadlineExceeded, ResourceExhausted) as error:
            for call in calls:
                # An exception each: to raise one adds to its traceback.
                call.fail(type(error)(error.code, error.message, error.details))
        except Exception:  # noqa: BLE001  # whatever it is, each call meets its own error alone
            for call in calls:
                call.settle(None)
        else:
            for call, run in zip(calls, runs, strict=True):
                call.settle(run)


def _parent(task: str) -> str:
    """The namespace of a task, by the name it is called."""
    return "/".join(task.split("/", 2)[:2]) if task.startswith("namespaces/") else ""


def _left(deadline: float) -> float:
    """The seconds until a deadline; never 0, which would mean the default."""
    return max(deadline - time.monotonic(), 0.001)


def _whole(request: Any, run: Any) -> Any:
    """A run in the answer to a batch as RunTask answers it; None if it lacks what the request does not tell."""
    if run.done or ((request.tags or request.labels) and not (run.tags or run.labels)):
        return None
    run.payload.CopyFrom(request.payload)
    return run
