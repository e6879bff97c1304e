"""A run in the hands of its handler."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskwheel._errors import RunCancelled, UnsupportedValue
from taskwheel._values import clip, from_struct, to_struct
from taskwheel._views import TaskRun
from taskwheel.v1 import log_entry_pb2, task_run_pb2, worker_service_pb2

if TYPE_CHECKING:
    import asyncio

    from taskwheel._worker.outbox import Outbox

LogEntry = log_entry_pb2.LogEntry

# A whole entry; its text may fill it.
_MAX_ENTRY = 64 * 2**10
_MAX_PROGRESS_MESSAGE = 1024


class Run:
    """A run, as its handler is given it. All of it may be used from any thread.

    Attributes:
        name: its full name.
        attempt: the number of the attempt, from 1.
        log: writes lines that callers can follow.
    """

    __slots__ = (
        "_outbox",
        "_payload",
        "attempt",
        "begun",
        "job",
        "lease_token",
        "log",
        "lost",
        "name",
        "progressed",
        "raw",
        "stop",
    )

    def __init__(self, assignment: worker_service_pb2.Assignment, outbox: Outbox) -> None:
        self.raw = raw = assignment.run
        self.name: str = raw.name
        self.attempt: int = raw.attempt
        self.log = RunLog(self)
        self.lease_token: str = assignment.lease_token
        self.stop = False
        self.begun = False
        self.lost = False
        self.job: asyncio.Task[None] | None = None
        self.progressed: task_run_pb2.Progress | None = None
        self._outbox = outbox
        self._payload: dict[str, Any] | None = None

    @property
    def task_run(self) -> TaskRun:
        """All that the run carried when it was assigned."""
        return TaskRun(self.raw)

    @property
    def uid(self) -> str:
        """Its identity."""
        return self.raw.uid

    @property
    def task(self) -> str:
        """The full name of its task at admission."""
        return self.raw.task

    @property
    def handler(self) -> str:
        """The name of its handler."""
        return self.raw.handler

    @property
    def payload(self) -> dict[str, Any]:
        """What the handler is given; empty when there is nothing."""
        if self._payload is None:
            self._payload = from_struct(self.raw.payload)
        return self._payload

    @property
    def tags(self) -> list[str]:
        """Its tags."""
        return list(self.raw.tags)

    @property
    def labels(self) -> dict[str, str]:
        """Its labels."""
        return dict(self.raw.labels)

    @property
    def cancelled(self) -> bool:
        """Whether the handler is to stop: the run was cancelled, or belongs to this worker no more."""
        return self.stop

    def raise_if_cancelled(self) -> None:
        """Stop the handler if it is to stop; for plain handlers, as async ones are cancelled.

        Raises:
            RunCancelled: it is; let it pass.
        """
        if self.stop:
            raise RunCancelled(self.name)

    def progress(self, ratio: float, message: str = "") -> None:
        """Tell how far the run has come; sent at most ten times a second, the last one always.

        Args:
            ratio: the part of the work that is done, 0 to 1.
            message: what is being done, for people, up to 1,024 characters.

        Raises:
            ValueError: ratio is outside 0 to 1.
        """
        if not 0 <= ratio <= 1:
            raise ValueError(f"progress is 0 to 1, not {ratio}")
        text = clip(message[:_MAX_PROGRESS_MESSAGE], 4 * _MAX_PROGRESS_MESSAGE)
        self.progressed = task_run_pb2.Progress(ratio=ratio, message=text)
        self._outbox.tell_progress(self)

    def write(self, level: LogEntry.Level, message: str, fields: dict[str, Any]) -> None:
        """Write one line; text beyond 64 KiB is cut, and fields that do not fit beside it are left out."""
        entry = LogEntry(level=level, message=clip(str(message), _MAX_ENTRY))
        entry.time.GetCurrentTime()
        if fields:
            try:
                entry.fields.CopyFrom(to_struct(fields))
            except UnsupportedValue:
                entry.fields.CopyFrom(to_struct({name: clip(str(value), _MAX_ENTRY) for name, value in fields.items()}))
            if len(entry.message.encode()) + entry.fields.ByteSize() > _MAX_ENTRY:
                entry.ClearField("fields")
        self._outbox.put(self, entry)


class RunLog:
    """Writes lines to the log of a run, each with a text and any JSON values by name."""

    __slots__ = ("_run",)

    def __init__(self, run: Run) -> None:
        self._run = run

    def debug(self, message: str, **fields: Any) -> None:
        """Write what helps to look for a fault."""
        self._run.write(LogEntry.DEBUG, message, fields)

    def info(self, message: str, **fields: Any) -> None:
        """Write how the work goes on."""
        self._run.write(LogEntry.INFO, message, fields)

    def warning(self, message: str, **fields: Any) -> None:
        """Write what should be looked at, and did not stop the work."""
        self._run.write(LogEntry.WARNING, message, fields)

    def error(self, message: str, **fields: Any) -> None:
        """Write a fault."""
        self._run.write(LogEntry.ERROR, message, fields)
