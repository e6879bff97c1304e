"""What is refused at the door."""

from __future__ import annotations

from dataclasses import replace

from taskwheel_server.clock import DAY, HOUR, SECOND
from taskwheel_server.schedule.cron import parse
from taskwheel_server.schedule.slots import END, next_slot
from taskwheel_server.schedule.spec import InvalidSchedule, Schedule
from taskwheel_server.schedule.zones import zone

MIN_INTERVAL = SECOND
MAX_INTERVAL = 3660 * DAY
MAX_JITTER = 24 * HOUR


def check(schedule: Schedule, *, now: int | None) -> None:
    """Refuse a schedule that can not be kept; cheap (a few ms at worst) whatever the text is.

    Args:
        schedule: what a caller sent.
        now: µs; given, an `at` must lie later. None for a schedule that was accepted before.

    Raises:
        InvalidSchedule: names the field and what is wrong with it.
    """
    given = [bool(schedule.cron), schedule.interval != 0, schedule.at is not None]
    if sum(given) != 1:
        raise InvalidSchedule("spec", "exactly one of cron, interval and at must be set")
    zone(schedule.time_zone)
    if schedule.start_time is not None and schedule.end_time is not None and schedule.end_time <= schedule.start_time:
        raise InvalidSchedule("end_time", "must be later than start_time")
    if not 0 <= schedule.jitter <= MAX_JITTER:
        raise InvalidSchedule("jitter", "must be between 0 and 24 hours")
    if schedule.cron:
        _check_cron(schedule, 0 if now is None else now)
    elif schedule.at is not None:
        _check_at(schedule, schedule.at, now)
    else:
        _check_interval(schedule)


def _check_cron(schedule: Schedule, now: int) -> None:
    parse(schedule.cron)
    if next_slot(replace(schedule, start_time=None, end_time=None), now, anchor=0, seed="") is None:
        raise InvalidSchedule("cron", "every time it names is skipped by the clocks of its zone")


def _check_at(schedule: Schedule, at: int, now: int | None) -> None:
    if not 0 <= at < END:
        raise InvalidSchedule("at", "must lie between the years 1970 and 9999")
    if now is not None and at <= now:
        raise InvalidSchedule("at", "must lie in the future")
    if next_slot(schedule, at - 1, anchor=0, seed="") is None:
        raise InvalidSchedule("at", "must lie in [start_time, end_time)")


def _check_interval(schedule: Schedule) -> None:
    if not MIN_INTERVAL <= schedule.interval <= MAX_INTERVAL:
        raise InvalidSchedule("interval", "must be between 1 second and 3660 days")
    if schedule.jitter > schedule.interval:
        raise InvalidSchedule("jitter", "must not exceed the interval")
