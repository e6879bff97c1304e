"""A worker's stream: reading and writing side by side, each bounded by the other.

    requests ─▸ read ─▸ commands ─▸ wheel ─┬▸ answers ──────────────┬▸ outbox ─▸ write ─▸ responses
                                           └▸ push: runs to begin, ─┘
                                              runs to stop

Reading stops while too much is unanswered or unwritten. Whatever has happened by the time the writer is free again
goes into the next message, so that messages grow with the load. A run that did not get written when the stream ends is
handed back; what was written is the worker's, under its lease, on whatever stream it comes back.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

from taskwheel_server.errors import InvalidArgument, ResourceExhausted
from taskwheel_server.model.run import Run
from taskwheel_server.rpc.backend import Backend, namespace_of
from taskwheel_server.rpc.hand_back import hand_back, submit_unattended
from taskwheel_server.rpc.messages import Hello, WorkRequest, WorkResponse
from taskwheel_server.rpc.outbox import Outbox
from taskwheel_server.rpc.times import put
from taskwheel_server.rpc.worker_message import read_lease, read_lines, read_renewal, read_result
from taskwheel_server.wheel.commands import (
    AppendLogs,
    Attach,
    Command,
    CompleteRuns,
    Detach,
    Drain,
    Lease,
    ReleaseRuns,
    Renewal,
    Renewed,
    RenewLeases,
)
from taskwheel_server.workers import Session, Stop

# A request brings up to four commands of a thousand rows: 64,000 rows on their way are plenty for one worker.
MAX_UNANSWERED = 64
# As many as a worker can have earned at once; a message holds them.
MAX_ACKNOWLEDGEMENTS = 10_000
# Bytes that may wait to be written before the wheel claims no more: as much as it claims for a stream in a turn.
MAX_BACKLOG = 16 * 1024 * 1024
# Seconds that a message may wait for the worker to read: a lease's time, after which what it was given is lost to it.
PATIENCE = 30.0

Send = Callable[[bytes], Awaitable[None]]


class WorkerStream:
    """One call of Work.

    Args:
        backend: what it acts on.
        hello: who the worker is.
        send: writes a message; returns when the stream has room for the next.

    Raises:
        InvalidArgument: `hello.parent` is no parent.
        NotFound: NAMESPACE_NOT_FOUND.
    """

    def __init__(self, backend: Backend, hello: Hello, send: Send) -> None:
        self._wheel = backend.wheel
        self._lease = backend.lease
        self._send = send
        self._session = Session(
            namespace=namespace_of(hello.parent),
            worker_id=hello.worker_id,
            handlers=frozenset(hello.handlers),
            max_concurrent_runs=hello.max_concurrent_runs,
            push=self._push,
        )
        self._outbox = Outbox(self._session.namespace)
        self._in_flight: list[Run] = []
        self._unanswered: deque[tuple[asyncio.Future[Any], Callable[[Any], None]]] = deque()
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._failure: BaseException | None = None
        self._clogged = False
        self._draining = False
        self._left = False

    async def run(self, first: WorkRequest, requests: AsyncIterator[WorkRequest]) -> None:
        """Serve the stream until the worker ends it.

        Args:
            first: the request that brought the hello.
            requests: those after it.

        Raises:
            InvalidArgument: a request is at fault.
            ResourceExhausted: SUBSCRIBER_TOO_SLOW.
            Unavailable: the store cannot be written, or the server has shut down.
        """
        try:
            # A welcome is news of a server that works: without its store, workers that connect anew are to be patient.
            await self._wheel.submit(Attach(session=self._session))
            await self._serve(first, requests)
        finally:
            self._leave()
            hand_back(self._wheel, self._in_flight)

    async def _serve(self, first: WorkRequest, requests: AsyncIterator[WorkRequest]) -> None:
        reader = asyncio.create_task(self._read(first, requests))
        reader.add_done_callback(self._read_ended)
        try:
            welcome = WorkResponse()
            put(welcome.welcome.lease_duration, self._lease)
            await self._write(welcome.SerializeToString())
            while self._failure is None and (self._outbox or self._unanswered or not reader.done()):
                await self._news.wait()
                self._news.clear()
                await self._empty_outbox()
            if self._failure:
                raise self._failure
            # What ended the reading may be yet to be told.
            reader.result()
        finally:
            reader.cancel()

    def go_away(self) -> None:
        """Tell the worker that the server is about to stop, and take on no more runs for it."""
        self._outbox.go_away()
        submit_unattended(self._wheel, self._drain())
        self._news.set()

    def _push(self, claimed: list[Run], stops: list[Stop]) -> None:
        if self._left or self._draining:
            hand_back(self._wheel, claimed)
        else:
            self._outbox.assign(claimed)
        if not self._left:
            self._outbox.stop(stops)
        if self._outbox.backlog > MAX_BACKLOG:
            self._clogged = self._session.draining = True
        self._news.set()

    def _drain(self) -> Drain:
        """Assign no more runs, and hand back those that wait to be written; the wheel is to be told."""
        self._draining = True
        hand_back(self._wheel, self._outbox.withdraw())
        return Drain(session=self._session)

    def _leave(self) -> None:
        """Take no more runs, and hand back those that wait to be written."""
        if not self._left:
            self._left = True
            submit_unattended(self._wheel, Detach(session=self._session))
            hand_back(self._wheel, self._outbox.withdraw())

    async def _empty_outbox(self) -> None:
        while self._outbox:
            message, self._in_flight = self._outbox.take()
            await self._write(message)
            self._in_flight = []
            if self._clogged and self._outbox.backlog < MAX_BACKLOG:
                self._unclog()

    def _unclog(self) -> None:
        """Take on runs again, now that there is room to write them."""
        self._clogged = False
        if not (self._draining or self._left):
            self._session.draining = False
            self._wheel.wake()

    async def _write(self, message: bytes) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                await self._send(message)
        except TimeoutError:
            text = f"the worker has read nothing for {PATIENCE:.0f} s; connect again"
            raise ResourceExhausted("SUBSCRIBER_TOO_SLOW", text) from None
        self._room.set()

    async def _read(self, first: WorkRequest, requests: AsyncIterator[WorkRequest]) -> None:
        self._obey(first)
        async for request in requests:
            if request.HasField("hello"):
                raise InvalidArgument("hello", "only the first request may have it")
            self._obey(request)
            while len(self._unanswered) > MAX_UNANSWERED or self._outbox.acknowledgements > MAX_ACKNOWLEDGEMENTS:
                self._room.clear()
                await self._room.wait()

    def _read_ended(self, reader: asyncio.Task[None]) -> None:
        if not reader.cancelled() and (error := reader.exception()):
            self._failure = error
        # Who has nothing more to say cannot report a result either.
        self._leave()
        self._news.set()

    def _obey(self, request: WorkRequest) -> None:
        """Submit what a request brings, logs before results: once all of it is known to be sound."""
        batches = [read_lines(each, f"logs[{index}].") for index, each in enumerate(request.logs)]
        results = [read_result(each, f"results[{index}].") for index, each in enumerate(request.results)]
        renewals = [read_renewal(each, f"renewals[{index}].") for index, each in enumerate(request.renewals)]
        releases = [read_lease(each, f"releases[{index}].") for index, each in enumerate(request.releases)]
        if batches:
            self._submit(AppendLogs(batches=batches), partial(self._logged, [lease for lease, _ in batches]))
        if renewals:
            self._submit(RenewLeases(renewals=renewals, session=self._session), partial(self._renewed, renewals))
        if results:
            leases = [result.lease for result in results]
            self._submit(CompleteRuns(results=results), partial(self._outbox.acknowledge, leases))
        if releases:
            self._submit(ReleaseRuns(leases=releases), lambda held: self._outbox.acknowledge(releases, held))
        if request.drain:
            self._submit(self._drain(), lambda _: None)

    def _submit(self, command: Command, note: Callable[[Any], None]) -> None:
        answer = self._wheel.submit(command)
        self._unanswered.append((answer, note))
        answer.add_done_callback(self._answered)

    def _answered(self, _: asyncio.Future[Any]) -> None:
        """Note the answers that have come, in the order in which they were asked for."""
        while self._unanswered and self._unanswered[0][0].done():
            answer, note = self._unanswered.popleft()
            if error := answer.exception():
                self._failure = error
            else:
                note(answer.result())
        self._room.set()
        self._news.set()

    def _logged(self, leases: list[Lease], stored: list[bool]) -> None:
        self._outbox.stop(
            Stop(lease.uid, lease.attempt, lost=True) for lease, held in zip(leases, stored, strict=True) if not held
        )

    def _renewed(self, renewals: list[Renewal], renewed: list[Renewed]) -> None:
        for renewal, answer in zip(renewals, renewed, strict=True):
            lost = answer.expire_time is None
            if lost or answer.cancel_requested:
                self._outbox.stop([Stop(renewal.lease.uid, renewal.lease.attempt, lost)])
