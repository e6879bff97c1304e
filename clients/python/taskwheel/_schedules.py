"""Schedules and policies, made from Python values. Their rules are the server's, which names the field at fault."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from taskwheel._values import to_duration, to_timestamp
from taskwheel.v1 import retry_policy_pb2, schedule_pb2

Length = timedelta | float
"""A duration: a timedelta, or a number of seconds."""


def cron(
    expression: str,
    *,
    time_zone: str = "",
    start_time: datetime | None = None,
    end_time: datetime | None = None,
    jitter: Length | None = None,
    dst_gap: Literal["RUN_AFTER_GAP", "SKIP"] | None = None,
    dst_overlap: Literal["FIRST", "BOTH"] | None = None,
) -> schedule_pb2.Schedule:
    """A schedule by a cron expression, in the dialect of Debian's crontab(5).

    Args:
        expression: five fields, or `@daily` and the like.
        time_zone: the IANA name of the zone it is read in; default UTC.
        start_time: the first instant that may be a slot; default now.
        end_time: no slot lies at or after it.
        jitter: the greatest delay of a run after its slot.
        dst_gap: what becomes of a slot whose wall-clock time does not exist.
        dst_overlap: what becomes of a slot whose wall-clock time comes twice.
    """
    schedule = schedule_pb2.Schedule(cron=expression, time_zone=time_zone, dst_gap=dst_gap, dst_overlap=dst_overlap)
    schedule.MergeFrom(_bounds(start_time, end_time, jitter))
    return schedule


def every(
    interval: Length,
    *,
    start_time: datetime | None = None,
    end_time: datetime | None = None,
    jitter: Length | None = None,
) -> schedule_pb2.Schedule:
    """A schedule with a fixed distance between slots, at least 1 second, anchored at start_time or else at its edit."""
    schedule = schedule_pb2.Schedule(interval=to_duration(interval))
    schedule.MergeFrom(_bounds(start_time, end_time, jitter))
    return schedule


def at(instant: datetime, *, jitter: Length | None = None) -> schedule_pb2.Schedule:
    """A schedule of a single instant, which must lie ahead."""
    return schedule_pb2.Schedule(at=to_timestamp(instant), jitter=None if jitter is None else to_duration(jitter))


def _bounds(start: datetime | None, end: datetime | None, jitter: Length | None) -> schedule_pb2.Schedule:
    return schedule_pb2.Schedule(
        start_time=None if start is None else to_timestamp(start),
        end_time=None if end is None else to_timestamp(end),
        jitter=None if jitter is None else to_duration(jitter),
    )


def retry(
    max_attempts: int,
    *,
    delays: Sequence[Length] = (),
    initial_delay: Length | None = None,
    multiplier: float | None = None,
    max_delay: Length | None = None,
    jitter_ratio: float = 0.0,
    only: Sequence[str] = (),
    never: Sequence[str] = (),
    on_lost: bool = False,
) -> retry_policy_pb2.RetryPolicy:
    """A retry policy.

    Args:
        max_attempts: how many attempts there are in all, the first included.
        delays: the delay after each attempt; the last one repeats. Without them delays grow by a factor.
        initial_delay: the delay after the first attempt; default 1 second.
        multiplier: the factor between one delay and the next; default 2.
        max_delay: the greatest delay; default 10 minutes.
        jitter_ratio: by how much of itself each delay is varied at random, 0 to 1.
        only: the names of the errors to retry; default every error.
        never: the names of errors not to retry.
        on_lost: whether to retry a run whose worker was lost, and which may have done its work.

    Raises:
        ValueError: delays from a list and delays that grow are both given.
    """
    grows = initial_delay is not None or multiplier is not None or max_delay is not None
    if delays and grows:
        raise ValueError("delays come from a list or grow by a factor, not both")
    policy = retry_policy_pb2.RetryPolicy(
        max_attempts=max_attempts,
        jitter_ratio=jitter_ratio,
        retryable_error_names=only,
        non_retryable_error_names=never,
        retry_on_lost=on_lost,
    )
    if delays:
        policy.fixed_delays.delays.extend(to_duration(delay) for delay in delays)
    if grows:
        policy.exponential_backoff.CopyFrom(
            retry_policy_pb2.ExponentialBackoff(
                initial_delay=None if initial_delay is None else to_duration(initial_delay),
                multiplier=multiplier,
                max_delay=None if max_delay is None else to_duration(max_delay),
            )
        )
    return policy


def misfire(
    mode: Literal["RUN_ONCE", "RUN_ALL", "SKIP"], *, catchup_window: Length | None = None, max_catchup_runs: int = 0
) -> schedule_pb2.MisfirePolicy:
    """What to do about slots that were missed.

    Args:
        mode: which of them are started.
        catchup_window: how late a slot may still be started; default 1 hour.
        max_catchup_runs: how many slots RUN_ALL starts at most; 0 means 100.
    """
    return schedule_pb2.MisfirePolicy(
        mode=mode,
        catchup_window=None if catchup_window is None else to_duration(catchup_window),
        max_catchup_runs=max_catchup_runs,
    )
