"""What happened, in order, and what runs said while they ran."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from taskwheel_server.model.run import Run


class EventType(IntEnum):
    """The catalogue of events. Stored by number; callers read the lower-case name."""

    TASK_CREATED = 1
    TASK_UPDATED = 2
    TASK_RENAMED = 3
    TASK_DELETED = 4
    TASK_PAUSED = 5
    TASK_RESUMED = 6
    RUN_PENDING = 10
    RUN_STARTED = 11
    RUN_CANCELLING = 12
    RUN_SUCCEEDED = 13
    RUN_FAILED = 14
    RUN_RETRIED = 15
    RUN_CANCELLED = 16
    RUN_SKIPPED = 17
    TASK_FAILED = 20

    @property
    def label(self) -> str:
        """The name on the wire, such as `run_succeeded`."""
        return self.name.lower()


RUN_ENDED = frozenset(
    {
        EventType.RUN_SUCCEEDED,
        EventType.RUN_FAILED,
        EventType.RUN_RETRIED,
        EventType.RUN_CANCELLED,
        EventType.RUN_SKIPPED,
    }
)


@dataclass(slots=True)
class Event:
    """An event as read back: its row and the run it speaks of.

    Run events keep only what changes during a run (`reason`, `worker`); the rest of their snapshot is the run's row,
    which lives at least as long. Task events carry their snapshot in `detail`, the JSON of `db.tasks.dump`.
    """

    namespace: str
    sequence: int
    type: EventType
    time: int
    run_uid: str | None
    task_uid: str
    task_id: str
    reason: str | None
    worker: str | None
    detail: str | None
    run: Run | None


class LogLevel(IntEnum):
    """Severity of a log line. Numbers equal the proto's; a higher number is graver."""

    DEBUG = 1
    INFO = 2
    WARNING = 3
    ERROR = 4


@dataclass(slots=True)
class LogEntry:
    """A line that a run wrote. `sequence` counts from 1 within the run; `fields` is a serialized Struct."""

    run_uid: str
    sequence: int
    time: int
    level: int
    stream: int
    message: str
    fields: bytes | None
