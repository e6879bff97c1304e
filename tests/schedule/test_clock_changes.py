"""What the clocks of a zone do to slots: Debian's cron(8), and the two switches that change it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from importlib.resources import files
from itertools import pairwise
from zoneinfo import ZoneInfo, _common

import pytest

from taskwheel_server.schedule import (
    Dst,
    DstGap,
    DstOverlap,
    InvalidSchedule,
    Schedule,
    check,
    count_slots,
    next_slot,
    preview,
    slots_between,
)
from taskwheel_server.schedule.zones import BLOCK, stretches, zone, zone_names

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NEW_YORK, LONDON, SAO_PAULO = "America/New_York", "Europe/London", "America/Sao_Paulo"
CAIRO, LORD_HOWE, APIA = "Africa/Cairo", "Australia/Lord_Howe", "Pacific/Apia"
EVERY_20 = [f"{hour:02}:{minute:02}" for hour in range(2) for minute in (0, 20, 40)]


def micros(local: datetime) -> int:
    return (local.astimezone(UTC) - EPOCH) // timedelta(microseconds=1)


def on_the_clock(schedule: Schedule, day: str, days: int = 1) -> list[str]:
    """The slots from the begin of a local day on, as its clock shows them; a second pass is marked by `+`."""
    place = ZoneInfo(schedule.time_zone)
    start = datetime.fromisoformat(day).replace(tzinfo=place)
    after, until = micros(start), micros(start + timedelta(days=days))
    slots = slots_between([schedule], after - 1, until - 1, anchor=0, seed="", limit=10_000)
    assert count_slots([schedule], after - 1, until - 1, anchor=0, seed="") == len(slots)
    shown = [(EPOCH + timedelta(microseconds=slot)).astimezone(place) for slot in slots]
    return [f"{local:{'%H:%M' if days == 1 else '%d %H:%M'}}{'+' * local.fold}" for local in shown]


@pytest.mark.parametrize(
    ("cron", "place", "day", "clock"),
    [
        # Gaps: fixed times run once at the first minute after it, what begins with `*` does not.
        ("30 2 * * *", NEW_YORK, "2026-03-08", ["03:00"]),
        ("0,15,30 2 * * *", NEW_YORK, "2026-03-08", ["03:00"]),
        ("0 2,3 * * *", NEW_YORK, "2026-03-08", ["03:00"]),
        ("30 1-3 * * *", NEW_YORK, "2026-03-08", ["01:30", "03:00", "03:30"]),
        ("0-59/30 2-3 * * *", NEW_YORK, "2026-03-08", ["03:00", "03:30"]),
        ("30 2 8 3 *", NEW_YORK, "2026-03-08", ["03:00"]),
        ("30 2 9 3 *", NEW_YORK, "2026-03-08", []),
        ("*/15 2 * * *", NEW_YORK, "2026-03-08", []),
        ("30 */2 * * *", NEW_YORK, "2026-03-08", [f"{hour:02}:30" for hour in range(0, 24, 2) if hour != 2]),
        ("* 2 * * *", NEW_YORK, "2026-03-08", []),
        ("0 0 * * *", SAO_PAULO, "2018-11-04", ["01:00"]),
        ("0 0 * * *", CAIRO, "2026-04-24", ["01:00"]),
        ("15 2 * * *", LORD_HOWE, "2026-10-04", ["02:30"]),
        # Overlaps: fixed times run in the first pass, what begins with `*` in both.
        ("30 1 * * *", NEW_YORK, "2026-11-01", ["01:30"]),
        ("30 1 * * *", LONDON, "2026-10-25", ["01:30"]),
        ("0-59/20 1 * * *", LONDON, "2026-10-25", ["01:00", "01:20", "01:40"]),
        ("*/20 1 * * *", LONDON, "2026-10-25", [*EVERY_20[3:], "01:00+", "01:20+", "01:40+"]),
        ("30 23 * * *", SAO_PAULO, "2019-02-16", ["23:30"]),
        ("45 1 * * *", LORD_HOWE, "2026-04-05", ["01:45"]),
        ("45 * * * *", LORD_HOWE, "2026-04-05", ["00:45", "01:45", "01:45+", *(f"{h:02}:45" for h in range(2, 24))]),
        # A shift of half an hour touches nothing but itself (cronsim 2.8 loses the first half of 02:00-02:59).
        ("* 2 * * *", LORD_HOWE, "2026-04-05", [f"02:{minute:02}" for minute in range(60)]),
        ("* 2 * * *", LORD_HOWE, "2026-04-06", [f"02:{minute:02}" for minute in range(60)]),
        ("* 2 * * *", LORD_HOWE, "2026-10-03", [f"02:{minute:02}" for minute in range(60)]),
        ("* 2 * * *", LORD_HOWE, "2026-10-04", [f"02:{minute:02}" for minute in range(30, 60)]),
    ],
)
def test_the_slots_of_a_day_on_which_the_clocks_change(cron, place, day, clock):
    assert on_the_clock(Schedule(cron=cron, time_zone=place), day) == clock


def test_quarters_of_an_hour_go_on_evenly_across_a_gap_and_halves_across_an_overlap():
    across_gap = on_the_clock(Schedule(cron="*/15 * * * *", time_zone=NEW_YORK), "2026-03-08")
    assert across_gap[7:9] == ["01:45", "03:00"]
    across_overlap = on_the_clock(Schedule(cron="*/30 * * * *", time_zone=LONDON), "2026-10-25")
    assert across_overlap[2:7] == ["01:00", "01:30", "01:00+", "01:30+", "02:00"]


@pytest.mark.parametrize(
    ("cron", "place", "day", "days", "clock"),
    [
        # Three hours and more are a correction: a skipped day is not made up, a repeated one is lived twice.
        ("0 12 * * *", APIA, "2011-12-29", 3, ["29 12:00", "31 12:00"]),
        ("0 3 * * *", "Antarctica/Casey", "2009-10-18", 2, ["19 03:00"]),
        ("30 0 * * *", "Antarctica/Casey", "2010-03-05", 1, ["00:30", "00:30+"]),
        # Two hours are not.
        ("30 1 * * *", "Antarctica/Troll", "2026-03-29", 1, ["03:00"]),
        ("30 1 * * *", "Antarctica/Troll", "2026-10-25", 1, ["01:30"]),
    ],
)
def test_large_changes(cron, place, day, days, clock):
    assert on_the_clock(Schedule(cron=cron, time_zone=place), day, days) == clock


@pytest.mark.parametrize(
    ("cron", "place", "day", "switch", "clock"),
    [
        ("30 2 * * *", NEW_YORK, "2026-03-08", {"dst_gap": DstGap.SKIP}, []),
        ("30 1-3 * * *", NEW_YORK, "2026-03-08", {"dst_gap": DstGap.SKIP}, ["01:30", "03:30"]),
        ("*/15 2 * * *", NEW_YORK, "2026-03-08", {"dst_gap": DstGap.SKIP}, []),
        ("30 2 * * *", NEW_YORK, "2026-03-08", {"dst_overlap": DstOverlap.BOTH}, ["03:00"]),
        ("30 1 * * *", LONDON, "2026-10-25", {"dst_overlap": DstOverlap.BOTH}, ["01:30", "01:30+"]),
        ("0 1,2 * * *", LONDON, "2026-10-25", {"dst_overlap": DstOverlap.BOTH}, ["01:00", "01:00+", "02:00"]),
        ("30 1 * * *", LONDON, "2026-10-25", {"dst_gap": DstGap.SKIP}, ["01:30"]),
        (
            "*/30 1 * * *",
            LONDON,
            "2026-10-25",
            {"dst_overlap": DstOverlap.BOTH},
            ["01:00", "01:30", "01:00+", "01:30+"],
        ),
    ],
)
def test_the_switches_change_what_becomes_of_fixed_times(cron, place, day, switch, clock):
    assert on_the_clock(Schedule(cron=cron, time_zone=place, **switch), day) == clock


@pytest.mark.parametrize(
    ("cron", "place", "start", "switch", "marks"),
    [
        ("30 2 * * *", NEW_YORK, "2026-03-07", {}, [Dst.NONE, Dst.SHIFTED, Dst.NONE]),
        ("30 1-3 * * *", NEW_YORK, "2026-03-08", {}, [Dst.NONE, Dst.SHIFTED, Dst.NONE]),
        ("0 2,3 * * *", NEW_YORK, "2026-03-08", {}, [Dst.NONE]),
        ("30 1 * * *", LONDON, "2026-10-24", {}, [Dst.NONE, Dst.NONE, Dst.NONE]),
        ("30 1 * * *", LONDON, "2026-10-25", {"dst_overlap": DstOverlap.BOTH}, [Dst.NONE, Dst.REPEATED, Dst.NONE]),
        ("*/30 1 * * *", LONDON, "2026-10-25", {}, [Dst.NONE, Dst.NONE, Dst.REPEATED, Dst.REPEATED, Dst.NONE]),
    ],
)
def test_the_preview_marks_what_the_clocks_did(cron, place, start, switch, marks):
    schedule = Schedule(cron=cron, time_zone=place, **switch)
    after = micros(datetime.fromisoformat(start).replace(tzinfo=ZoneInfo(place)))
    assert [slot.dst for slot in preview(schedule, after, len(marks), anchor=0, seed="")] == marks


def test_from_within_a_repeated_hour_the_next_slot_lies_ahead():
    # cronsim 2.8 answers an instant in the past here.
    second_pass = datetime(2026, 10, 25, 1, 15, fold=1, tzinfo=ZoneInfo(LONDON))
    slot = next_slot(Schedule(cron="30 1 * * *", time_zone=LONDON), micros(second_pass), anchor=0, seed="")
    assert slot == micros(datetime(2026, 10, 26, 1, 30, tzinfo=ZoneInfo(LONDON)))


def test_an_expression_that_only_names_skipped_times_is_refused_when_it_skips_them():
    second_sunday_of_march = Schedule(cron="30 2 * 3 0#2", time_zone=NEW_YORK)
    now = micros(datetime(2026, 11, 22, tzinfo=UTC))
    check(second_sunday_of_march, now=now)
    with pytest.raises(InvalidSchedule, match="skipped by the clocks"):
        check(Schedule(cron="30 2 * 3 0#2", time_zone=NEW_YORK, dst_gap=DstGap.SKIP), now=now)


@pytest.mark.parametrize(
    "name", ["UTC", "Etc/UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "EST", "GB-Eire"]
)
def test_a_name_of_the_database_is_a_zone(name):
    check(Schedule(cron="0 0 * * *", time_zone=name), now=0)


@pytest.mark.parametrize(
    "name",
    [
        "localtime", "posixrules", "Factory", "right/UTC", "posix/UTC", "America", "europe/berlin", "Europe/Berlin ",
        "Europe//Berlin", "/etc/passwd", "../UTC", "America/../UTC", "./UTC", "zone.tab", "tzdata.zi", "UTC+1",
        "+01:00", "Mars/Olympus", "\x00", "Europe/Berlin\x00", "\ud800", "Zürich", " ", "CEST", "Local",
        pytest.param("a" * 300, id="300 letters"),
        pytest.param("../" * 500, id="500 parents"),
        pytest.param("A" * 10_000_000, id="10 MB"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("spec", [{"cron": "0 0 * * *"}, {"interval": 10**9}, {"at": 10**18}])
def test_any_other_name_is_refused_before_it_reaches_a_path(name, spec):
    with pytest.raises(InvalidSchedule) as caught:
        check(Schedule(time_zone=name, **spec), now=0)
    assert caught.value.field == "time_zone"
    assert len(caught.value.description) < 200
    assert caught.value.description.isascii()
    assert caught.value.description.isprintable()


def test_a_zone_stored_by_an_older_version_raises_where_it_is_used():
    with pytest.raises(InvalidSchedule):
        next_slot(Schedule(cron="0 0 * * *", time_zone="Mars/Olympus"), 0, anchor=0, seed="")


@pytest.mark.parametrize(
    "name",
    [NEW_YORK, LONDON, SAO_PAULO, CAIRO, LORD_HOWE, APIA, "Africa/Casablanca", "Africa/Monrovia", "America/Noronha",
     "Antarctica/Casey", "Antarctica/Troll", "Asia/Gaza", "Asia/Tehran", "Europe/Dublin", "Pacific/Kwajalein"],
)  # fmt: skip
def test_every_change_of_offset_in_the_zone_file_is_found(name):
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        transitions, instants, offsets, *_ = _common.load_data(file)
    known = [(instant, offsets[kind]) for kind, instant in zip(transitions, instants, strict=True)]
    end = min(known[-1][0] + 1, 70 * BLOCK)
    expected = [now for before, now in pairwise(known) if before[1] != now[1] and 0 < now[0] < end]
    found = [stretch for block in range(end // BLOCK + 1) for stretch in stretches(name, block)]
    assert all(before.end == after.start for before, after in pairwise(found))
    changes = [(now.start, now.offset) for before, now in pairwise(found) if before.offset != now.offset]
    assert [change for change in changes if change[0] < end] == expected


def test_minutes_repeated_by_a_change_shortly_before_a_block_are_known_in_the_block():
    change = datetime(2185, 11, 6, 9, 0, tzinfo=UTC)
    assert micros(change) // 10**6 // BLOCK < micros(change + timedelta(minutes=10)) // 10**6 // BLOCK
    slots = on_the_clock(Schedule(cron="0-59/30 1,2 * * *", time_zone="America/Los_Angeles"), "2185-11-06")
    assert slots == ["01:00", "01:30", "02:00", "02:30"]


def test_the_zones_are_those_of_the_package_whatever_the_machine_has():
    assert len(zone_names()) > 500
    assert all(zone(name).utcoffset(datetime(2026, 1, 1)) is not None for name in zone_names())  # noqa: DTZ001
