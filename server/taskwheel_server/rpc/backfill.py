"""Backfills: a range of a task's slots as commands, a slice at a time."""

from __future__ import annotations

from typing import Any

from taskwheel_server import schedule
from taskwheel_server.errors import FailedPrecondition, InvalidArgument
from taskwheel_server.model.names import TaskRef, run_name
from taskwheel_server.model.run import Run
from taskwheel_server.model.state import OverlapPolicy
from taskwheel_server.model.task import Task
from taskwheel_server.model.uid import Minter
from taskwheel_server.rpc.backend import ANONYMOUS
from taskwheel_server.rpc.messages import TaskRun
from taskwheel_server.rpc.new_run import digest
from taskwheel_server.rpc.run_message import STATES
from taskwheel_server.rpc.times import microseconds, put
from taskwheel_server.wheel.commands import AdmitSlots

MAX_SLOTS = 10_000
# Others get their turn between two slices.
SLICE = 500


def read_backfill(request: Any, task: Task, minter: Minter) -> list[AdmitSlots]:
    """Return the commands that start the slots a BackfillTaskRequest asks for, oldest first.

    Raises:
        InvalidArgument: the range ends before it begins, or has too many slots.
        FailedPrecondition: NO_SCHEDULES, or SCHEDULE_UNREADABLE.
    """
    start, end = microseconds(request.start_time, "start_time"), microseconds(request.end_time, "end_time")
    if end <= start:
        raise InvalidArgument("end_time", "must be later than start_time")
    policy = OverlapPolicy(request.overlap_policy) if request.overlap_policy else None
    slots = _slots(task, start, end)
    backfill = request.request_id or minter.mint()
    return [
        AdmitSlots(
            TaskRef(task.namespace, uid=task.uid),
            uids=[minter.mint() for _ in part],
            slots=part,
            backfill=backfill,
            overlap_policy=policy,
            request_digest=digest(start, end, policy),
            creator_application=ANONYMOUS,
        )
        for part in (slots[first : first + SLICE] for first in range(0, len(slots), SLICE))
    ]


def _slots(task: Task, start: int, end: int) -> list[int]:
    """Return the slots in [start, end)."""
    if not task.schedules:
        raise FailedPrecondition("NO_SCHEDULES", "the task has no schedules: there are no slots to backfill")
    try:
        slots = schedule.slots_between(
            schedule.load(task.schedules),
            start - 1,
            end - 1,
            anchor=task.anchor_time,
            seed=task.uid,
            limit=MAX_SLOTS + 1,
        )
    except schedule.InvalidSchedule as error:
        raise unreadable(error) from None
    if len(slots) > MAX_SLOTS:
        raise InvalidArgument("end_time", f"the range has more than {MAX_SLOTS} slots", "TOO_MANY_SLOTS")
    return slots


def unreadable(error: schedule.InvalidSchedule) -> FailedPrecondition:
    """Return the error for a stored schedule that this version does not know."""
    return FailedPrecondition("SCHEDULE_UNREADABLE", f"the task's schedule cannot be read: {error.description}")


def slot_message(run: Run) -> TaskRun:
    """Return what is answered of a run of a backfill: 10,000 of them must fit into a message."""
    message = TaskRun(
        name=run_name(run.namespace, run.uid),
        uid=run.uid,
        state=STATES[run.state],
        state_reason=run.state_reason or "",
        trigger=run.trigger,
    )
    put(message.scheduled_time, run.scheduled_time or 0)
    return message
