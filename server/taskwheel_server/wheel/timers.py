"""Timers: runs whose deadline has come. Every live state has one owner and, where the owner can fail, a deadline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskwheel_server.db import runs, tasks
from taskwheel_server.model.run import RUN_TIMEOUT, START_DEADLINE_EXCEEDED, ZOMBIE
from taskwheel_server.model.state import State, StateReason
from taskwheel_server.wheel.admit import start_limit
from taskwheel_server.wheel.ending import Endings

if TYPE_CHECKING:
    from taskwheel_server.model.run import Run
    from taskwheel_server.model.task import Task
    from taskwheel_server.wheel.turn import Turn


def tick_runs(turn: Turn, limit: int) -> None:
    """Promote waiting runs that are due, fail those nobody started or finished in time, end leases: `limit` at most."""
    due = runs.due(turn.connection, turn.now, limit)
    if not due:
        return
    turn.unfinished |= len(due) == limit
    waiting = {run.task_uid for run in due if run.state is State.WAITING}
    owners = tasks.lock_limited(turn.connection, waiting) if waiting else {}
    endings = Endings(turn)
    promoted: list[tuple[Run, State]] = []
    for run in due:
        match run.state:
            case State.WAITING if not _too_late(turn, run):
                promoted.append((run, _promote(turn, run, owners.get(run.task_uid))))
            case State.WAITING | State.HELD | State.READY:
                endings.fail(run, START_DEADLINE_EXCEEDED, StateReason.START_DEADLINE_EXCEEDED)
            case State.RUNNING | State.CANCELLING:
                _end(turn, endings, run)
    turn.write_moved(promoted)
    endings.write()


def _too_late(turn: Turn, run: Run) -> bool:
    """Tell whether a waiting run is met only after its start deadline: the server was down when it was due."""
    limit = start_limit(run)
    return limit is not None and limit <= turn.now


def _promote(turn: Turn, run: Run, task: Task | None) -> State:
    if task and task.full():
        before = turn.move(run, State.HELD, StateReason.CONCURRENCY_LIMIT)
    else:
        before = turn.move(run, State.READY, None)
        turn.ready(run)
    run.deadline = start_limit(run)
    return before


def _end(turn: Turn, endings: Endings, run: Run) -> None:
    turn.stop_worker(run, lost=True)
    lost = run.lease_expire_time is None or run.lease_expire_time <= turn.now
    # Without its token nothing that the worker still sends can be taken for an accepted result.
    run.lease_token = None
    if run.state is State.CANCELLING:
        endings.cancel(run, run.state_reason or StateReason.CANCEL_REQUESTED)
    elif lost:
        endings.fail(run, ZOMBIE, StateReason.LEASE_LOST, lost=True)
    else:
        endings.fail(run, RUN_TIMEOUT, StateReason.RUN_TIMEOUT)
