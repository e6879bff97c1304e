"""Sweep: what retention has left behind and what deleted tasks had pending, in slices, each a small turn of its own."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

from taskwheel_server.db import events, namespaces, runs, tasks
from taskwheel_server.db.dialect import wait_for_turns
from taskwheel_server.model.state import StateReason
from taskwheel_server.wheel.admit import owned_labels
from taskwheel_server.wheel.ending import Endings
from taskwheel_server.wheel.turn import SLICE

if TYPE_CHECKING:
    from taskwheel_server.wheel.turn import Turn

# How many log lines go in a slice: those of one run may be hundreds of thousands.
MAX_LINES = 10_000


def sweep(turn: Turn) -> None:
    """Delete a slice of what is past retention and cancel a slice of a deleted task's pending runs."""
    # First, for it may wait for turns that wait for what the rest locks.
    _sweep_deleted_task(turn)
    horizon = turn.now - turn.settings.retention
    found = runs.expired(turn.connection, horizon, SLICE)
    lines = list(accumulate(run.log_count for run in found))
    # One run at least, whatever it has logged.
    expired = [run for run, total in zip(found, lines, strict=True) if run is found[0] or total <= MAX_LINES]
    turn.unfinished |= len(found) == SLICE or len(expired) < len(found)
    runs.unindex_labels(
        turn.connection, (owned for run in expired for owned in owned_labels(run.uid, run.tags, run.labels))
    )
    runs.delete(turn.connection, expired)
    # Last, as in every turn: the row of the namespace orders the turns of all servers.
    for namespace in namespaces.names(turn.connection):
        turn.unfinished |= events.compact(turn.connection, namespace, horizon, SLICE) == SLICE


def _sweep_deleted_task(turn: Turn) -> None:
    if not (task := tasks.deleted(turn.connection)):
        return
    if not cancel_pending(turn, task.uid):
        # Turns of other servers may have found the task before it was deleted, and be about to store runs of it.
        wait_for_turns(turn.connection)
        if not cancel_pending(turn, task.uid):
            tasks.purge(turn.connection, task.uid)
    turn.unfinished = True


def cancel_pending(turn: Turn, task_uid: str) -> int:
    """Cancel a slice of a deleted task's pending runs; return how many it had."""
    pending = runs.pending(turn.connection, task_uid, SLICE)
    endings = Endings(turn)
    for run in pending:
        endings.cancel(run, StateReason.TASK_DELETED)
    endings.write()
    return len(pending)
