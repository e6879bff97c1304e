"""What a worker has to send, and what it has sent that is not acknowledged.

Handlers put things in from any thread; one writer, on the loop, takes frames out. The order of things is kept, since
the log of a run must not arrive after its result. A result leaves `unacknowledged` only when the server has stored it,
so that a broken stream loses none: `restore` puts what was under way back in front.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque

from taskwheel._worker.run import Run
from taskwheel.v1 import log_entry_pb2, worker_service_pb2

Lease = worker_service_pb2.Lease
RunResult = worker_service_pb2.RunResult
LogEntry = log_entry_pb2.LogEntry
WorkRequest = worker_service_pb2.WorkRequest

# The bounds of one request; a whole message may have 4 MiB.
_MAX_ITEMS = 1000
_MAX_BYTES = 3 * 2**20

# Names and tokens beside what an item weighs itself.
_OVERHEAD = 200

_PROGRESS_INTERVAL = 0.1


class Outbox:
    """To be made in the running loop of the worker.

    Attributes:
        held: the runs of this worker that have no result on its way yet, by name.
        unacknowledged: results and releases that were sent, by the name of the run.
    """

    def __init__(self) -> None:
        self.held: dict[str, Run] = {}
        self.unacknowledged: dict[str, tuple[Run, RunResult | Lease]] = {}
        self._queue: deque[tuple[Run, RunResult | LogEntry | Lease]] = deque()
        self._renewals: dict[str, Run] = {}
        self._progressed: dict[str, Run] = {}
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._woken = False
        self._telling = False

    @property
    def empty(self) -> bool:
        """Whether all has been sent, and acknowledged where that is due."""
        return not (self._queue or self._renewals or self.unacknowledged)

    def put(self, run: Run, item: RunResult | LogEntry | Lease) -> None:
        """Send a result, a log entry, or a lease to hand back. From any thread."""
        if isinstance(item, RunResult) and run.name in self._progressed:
            self._renewals[run.name] = run
        self._queue.append((run, item))
        self.wake()

    def tell_progress(self, run: Run) -> None:
        """Send the progress of a run, soon. From any thread."""
        self._progressed[run.name] = run
        if not self._telling:
            self._telling = True
            self._call_soon(self._loop.call_later, _PROGRESS_INTERVAL, self._progress_is_due)

    def _progress_is_due(self) -> None:
        self._telling = False
        self._renewals.update(self._progressed)
        self.wake()

    def renew(self) -> None:
        """Renew all leases."""
        self._renewals.update(self.held)
        self.wake()

    def wake(self) -> None:
        """Let the writer look again. From any thread."""
        if not self._woken:
            self._woken = True
            self._call_soon(self._changed.set)

    def _call_soon(self, *call: object) -> None:
        with contextlib.suppress(RuntimeError):  # a thread that outlived the worker
            self._loop.call_soon_threadsafe(*call)  # type: ignore[arg-type]

    async def changed(self) -> None:
        """Wait until there may be something to send."""
        await self._changed.wait()
        self._changed.clear()
        self._woken = False

    def restore(self) -> None:
        """Begin anew on another stream: what is not acknowledged goes first, and all leases are renewed."""
        self._queue.extendleft(reversed(self.unacknowledged.values()))
        self.unacknowledged.clear()
        self._renewals.update(self.held)

    def acknowledge(self, name: str) -> None:
        """The result or the release of a run is stored, or came too late."""
        self.unacknowledged.pop(name, None)

    def frame(self) -> WorkRequest | None:
        """The next request to send; None when there is nothing.

        Renewals go by themselves, before what is queued: the last progress of a run must not come after its result.
        """
        if self._renewals:
            return self._renewal_frame()
        request = WorkRequest()
        logs: dict[str, worker_service_pb2.AppendLogsRequest] = {}
        items = size = 0
        while self._queue and items < _MAX_ITEMS:
            run, item = self._queue[0]
            size += item.ByteSize() + _OVERHEAD
            if items and size > _MAX_BYTES:
                break
            self._queue.popleft()
            if run.lost:
                continue
            items += 1
            if isinstance(item, LogEntry):
                if run.name not in logs:
                    logs[run.name] = request.logs.add(run=run.name, attempt=run.attempt, lease_token=run.lease_token)
                logs[run.name].entries.append(item)
            else:
                self.held.pop(run.name, None)
                self.unacknowledged[run.name] = (run, item)
                if isinstance(item, RunResult):
                    request.results.append(item)
                else:
                    request.releases.append(item)
        return request if items else None

    def _renewal_frame(self) -> WorkRequest:
        request = WorkRequest()
        while self._renewals and len(request.renewals) < _MAX_ITEMS:
            # In one step: threads add to it meanwhile.
            name, run = self._renewals.popitem()
            self._progressed.pop(name, None)
            request.renewals.add(run=name, attempt=run.attempt, lease_token=run.lease_token, progress=run.progressed)
        return request
