"""A task: what to run, when and under which policy, as the tasks table keeps it."""

from __future__ import annotations

from dataclasses import dataclass, fields

from taskwheel_server.clock import HOUR
from taskwheel_server.model.state import MisfireMode, OverlapPolicy

DEFAULT_CATCHUP_WINDOW = HOUR
DEFAULT_MAX_CATCHUP_RUNS = 100


@dataclass(slots=True)
class Task:
    """A Task row. Times in µs since the epoch UTC, durations in µs, payload as serialized bytes.

    `schedules` and `retry_policy` are JSON text that `schedule.load` and `retry.load` read (memoised): most turns only
    carry them. `anchor_time` is the last edit of the schedules: intervals without a start count from it. `next_time`
    is the next nominal slot, None when there is none or the task is paused. `running` counts leased runs and is kept
    only while `max_concurrent_runs` is set. `delete_time` marks a deleted task whose pending runs are still being
    cancelled. `version` moves with each change by a caller and is what the etag shows.
    """

    uid: str
    namespace: str
    task_id: str
    handler: str
    display_name: str = ""
    description: str = ""
    version: int = 1
    schedules: str = ""
    paused: bool = False
    pause_reason: str = ""
    pause_actor: str = ""
    pause_time: int | None = None
    payload: bytes | None = None
    priority: int = 0
    tags: str = ""
    labels: str = ""
    retry_policy: str = ""
    overlap_policy: OverlapPolicy = OverlapPolicy.ALLOW
    misfire_mode: MisfireMode = MisfireMode.RUN_ONCE
    catchup_window: int = DEFAULT_CATCHUP_WINDOW
    max_catchup_runs: int = DEFAULT_MAX_CATCHUP_RUNS
    run_timeout: int | None = None
    start_deadline: int | None = None
    max_concurrent_runs: int = 0
    running: int = 0
    anchor_time: int = 0
    next_time: int | None = None
    creator_application: str = ""
    creator_user: str = ""
    create_time: int = 0
    update_time: int = 0
    delete_time: int | None = None
    request_id: str | None = None
    request_digest: bytes | None = None

    @property
    def etag(self) -> str:
        """The quoted entity tag of AIP-154."""
        return f'"{self.version}"'

    def full(self, starting: int = 0) -> bool:
        """Whether its limit has no room for another run, with so many that start now."""
        return 0 < self.max_concurrent_runs <= self.running + starting


TASK_COLUMNS: tuple[str, ...] = tuple(field.name for field in fields(Task))


@dataclass(frozen=True, slots=True)
class LastRun:
    """The newest run of a task, read from the runs: its uid and when it was created, µs."""

    uid: str
    time: int
