"""What a worker has yet to be told."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from taskwheel_server.model.names import run_name
from taskwheel_server.model.run import Run
from taskwheel_server.rpc.messages import Acknowledgement, Cancellation, WorkResponse
from taskwheel_server.rpc.run_message import RunWriter
from taskwheel_server.rpc.wire import field
from taskwheel_server.rpc.worker_message import write_assignment
from taskwheel_server.wheel.commands import Lease
from taskwheel_server.workers import Stop

MAX_MESSAGE_BYTES = 3 * 1024 * 1024
# Of an acknowledgement or a cancellation, at most: the longest name of a run, and a few small numbers.
NOTE_BYTES = 160


class Outbox:
    """What goes into the next messages of a worker's stream.

    Args:
        namespace: of all its runs.
    """

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._assignments: deque[tuple[Run, int]] = deque()
        self._bytes = 0
        self._stops: list[Stop] = []
        self._acknowledged: list[tuple[Lease, bool]] = []
        self._goaway = False

    def __bool__(self) -> bool:
        return bool(self._acknowledged or self._assignments or self._stops or self._goaway)

    @property
    def backlog(self) -> int:
        """How many bytes of assignments wait, about."""
        return self._bytes

    @property
    def acknowledgements(self) -> int:
        """How many acknowledgements wait."""
        return len(self._acknowledged)

    def assign(self, claimed: Iterable[Run]) -> None:
        """Have runs begun."""
        for run in claimed:
            size = run.size()
            self._assignments.append((run, size))
            self._bytes += size

    def stop(self, stops: Iterable[Stop]) -> None:
        """Have runs stopped."""
        self._stops.extend(stops)

    def acknowledge(self, leases: Iterable[Lease], accepted: Iterable[bool]) -> None:
        """Say whether what was said under these leases counted."""
        self._acknowledged.extend(zip(leases, accepted, strict=True))

    def go_away(self) -> None:
        """Have the worker end the stream."""
        self._goaway = True

    def withdraw(self) -> list[Run]:
        """Return the assignments that have not been taken, and forget them."""
        withdrawn = [run for run, _ in self._assignments]
        self._assignments.clear()
        self._bytes = 0
        return withdrawn

    def take(self) -> tuple[bytes, list[Run]]:
        """Return the next message and the runs that are assigned in it."""
        message = WorkResponse(goaway=self._goaway)
        self._goaway = False
        statuses = Acknowledgement.LEASE_LOST, Acknowledgement.ACCEPTED
        room = MAX_MESSAGE_BYTES
        for lease, accepted in self._acknowledged[: room // NOTE_BYTES]:
            message.acknowledgements.add(run=run_name(self._namespace, lease.uid), status=statuses[accepted])
            room -= NOTE_BYTES
        del self._acknowledged[: len(message.acknowledgements)]
        assigned: list[Run] = []
        writer = RunWriter()
        assignments: list[bytes] = []
        while self._assignments and (self._assignments[0][1] <= room or not (assigned or message.acknowledgements)):
            run, size = self._assignments.popleft()
            assigned.append(run)
            room -= size
            self._bytes -= size
            assignments.append(field(WorkResponse.ASSIGNMENTS_FIELD_NUMBER, write_assignment(run, writer)))
            # The wheel remembers the run for as long as it is leased.
            run.payload = None
        # A run must not be stopped before it is assigned.
        if not self._assignments and room > 0:
            for stop in self._stops[: room // NOTE_BYTES]:
                reason = Cancellation.LEASE_LOST if stop.lost else Cancellation.CANCEL_REQUESTED
                message.cancellations.add(run=run_name(self._namespace, stop.uid), attempt=stop.attempt, reason=reason)
            del self._stops[: len(message.cancellations)]
        return b"".join((message.SerializeToString(), *assignments)), assigned
