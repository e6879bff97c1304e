"""What callers can ask of the wheel. Every uid is minted before a command is submitted, so a turn can be replayed.

A command's answer, or the domain error it met, resolves its ticket after the commit. `weight` is how many rows it is
about; `urgent` commands go ahead of the others.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from taskwheel_server.model.state import OverlapPolicy

if TYPE_CHECKING:
    from taskwheel_server.model.names import RunRef, TaskRef
    from taskwheel_server.model.run import RunError
    from taskwheel_server.model.task import Task
    from taskwheel_server.workers import Demand, Session


# What a row holds before it weighs as much as two: turns and the mailbox are bounded in rows and thereby in bytes.
ROW_BYTES = 4096


@dataclass(slots=True, kw_only=True)
class Command:
    """Something to do in a turn.

    Args:
        ticket: an asyncio future of the loop that the wheel delivers to.
    """

    ticket: Any = None
    urgent: ClassVar[bool] = False

    @property
    def weight(self) -> int:
        """How many rows it is about, at least 1."""
        return 1


@dataclass(slots=True)
class NewRun:
    """A run to admit. None means: as the task says, or now.

    Args:
        uid: minted.
        task: whose run.
        payload: serialized Struct.
        priority: any int32.
        schedule_time: earliest start, µs.
        tags: added to the task's.
        labels: added to the task's, the request's value winning.
        request_id: makes the call repeatable.
        request_digest: of all that the caller asked for, to tell a repetition from a reuse.
    """

    uid: str
    task: TaskRef
    payload: bytes | None = None
    priority: int | None = None
    schedule_time: int | None = None
    tags: tuple[str, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    request_id: str | None = None
    request_digest: bytes | None = None
    creator_application: str = ""
    creator_user: str = ""


@dataclass(slots=True)
class AdmitRuns(Command):
    """Admit runs, all or none, in order. Answer: list[Run], as admitted."""

    runs: list[NewRun]

    @property
    def weight(self) -> int:
        """One row a run, and more for large payloads."""
        return sum(1 + len(run.payload or b"") // ROW_BYTES for run in self.runs)


@dataclass(slots=True)
class AdmitSlots(Command):
    """Start a task's slots of the past. Answer: list[Run], in the order of `slots`.

    Args:
        task: whose slots.
        uids: minted, one a slot.
        slots: nominal instants, µs, oldest first.
        backfill: id of the backfill; the same id and slot give the same run.
        overlap_policy: how they meet runs that are not done; None: as the task says.
        request_digest: of the whole backfill.
    """

    task: TaskRef
    uids: list[str]
    slots: list[int]
    backfill: str
    overlap_policy: OverlapPolicy | None
    request_digest: bytes
    creator_application: str = ""
    creator_user: str = ""

    @property
    def weight(self) -> int:
        """One row a slot."""
        return len(self.slots)


@dataclass(slots=True)
class CreateTask(Command):
    """Create a task; the wheel fills in its times. Answer: Task."""

    task: Task


@dataclass(slots=True)
class UpdateTask(Command):
    """Change fields of a task. Answer: Task.

    Args:
        task: which.
        changes: new values by field of `model.task.Task`.
        etag: refused when it is not the current one; empty: whatever it is.
        actor: who asks, for a pause.
    """

    task: TaskRef
    changes: dict[str, Any]
    etag: str = ""
    actor: str = ""


@dataclass(slots=True)
class RenameTask(Command):
    """Give a task another id. Answer: Task."""

    task: TaskRef
    task_id: str


@dataclass(slots=True)
class DeleteTask(Command):
    """Delete a task; its pending runs are cancelled in slices. Answer: None."""

    task: TaskRef
    etag: str = ""
    allow_missing: bool = False


@dataclass(slots=True)
class PauseTask(Command):
    """Stop a task's schedules. Answer: Task."""

    task: TaskRef
    reason: str
    actor: str


@dataclass(slots=True)
class ResumeTask(Command):
    """Start a task's schedules again, from now. Answer: Task."""

    task: TaskRef


