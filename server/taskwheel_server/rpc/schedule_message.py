"""Schedules as messages, and back."""

from __future__ import annotations

from typing import Any

from taskwheel_server import schedule
from taskwheel_server.errors import InvalidArgument
from taskwheel_server.rpc.times import optional_microseconds, put


def read_schedule(message: Any, path: str, *, now: int | None) -> schedule.Schedule:
    """Return a schedule that a caller sent, checked.

    Args:
        message: a Schedule.
        path: of it, to name its fields in errors.
        now: µs; given, an `at` must lie later.

    Raises:
        InvalidArgument: it can not be.
    """
    dot = f"{path}."
    found = schedule.Schedule(
        cron=message.cron,
        interval=optional_microseconds(message, "interval", dot) or 0,
        at=optional_microseconds(message, "at", dot),
        time_zone=message.time_zone,
        start_time=optional_microseconds(message, "start_time", dot),
        end_time=optional_microseconds(message, "end_time", dot),
        jitter=optional_microseconds(message, "jitter", dot) or 0,
        dst_gap=schedule.DstGap(message.dst_gap or schedule.DstGap.RUN_AFTER_GAP),
        dst_overlap=schedule.DstOverlap(message.dst_overlap or schedule.DstOverlap.FIRST),
    )
    try:
        schedule.check(found, now=now)
    except schedule.InvalidSchedule as error:
        raise InvalidArgument(dot + error.field, error.description, "INVALID_SCHEDULE") from None
    return found


def put_schedule(message: Any, value: schedule.Schedule) -> None:
    """Set a Schedule in place."""
    if value.cron:
        message.cron = value.cron
    elif value.at is not None:
        put(message.at, value.at)
    else:
        put(message.interval, value.interval)
    message.time_zone = value.time_zone
    if value.start_time is not None:
        put(message.start_time, value.start_time)
    if value.end_time is not None:
        put(message.end_time, value.end_time)
    if value.jitter:
        put(message.jitter, value.jitter)
    message.dst_gap = value.dst_gap
    message.dst_overlap = value.dst_overlap
