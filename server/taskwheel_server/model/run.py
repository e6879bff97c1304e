"""One execution of a task, as the runs table keeps it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from operator import attrgetter

from taskwheel_server.model.state import State, Trigger

# Of a run without what `Run.size` measures: names and times, and short words.
_FIXED_BYTES = 1_024


@dataclass(slots=True)
class Run:
    """A TaskRun row. Times in µs since the epoch UTC, durations in µs, payload and result as serialized bytes.

    `deadline` is the instant at which the tick must look at the run again (start, start deadline, lease end or run
    timeout, whichever is next); `lease_token` survives the settling so that a repeated result is known again.
    `tags`, `labels`, `retry_for_runs` and `retry_policy` are JSON text, empty when there is none: they are carried
    far more often than read.
    """

    uid: str
    namespace: str
    task_uid: str
    task_id: str
    handler: str
    state: State
    state_reason: str | None = None
    state_change_time: int = 0
    trigger: Trigger = Trigger.MANUAL
    scheduled_time: int | None = None
    backfill: str = ""
    first_scheduled_time: int | None = None
    skipped_count: int = 0
    schedule_time: int = 0
    create_time: int = 0
    start_time: int | None = None
    end_time: int | None = None
    update_time: int = 0
    priority: int = 0
    attempt: int = 1
    root_run: str | None = None
    retry_for_runs: str = ""
    retried_by_run: str | None = None
    payload: bytes | None = None
    result: bytes | None = None
    error_type: str | None = None
    error_name: str | None = None
    error_message: str | None = None
    error_stack: str | None = None
    tags: str = ""
    labels: str = ""
    creator_application: str = ""
    creator_user: str = ""
    worker: str | None = None
    progress_ratio: float | None = None
    progress_message: str | None = None
    log_count: int = 0
    log_bytes: int = 0
    request_id: str | None = None
    request_digest: bytes | None = None
    run_timeout: int | None = None
    start_deadline: int | None = None
    retry_policy: str = ""
    lease_token: str | None = None
    lease_expire_time: int | None = None
    deadline: int | None = None

    def size(self) -> int:
        """Return about how many bytes it takes as a message; rather more than fewer."""
        size = _FIXED_BYTES + len(self.payload or b"") + len(self.result or b"") + 2 * len(self.retry_for_runs)
        texts = _texts(self)
        return size + sum(len(text.encode()) for text in texts if text) if any(texts) else size

    def copy(self) -> Run:
        """Return an equal run, to go its own way."""
        return Run(*_values(self))


RUN_COLUMNS: tuple[str, ...] = tuple(field.name for field in fields(Run))
_values = attrgetter(*RUN_COLUMNS)
_texts = attrgetter("tags", "labels", "error_message", "error_stack", "state_reason", "progress_message")


@dataclass(frozen=True, slots=True)
class RunError:
    """Why a run failed: `type` says whose fault (`system` is ours), `name` is what retry policies match."""

    type: str
    name: str
    message: str
    stack: str = ""


SYSTEM = "system"
ZOMBIE = RunError(SYSTEM, "zombieTaskCleaned", "The worker's lease ended before it reported an outcome.")
RUN_TIMEOUT = RunError(SYSTEM, "runTimeout", "The run took longer than its run_timeout.")
START_DEADLINE_EXCEEDED = RunError(SYSTEM, "startDeadlineExceeded", "No worker started the run before its deadline.")
RESULT_TOO_LARGE = "resultTooLarge"
