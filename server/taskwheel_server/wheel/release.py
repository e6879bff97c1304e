"""Release: held runs go on when a place under their task's limit, or the run they overlapped, is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskwheel_server.db import runs, tasks
from taskwheel_server.model.state import State, StateReason
from taskwheel_server.wheel.admit import start_limit
from taskwheel_server.wheel.turn import SLICE

if TYPE_CHECKING:
    from taskwheel_server.model.run import Run
    from taskwheel_server.model.task import Task
    from taskwheel_server.wheel.turn import Turn


def release_held(turn: Turn) -> None:
    """Let the held runs of the tasks that were eased in this turn go on, in claim order.

    A run that another server is about to end is left to it: it waits for the task, whose row is ours, and sees to the
    others itself. More may become ready than the limit lets start: the claim judges again, so that a graver run that
    arrives in between goes first.
    """
    # Most tasks neither have a limit nor hold runs: one look tells.
    holding = turn.foresight.holding(turn, turn.eased) if turn.eased else {}
    limited = {uid for uid, has_limit in holding.items() if has_limit}
    tasks.add_running(turn.connection, {uid: -turn.vacated[uid] for uid in limited & turn.vacated.keys()})
    turn.vacated.clear()
    turn.eased = set(holding)
    if limited:
        # Now that no other server can hold runs of theirs that this turn would not see.
        turn.eased -= limited - runs.tasks_with_held(turn.connection, limited)
    if not turn.eased:
        return
    owners = tasks.lock(turn.connection, turn.eased)
    moves: list[tuple[Run, State]] = []
    for uid in sorted(turn.eased):
        task = owners.get(uid)
        if not runs.has_open(turn.connection, uid):
            queued = runs.held(turn.connection, uid, StateReason.OVERLAP_QUEUED, 1, lock=True)
            moves += [(run, _go_on(turn, run)) for run in queued]
        room = _room(task)
        freed = runs.held(turn.connection, uid, StateReason.CONCURRENCY_LIMIT, room, lock=True)
        turn.unfinished |= len(freed) == SLICE
        moves += [(run, _go_on(turn, run)) for run in freed]
        if len(freed) < SLICE:
            turn.eased.discard(uid)
    turn.write_moved(moves)


def _room(task: Task | None) -> int:
    if task is None or not task.max_concurrent_runs:
        return SLICE
    return min(max(task.max_concurrent_runs - task.running, 0), SLICE)


def _go_on(turn: Turn, run: Run) -> State:
    if run.schedule_time > turn.now:
        before = turn.move(run, State.WAITING, StateReason.NOT_DUE)
        run.deadline = run.schedule_time
        return before
    before = turn.move(run, State.READY, None)
    run.deadline = start_limit(run)
    turn.ready(run)
    return before
