"""What a schedule is, and how the tasks table keeps it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, fields
from enum import IntEnum
from functools import lru_cache
from typing import Any, Self


class InvalidSchedule(ValueError):
    """A schedule that can not be: refused at the door, or stored by an older version.

    Args:
        field: the field of Schedule at fault, or `spec` when not exactly one of cron, interval and at is set.
        description: what is wrong with it; the value is escaped and cut to 128 characters.
    """

    def __init__(self, field: str, description: str) -> None:
        super().__init__(f"{field}: {description}")
        self.field = field
        self.description = description


class DstGap(IntEnum):
    """What becomes of a fixed time that the clocks skip; numbers as in the contract."""

    RUN_AFTER_GAP = 1
    SKIP = 2


class DstOverlap(IntEnum):
    """In which pass of a repeated hour a fixed time runs; numbers as in the contract."""

    FIRST = 1
    BOTH = 2


class Dst(IntEnum):
    """What the clocks did to a slot; numbers as in the contract."""

    NONE = 1
    SHIFTED = 2
    REPEATED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When a task runs: exactly one of `cron`, `interval` (µs) and `at` (µs) is set.

    `time_zone` is an IANA name, empty for UTC; only cron follows it. Slots lie in [start_time, end_time), µs. `jitter`
    is the longest delay of a start, µs. Construction checks nothing: see `check`.
    """

    cron: str = ""
    interval: int = 0
    at: int | None = None
    time_zone: str = ""
    start_time: int | None = None
    end_time: int | None = None
    jitter: int = 0
    dst_gap: DstGap = DstGap.RUN_AFTER_GAP
    dst_overlap: DstOverlap = DstOverlap.FIRST

    def to_dict(self) -> dict[str, Any]:
        """Return what differs from the defaults, ready for JSON."""
        values = {field.name: (getattr(self, field.name), field.default) for field in fields(self)}
        return {name: value for name, (value, default) in values.items() if value != default}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return the schedule that `to_dict` answered `values` for."""
        for name, value in values.items():
            if not isinstance(value, str if name in {"cron", "time_zone"} else int):
                raise TypeError(name)
        return cls(
            **{
                **values,
                "dst_gap": DstGap(values.get("dst_gap", DstGap.RUN_AFTER_GAP)),
                "dst_overlap": DstOverlap(values.get("dst_overlap", DstOverlap.FIRST)),
            }
        )


def dump(schedules: Iterable[Schedule]) -> str:
    """Return the schedules of a task as the JSON text of its column; empty for none."""
    values = [schedule.to_dict() for schedule in schedules]
    return json.dumps(values, separators=(",", ":")) if values else ""


@lru_cache(maxsize=4096)
def load(text: str) -> tuple[Schedule, ...]:
    """Return the schedules that `dump` wrote.

    Raises:
        InvalidSchedule: it was a version that knew more, or less.
    """
    try:
        return tuple(Schedule.from_dict(values) for values in json.loads(text)) if text else ()
    except (ValueError, TypeError, AttributeError) as error:
        raise InvalidSchedule("schedules", "they cannot be read") from error
