"""Previews: the next slots of schedules, and what they mean in English."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from taskwheel_server import schedule
from taskwheel_server.model.task import Task
from taskwheel_server.rpc.backend import namespace_of
from taskwheel_server.rpc.backfill import unreadable
from taskwheel_server.rpc.messages import PreviewScheduleResponse
from taskwheel_server.rpc.schedule_message import read_schedule
from taskwheel_server.rpc.times import optional_microseconds, put

DEFAULT_COUNT = 10


def preview_task(request: Any, task: Task, now: int) -> PreviewScheduleResponse:
    """Answer a PreviewScheduleRequest about a stored task.

    Raises:
        FailedPrecondition: SCHEDULE_UNREADABLE.
    """
    try:
        return _preview(request, schedule.load(task.schedules), now, anchor=task.anchor_time, seed=task.uid)
    except schedule.InvalidSchedule as error:
        raise unreadable(error) from None


def preview_schedule(request: Any, now: int) -> PreviewScheduleResponse:
    """Answer a PreviewScheduleRequest about a schedule that is not stored.

    Raises:
        InvalidArgument: the schedule can not be.
    """
    seed = f"namespaces/{namespace_of(request.parent)}"
    return _preview(request, [read_schedule(request.schedule, "schedule", now=None)], now, anchor=now, seed=seed)


def _preview(
    request: Any, schedules: Sequence[schedule.Schedule], now: int, *, anchor: int, seed: str
) -> PreviewScheduleResponse:
    after = optional_microseconds(request, "after")
    slots = schedule.preview_of(
        schedules, now if after is None else after, request.count or DEFAULT_COUNT, anchor=anchor, seed=seed
    )
    response = PreviewScheduleResponse(description="; ".join(schedule.describe(each, seed=seed) for each in schedules))
    for slot in slots:
        message = response.slots.add(dst=slot.dst)
        put(message.time, slot.time)
    return response
