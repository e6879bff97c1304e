"""Schedules as pure functions: what is accepted, when it is due, how it reads. No clock, no I/O but the zone files.

Times are µs since the epoch, UTC; durations µs.
"""

from taskwheel_server.schedule.check import check
from taskwheel_server.schedule.describe import describe
from taskwheel_server.schedule.preview import Slot, preview, preview_of
from taskwheel_server.schedule.slots import (
    alike,
    count_slots,
    delay_of,
    jitter_of,
    newest_slots,
    next_slot,
    next_slot_of,
    slots_between,
)
from taskwheel_server.schedule.spec import Dst, DstGap, DstOverlap, InvalidSchedule, Schedule, dump, load

__all__ = [
    "Dst",
    "DstGap",
    "DstOverlap",
    "InvalidSchedule",
    "Schedule",
    "Slot",
    "alike",
    "check",
    "count_slots",
    "delay_of",
    "describe",
    "dump",
    "jitter_of",
    "load",
    "newest_slots",
    "next_slot",
    "next_slot_of",
    "preview",
    "preview_of",
    "slots_between",
]
