"""Time zones by exact name, and the stretches of constant offset they are made of.

The zone files are those of the package tzdata, whatever the machine has: every replica answers alike, and no name
reaches a path before it was found in the package's own list.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from importlib.resources import files
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from taskwheel_server.errors import clip
from taskwheel_server.schedule.spec import InvalidSchedule

MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR
BLOCK = 1 << 25
# No two changes of a zone since 1970 lie closer than 6.9 days: a probe every 6.1 days sees each of them.
_PROBE = 1 << 19
# Debian's cron(8): a change of this much and more is a correction of the clock, and the new time counts at once.
_CORRECTION = 3 * HOUR
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = 253_402_214_400


class Stretch(NamedTuple):
    """A time of constant offset from UTC, [start, end) in s since the epoch, `offset` in s.

    The others are local minutes, of which the stretch shows `first` and later. From `skipped` up to `first` the clocks
    jumped over them; from `first` up to `fresh` they had been shown before. Without a change at its start, or with a
    correction of the clock, all three are equal.
    """

    start: int
    end: int
    offset: int
    first: int
    skipped: int
    fresh: int


@lru_cache(maxsize=1)
def zone_names() -> frozenset[str]:
    """Return the names a schedule may use: the list of tzdata, less its placeholder Factory."""
    return frozenset(files("tzdata").joinpath("zones").read_text(encoding="ascii").split()) - {"Factory"}


@lru_cache(maxsize=1024)
def zone(name: str) -> tzinfo:
    """Return the zone of that very name, UTC for the empty one.

    Raises:
        InvalidSchedule: the field is `time_zone`.
    """
    if not name:
        return UTC
    if name not in zone_names():
        raise InvalidSchedule("time_zone", f'"{clip(name)}" is not a name of the IANA time zone database')
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, name)


def ceil_minute(seconds: int) -> int:
    """Return the first whole minute at or after `seconds`."""
    return -(-seconds // MINUTE)


def _offset(place: tzinfo, instant: int) -> int:
    local = (EPOCH + timedelta(seconds=min(instant, _LAST))).astimezone(place)
    return (local.utcoffset() or timedelta()) // timedelta(seconds=1)


def _changes(place: tzinfo, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield (instant, new offset) of the changes in (start, end]."""
    known = _offset(place, start)
    for probe in range(start + _PROBE, end + _PROBE, _PROBE):
        low, high = probe - _PROBE, min(probe, end)
        new = _offset(place, high)
        if new != known:
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (low, middle) if _offset(place, middle) == new else (middle, high)
            yield high, new
            known = new


@lru_cache(maxsize=4096)
def stretches(name: str, block: int) -> tuple[Stretch, ...]:
    """Return the stretches of a zone that make up [block, block + 1) × BLOCK s, cut at its borders.

    Raises:
        InvalidSchedule: as `zone`.
    """
    place = zone(name)
    begin, end = block * BLOCK, (block + 1) * BLOCK
    # A change shortly before the block may still repeat minutes inside it.
    start = begin - DAY
    previous = _offset(place, start)
    found = []
    for (change, offset), (until, _) in pairwise([(start, previous), *_changes(place, start, end - 1), (end, 0)]):
        if until > begin:
            first = ceil_minute(max(change, begin) + offset)
            seen = ceil_minute(change + previous)
            skipped = seen if change >= begin and 0 < offset - previous < _CORRECTION else first
            fresh = max(first, seen) if 0 < previous - offset < _CORRECTION else first
            found.append(Stretch(max(change, begin), until, offset, first, skipped, fresh))
        previous = offset
    return tuple(found)
