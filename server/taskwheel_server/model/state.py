"""The life of a run: its states and the only table of legal moves.

PENDING has three places here that callers see as one: WAITING (not yet due), HELD (its task's limit or overlap policy
keeps it back) and READY (may be claimed). A worker's lease makes it RUNNING; a cancellation of a running one is
CANCELLING until the worker, or the end of its lease, settles it.

    WAITING → READY | HELD        due
    HELD    → READY | WAITING     released
    READY   → RUNNING | HELD      claimed | its task is at its limit
    RUNNING → CANCELLING          cancellation asked for
    RUNNING → READY               handed back, or never reached a worker
    any pending → CANCELLED       certain
    RUNNING, CANCELLING → SUCCEEDED | FAILED | CANCELLED | RETRIED
    pending → FAILED              its start deadline passed
    (new) → SKIPPED               the slot was missed or overlapped
"""

from __future__ import annotations

from enum import IntEnum, StrEnum


class State(IntEnum):
    """Where a run is. The numbers are stored; the partial indexes of the runs table name them."""

    WAITING = 1
    HELD = 2
    READY = 3
    RUNNING = 4
    CANCELLING = 5
    SUCCEEDED = 6
    FAILED = 7
    CANCELLED = 8
    RETRIED = 9
    SKIPPED = 10

    @property
    def done(self) -> bool:
        """Whether the run has ended for good."""
        return self >= State.SUCCEEDED

    @property
    def pending(self) -> bool:
        """Whether callers see PENDING."""
        return self <= State.READY


LEGAL_MOVES: dict[State, frozenset[State]] = {
    State.WAITING: frozenset({State.READY, State.HELD, State.CANCELLED, State.FAILED}),
    State.HELD: frozenset({State.READY, State.WAITING, State.CANCELLED, State.FAILED}),
    State.READY: frozenset({State.RUNNING, State.HELD, State.CANCELLED, State.FAILED}),
    State.RUNNING: frozenset(
        {State.READY, State.CANCELLING, State.SUCCEEDED, State.FAILED, State.CANCELLED, State.RETRIED}
    ),
    State.CANCELLING: frozenset({State.SUCCEEDED, State.CANCELLED, State.FAILED}),
    State.SUCCEEDED: frozenset(),
    State.FAILED: frozenset(),
    State.CANCELLED: frozenset(),
    State.RETRIED: frozenset(),
    State.SKIPPED: frozenset(),
}


LEASED = frozenset({State.RUNNING, State.CANCELLING})


class Trigger(IntEnum):
    """What brought a run about. Numbers equal the proto's."""

    MANUAL = 1
    SCHEDULE = 2
    RETRY = 3
    BACKFILL = 4
    CATCH_UP = 5


class OverlapPolicy(IntEnum):
    """What a due slot does when the task still has a run that is not done. Numbers equal the proto's."""

    ALLOW = 1
    SKIP = 2
    QUEUE_ONE = 3
    CANCEL_RUNNING = 4


class MisfireMode(IntEnum):
    """What happens to slots met over a minute late. Numbers equal the proto's."""

    RUN_ONCE = 1
    RUN_ALL = 2
    SKIP = 3


class StateReason(StrEnum):
    """Why a run is where it is, as callers read it in `state_reason`."""

    NOT_DUE = "NOT_DUE"
    CONCURRENCY_LIMIT = "CONCURRENCY_LIMIT"
    OVERLAP_QUEUED = "OVERLAP_QUEUED"
    OVERLAP_SKIPPED = "OVERLAP_SKIPPED"
    OVERLAP_CANCELLED = "OVERLAP_CANCELLED"
    MISSED = "MISSED"
    TASK_DELETED = "TASK_DELETED"
    CANCEL_REQUESTED = "CANCEL_REQUESTED"
    WORKER_CANCELLED = "WORKER_CANCELLED"
    HANDED_BACK = "HANDED_BACK"
    LEASE_LOST = "LEASE_LOST"
    RUN_TIMEOUT = "RUN_TIMEOUT"
    START_DEADLINE_EXCEEDED = "START_DEADLINE_EXCEEDED"
