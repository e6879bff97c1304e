"""WorkerService: runs to workers, and what became of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial

from taskwheel_server.errors import Aborted, InvalidArgument, Unavailable
from taskwheel_server.model.names import parse_run
from taskwheel_server.model.run import Run
from taskwheel_server.rpc.backend import Backend, namespace_of
from taskwheel_server.rpc.endpoint import Context
from taskwheel_server.rpc.hand_back import hand_back_claim, submit_unattended
from taskwheel_server.rpc.messages import (
    Acknowledgement,
    AppendLogsRequest,
    AppendLogsResponse,
    ClaimTaskRunsRequest,
    ClaimTaskRunsResponse,
    CompleteTaskRunsRequest,
    CompleteTaskRunsResponse,
    LeaseRenewal,
    RenewLeasesRequest,
    RenewLeasesResponse,
    WorkRequest,
)
from taskwheel_server.rpc.run_message import RunWriter
from taskwheel_server.rpc.times import optional_microseconds, put
from taskwheel_server.rpc.wire import field
from taskwheel_server.rpc.worker_message import read_lines, read_renewal, read_result, write_assignment
from taskwheel_server.rpc.worker_stream import WorkerStream
from taskwheel_server.wheel.commands import AppendLogs, ClaimRuns, CompleteRuns, RenewLeases, Withdraw
from taskwheel_server.workers import Demand


class WorkerService:
    """The rpcs of taskwheel.v1.WorkerService."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._streams: set[WorkerStream] = set()
        self._claims: set[asyncio.Timeout] = set()

    @property
    def streams(self) -> int:
        """How many workers are connected."""
        return len(self._streams)

    def close(self) -> None:
        """Tell every worker that the server is about to stop, and give out no more runs."""
        for stream in self._streams:
            stream.go_away()
        for claim in self._claims:
            claim.reschedule(asyncio.get_running_loop().time())

    async def Work(self, requests: AsyncIterator[WorkRequest], context: Context) -> None:
        first = await anext(requests, None)
        if first is None or not first.HasField("hello"):
            raise InvalidArgument("hello", "the first request must have it")
        stream = WorkerStream(self._backend, first.hello, context.write)
        self._streams.add(stream)
        try:
            with self._backend.attendance.attend(namespace_of(first.hello.parent), first.hello.handlers):
                await stream.run(first, requests)
        finally:
            self._streams.remove(stream)

    async def ClaimTaskRuns(self, request: ClaimTaskRunsRequest, context: Context) -> bytes:
        demand = Demand(
            namespace=namespace_of(request.parent),
            worker_id=request.worker_id,
            handlers=frozenset(request.handlers),
            max_runs=request.max_runs or 1,
            deadline=self._backend.now() + (optional_microseconds(request, "wait") or 0),
            ticket=None,
        )
        with self._backend.attendance.attend(demand.namespace, demand.handlers):
            claimed = await self._claim(demand)
        writer = RunWriter()
        number = ClaimTaskRunsResponse.ASSIGNMENTS_FIELD_NUMBER
        return b"".join(field(number, write_assignment(run, writer)) for run in claimed)

    async def _claim(self, demand: Demand) -> list[Run]:
        wheel = self._backend.wheel
        claim = wheel.submit(ClaimRuns(demand=demand))
        patience = asyncio.timeout(None)
        self._claims.add(patience)
        try:
            async with patience:
                claimed: list[Run] = await asyncio.shield(claim)
                return claimed
        except (asyncio.CancelledError, TimeoutError) as error:
            # The caller has gone, or must go: nobody will work on what is yet claimed for it.
            submit_unattended(wheel, Withdraw(demand=demand))
            claim.add_done_callback(partial(hand_back_claim, wheel))
            if isinstance(error, TimeoutError):
                raise Unavailable("SHUTTING_DOWN", "the server is shutting down; try again") from None
            raise
        finally:
            self._claims.remove(patience)

    async def RenewLeases(self, request: RenewLeasesRequest, context: Context) -> RenewLeasesResponse:
        renewals = [read_renewal(each, f"leases[{index}].") for index, each in enumerate(request.leases)]
        renewed = await self._backend.wheel.submit(RenewLeases(renewals=renewals))
        response = RenewLeasesResponse()
        for lease, answer in zip(request.leases, renewed, strict=True):
            message = response.leases.add(run=_full_name(lease.run), status=LeaseRenewal.LEASE_LOST)
            if answer.expire_time is not None:
                message.status = LeaseRenewal.RENEWED
                message.cancel_requested = answer.cancel_requested
                put(message.lease_expire_time, answer.expire_time)
        return response

    async def CompleteTaskRuns(self, request: CompleteTaskRunsRequest, context: Context) -> CompleteTaskRunsResponse:
        results = [read_result(each, f"results[{index}].") for index, each in enumerate(request.results)]
        accepted = await self._backend.wheel.submit(CompleteRuns(results=results))
        response = CompleteTaskRunsResponse()
        for result, stored in zip(request.results, accepted, strict=True):
            response.acknowledgements.add(
                run=_full_name(result.run), status=Acknowledgement.ACCEPTED if stored else Acknowledgement.LEASE_LOST
            )
        return response

    async def AppendLogs(self, request: AppendLogsRequest, context: Context) -> AppendLogsResponse:
        (stored,) = await self._backend.wheel.submit(AppendLogs(batches=[read_lines(request, "")]))
        if not stored:
            name = _full_name(request.run)
            raise Aborted("LEASE_LOST", f"the lease on run '{name}' has ended: nothing was stored", run=name)
        return AppendLogsResponse()


def _full_name(name: str) -> str:
    return str(parse_run(name))
