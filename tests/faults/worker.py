"""A worker that writes down what it does, on a raw Work stream; as a process: `worker TARGET HISTORY ID HANDLER…`.

What a run's payload says is done: `succeed` and `fail` end at once; `hold` writes a line and succeeds when the process
gets SIGUSR1. Results and errors carry the token of their lease. Reports that were not acknowledged are repeated on the
next stream.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from pathlib import Path
from typing import Any

import grpc

from taskwheel.v1.worker_service_pb2 import (
    Acknowledgement,
    Assignment,
    Cancellation,
    Hello,
    Lease,
    RunResult,
    WorkRequest,
    WorkResponse,
)
from tests.faults.api import Api
from tests.faults.history import Acknowledged, Begun, History, Reported, Told
from tests.faults.processes import connect, now

CREDIT = 64
RECONNECT = 0.05
# What the library makes of a write to a server that was killed, as INTERNAL.
_BROKEN = "Internal error from Core"


class Worker:
    """One worker, through any number of streams.

    Args:
        api: to work for.
        worker_id: its name.
        handlers: which runs it takes.
        history: to write to.
    """

    def __init__(self, api: Api, worker_id: str, handlers: list[str], history: History) -> None:
        self._api = api
        self._hello = Hello(worker_id=worker_id, handlers=handlers, max_concurrent_runs=CREDIT)
        self._id = worker_id
        self._history = history
        self._held: dict[str, Assignment] = {}
        self._unacknowledged: dict[str, RunResult] = {}
        self._outgoing: asyncio.Queue[WorkRequest | None] = asyncio.Queue()
        self._released = False

    async def run(self) -> None:
        """Work until cancelled, on one stream after another."""
        while True:
            try:
                await self._stream()
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE and error.details() != _BROKEN:
                    raise
            await asyncio.sleep(RECONNECT)

    def release(self) -> None:
        """End what is held, now and from now on."""
        self._released = True
        for assignment in list(self._held.values()):
            self._report(assignment)

    async def _stream(self) -> None:
        self._outgoing = asyncio.Queue()
        call = self._api.workers.Work(wait_for_ready=True)
        beside = [asyncio.create_task(self._write(call))]
        try:
            async for response in call:
                if response.HasField("welcome"):
                    lease = response.welcome.lease_duration.ToTimedelta().total_seconds()
                    beside.append(asyncio.create_task(self._renew(lease / 3)))
                self._receive(response)
        finally:
            call.cancel()
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)

    async def _write(self, call: Any) -> None:
        # A stream that broke fails each write; the reader tells why.
        with contextlib.suppress(asyncio.InvalidStateError, grpc.aio.AioRpcError):
            await call.write(WorkRequest(hello=self._hello))
            if self._unacknowledged:
                await call.write(WorkRequest(results=self._unacknowledged.values()))
            while request := await self._outgoing.get():
                await call.write(request)
            await call.done_writing()

    async def _renew(self, every: float) -> None:
        while True:
            await asyncio.sleep(every)
            if self._held:
                self._outgoing.put_nowait(WorkRequest(renewals=map(_lease, self._held.values())))

    def _receive(self, response: WorkResponse) -> None:
        for assignment in response.assignments:
            self._begin(assignment)
        for acknowledgement in response.acknowledgements:
            result = self._unacknowledged.pop(acknowledgement.run, None)
            # A report may be repeated before its answer comes: the second answer is dropped.
            if result:
                status = Acknowledgement.Status.Name(acknowledgement.status)
                self._history.add(
                    Acknowledged(worker=self._id, run=result.run, token=result.lease_token, status=status, at=now())
                )
        for cancellation in response.cancellations:
            self._told(Cancellation.Reason.Name(cancellation.reason), cancellation.run)
            # A lost lease is held on to: what is said under it must change nothing.
            if cancellation.reason == Cancellation.CANCEL_REQUESTED and (held := self._held.get(cancellation.run)):
                self._report(held, cancelled=True)
        if response.goaway:
            self._told("GOAWAY", "")
            self._outgoing.put_nowait(None)

    def _told(self, what: str, run: str) -> None:
        self._history.add(Told(worker=self._id, what=what, run=run, at=now()))

    def _begin(self, assignment: Assignment) -> None:
        run = assignment.run
        self._history.add(
            Begun(worker=self._id, run=run.name, attempt=run.attempt, token=assignment.lease_token, at=now())
        )
        self._held[run.name] = assignment
        if _deed(assignment) != "hold" or self._released:
            self._report(assignment)

    def _report(self, assignment: Assignment, *, cancelled: bool = False) -> None:
        del self._held[assignment.run.name]
        result, outcome = outcome_of(assignment, cancelled=cancelled)
        self._unacknowledged[result.run] = result
        self._history.add(
            Reported(worker=self._id, run=result.run, token=result.lease_token, outcome=outcome, at=now())
        )
        request = WorkRequest(results=[result])
        if _deed(assignment) == "hold":
            log = request.logs.add(run=result.run, attempt=result.attempt, lease_token=result.lease_token)
            log.entries.add(message=result.lease_token)
        self._outgoing.put_nowait(request)


def _deed(assignment: Assignment) -> str:
    return assignment.run.payload.fields["do"].string_value


def _lease(assignment: Assignment) -> Lease:
    return Lease(run=assignment.run.name, attempt=assignment.run.attempt, lease_token=assignment.lease_token)


def outcome_of(assignment: Assignment, *, cancelled: bool = False) -> tuple[RunResult, str]:
    """Return the report on a run, and what the history calls it."""
    token = assignment.lease_token
    result = RunResult(run=assignment.run.name, attempt=assignment.run.attempt, lease_token=token)
    if cancelled:
        result.cancelled = True
        return result, "cancelled"
    if _deed(assignment) == "fail":
        result.error.type = result.error.name = "Planned"
        result.error.message = token
        return result, "error"
    result.result.struct_value.update({"lease": token})
    return result, "result"


async def main(target: str, history: str, worker_id: str, *handlers: str) -> None:
    async with connect(target) as channel:
        worker = Worker(Api(channel), worker_id, list(handlers), History(Path(history)))
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, worker.release)
        await worker.run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