@dataclass(slots=True)
class CancelRun(Command):
    """Cancel a run. Answer: Run."""

    run: RunRef
    reason: str = ""
    pending_only: bool = False
    urgent: ClassVar[bool] = True


class Lease(NamedTuple):
    """What a worker shows to act on a run: the fence of every write it makes."""

    uid: str
    attempt: int
    token: str


class Result(NamedTuple):
    """How a leased run ended: `error`, or `cancelled`, or else it succeeded with `result` (serialized Value)."""

    lease: Lease
    result: bytes | None = None
    error: RunError | None = None
    cancelled: bool = False


@dataclass(slots=True)
class CompleteRuns(Command):
    """Settle results. Answer: list[bool] in order: accepted, or the lease is lost and nothing changed."""

    results: list[Result]
    urgent: ClassVar[bool] = True

    @property
    def weight(self) -> int:
        """One row a result, and more for large ones."""
        return sum(1 + len(result.result or b"") // ROW_BYTES for result in self.results)


class Renewal(NamedTuple):
    """A lease to renew and how far its run has come: ratio 0 to 1, None to leave the progress as it is."""

    lease: Lease
    progress_ratio: float | None = None
    progress_message: str | None = None


class Renewed(NamedTuple):
    """The answer to a renewal: when the lease ends now (µs; None: it is lost) and whether to stop."""

    expire_time: int | None
    cancel_requested: bool = False


@dataclass(slots=True)
class RenewLeases(Command):
    """Renew leases. Answer: list[Renewed] in order.

    Args:
        renewals: what to renew.
        session: the stream they came by: it holds those runs from now on.
    """

    renewals: list[Renewal]
    session: Session | None = None
    urgent: ClassVar[bool] = True

    @property
    def weight(self) -> int:
        """One row a renewal."""
        return len(self.renewals)


@dataclass(slots=True)
class ReleaseRuns(Command):
    """Hand leased runs back: pending again, same attempt. Answer: list[bool]: taken back, or the lease is lost."""

    leases: list[Lease]
    urgent: ClassVar[bool] = True

    @property
    def weight(self) -> int:
        """One row a lease."""
        return len(self.leases)


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line to append: time in µs, None for the turn's; `fields` is a serialized Struct."""

    time: int | None
    level: int
    stream: int
    message: str
    fields: bytes | None = None


@dataclass(slots=True)
class AppendLogs(Command):
    """Append lines to leased runs. Answer: list[bool] in order: appended, or the lease is lost.

    Args:
        batches: the lines of each lease.
        before: how many lines each batch's run had when it was first met: the wheel's, so that a turn of unknown
            outcome can be replayed.
    """

    batches: list[tuple[Lease, list[LogLine]]]
    before: dict[int, int] = field(default_factory=dict)
    urgent: ClassVar[bool] = True

    @property
    def weight(self) -> int:
        """One row a line, and more for long ones."""
        return sum(1 + len(line.message) // ROW_BYTES for _, lines in self.batches for line in lines)


@dataclass(slots=True)
class Attach(Command):
    """Let a stream take runs. Answer: None."""

    session: Session
    urgent: ClassVar[bool] = True


@dataclass(slots=True)
class Detach(Command):
    """Forget a stream that broke or ended. Answer: None."""

    session: Session
    urgent: ClassVar[bool] = True


@dataclass(slots=True)
class Drain(Command):
    """Give a stream no more runs. Answer: None."""

    session: Session
    urgent: ClassVar[bool] = True


@dataclass(slots=True)
class ClaimRuns(Command):
    """Claim runs once, waiting until the demand's deadline. The demand's ticket is answered with list[Run].

    As urgent as its withdrawal, which must not overtake it.
    """

    demand: Demand
    urgent: ClassVar[bool] = True


@dataclass(slots=True)
class Withdraw(Command):
    """Stop waiting for a claim whose caller has gone. Answer: None."""

    demand: Demand
    urgent: ClassVar[bool] = True
