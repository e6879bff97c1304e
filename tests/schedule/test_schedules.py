"""Intervals, instants, windows, jitter, counting, storage and English."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from taskwheel_server.clock import DAY, HOUR, MINUTE, SECOND
from taskwheel_server.schedule import (
    Dst,
    DstGap,
    DstOverlap,
    InvalidSchedule,
    Schedule,
    Slot,
    check,
    count_slots,
    delay_of,
    describe,
    dump,
    jitter_of,
    load,
    newest_slots,
    next_slot,
    next_slot_of,
    preview,
    preview_of,
    slots_between,
)

NOW = 1_795_363_200 * SECOND  # 2026-11-22 16:00 UTC
YEAR = 366 * DAY
WHERE: Any = {"anchor": NOW, "seed": "uid"}


def test_an_interval_runs_on_the_grid_through_the_last_edit():
    every_90_s = Schedule(interval=90 * SECOND)
    assert next_slot(every_90_s, NOW, **WHERE) == NOW + 90 * SECOND
    assert next_slot(every_90_s, NOW + 90 * SECOND - 1, **WHERE) == NOW + 90 * SECOND
    assert next_slot(every_90_s, NOW + 90 * SECOND, **WHERE) == NOW + 180 * SECOND
    # A backfill may lie before the edit.
    assert slots_between([every_90_s], NOW - 180 * SECOND, NOW, **WHERE, limit=9) == [NOW - 90 * SECOND, NOW]


def test_an_interval_with_a_start_begins_there_and_ends_before_its_end():
    start = NOW + 10 * SECOND + 7
    schedule = Schedule(interval=60 * SECOND, start_time=start, end_time=start + 120 * SECOND)
    assert slots_between([schedule], 0, NOW + DAY, **WHERE, limit=9) == [start, start + 60 * SECOND]
    assert next_slot(schedule, start + 60 * SECOND, **WHERE) is None


def test_an_instant_is_one_slot():
    once = Schedule(at=NOW + 5)
    assert next_slot(once, NOW, **WHERE) == NOW + 5
    assert next_slot(once, NOW + 5, **WHERE) is None
    assert count_slots([once], NOW, NOW + 5, **WHERE) == 1
    assert count_slots([once], NOW, NOW + 4, **WHERE) == 0
    assert preview(once, NOW, 3, **WHERE) == [Slot(NOW + 5, Dst.NONE)]


def test_cron_keeps_to_its_window():
    hourly = Schedule(cron="@hourly", start_time=NOW + HOUR, end_time=NOW + 3 * HOUR)
    assert slots_between([hourly], 0, NOW + DAY, **WHERE, limit=9) == [NOW + HOUR, NOW + 2 * HOUR]
    assert next_slot(replace(hourly, start_time=NOW + 1, end_time=None), NOW - DAY, **WHERE) == NOW + HOUR
    far = NOW + 200 * YEAR
    assert far <= (next_slot(Schedule(cron="@hourly", start_time=far), NOW, **WHERE) or 0) < far + HOUR
    assert next_slot(Schedule(cron="@hourly", start_time=far, end_time=far + 1), NOW, **WHERE) in {far, None}


def test_slots_lie_between_1970_and_9999():
    end = 253_402_214_400 * SECOND
    for schedule in (Schedule(cron="@daily"), Schedule(interval=DAY), Schedule(cron="@daily", time_zone="Asia/Tokyo")):
        assert next_slot(schedule, -(10**30), anchor=0, seed="") in {0, 15 * HOUR}
        assert next_slot(schedule, end - 2 * DAY, anchor=0, seed="") in {end - DAY, end - 33 * HOUR}
        assert next_slot(schedule, end - 1, anchor=0, seed="") is None
        assert next_slot(schedule, 10**30, anchor=0, seed="") is None
        assert count_slots([schedule], -(10**30), 1000 * DAY - 1, anchor=0, seed="") == 1000
        assert count_slots([schedule], end - 1000 * DAY - 1, 10**30, anchor=0, seed="") == 1000


def test_several_schedules_make_one_row_of_slots():
    both = [Schedule(cron="*/20 * * * *"), Schedule(cron="*/30 * * * *"), Schedule(at=NOW + HOUR)]
    slots = [NOW + minutes * MINUTE for minutes in (20, 30, 40, 60, 80)]
    assert next_slot_of(both, NOW, **WHERE) == slots[0]
    assert slots_between(both, NOW, NOW + DAY, **WHERE, limit=5) == slots
    assert newest_slots(both, NOW, NOW + 80 * MINUTE, **WHERE, limit=3) == slots[2:]
    assert count_slots(both, NOW, NOW + 80 * MINUTE, **WHERE) == 5
    assert [slot.time for slot in preview_of(both, NOW, 5, **WHERE)] == slots
    assert next_slot_of([], NOW, **WHERE) is None
    assert count_slots([], 0, NOW, **WHERE) == 0


@pytest.mark.parametrize(
    ("schedules", "count"),
    [
        ([Schedule(cron="* * * * *")], YEAR // MINUTE),
        ([Schedule(cron="* * * * *", time_zone="America/New_York")], YEAR // MINUTE),
        ([Schedule(cron="* * * * *")] * 3, YEAR // MINUTE),
        ([Schedule(interval=SECOND)], YEAR // SECOND),
        ([Schedule(interval=SECOND), Schedule(cron="0 * * * *")], YEAR // SECOND),
        ([Schedule(interval=SECOND), Schedule(at=NOW + 1)], YEAR // SECOND + 1),
        ([Schedule(cron="0 * * * *"), Schedule(cron="30 * * * *")], 2 * YEAR // HOUR),
        ([Schedule(cron="0 * * * *"), Schedule(cron="0 * * * *", time_zone="Europe/Berlin")], YEAR // HOUR),
        ([Schedule(cron="0 0 29 2 *")], 0),
    ],
)
def test_the_slots_of_a_year_are_counted(schedules, count):
    assert count_slots(schedules, NOW, NOW + YEAR, **WHERE) == count


def test_the_first_and_the_last_slot_of_a_long_span():
    schedule = Schedule(cron="* * * * *", time_zone="Europe/Berlin")
    assert next_slot(schedule, NOW, **WHERE) == NOW + MINUTE
    assert newest_slots([schedule], NOW, NOW + YEAR + 1, **WHERE, limit=1) == [NOW + YEAR]


def test_jitter_is_a_hash_of_seed_and_slot_below_its_bound():
    delays = [jitter_of("uid", NOW + slot * MINUTE, 10 * SECOND) for slot in range(1000)]
    assert delays == [jitter_of("uid", NOW + slot * MINUTE, 10 * SECOND) for slot in range(1000)]
    assert all(0 <= delay < 10 * SECOND for delay in delays)
    assert min(delays) < SECOND < 9 * SECOND < max(delays)
    assert jitter_of("uid", NOW, 10 * SECOND) != jitter_of("other", NOW, 10 * SECOND)
    assert jitter_of("uid", NOW, 0) == 0


def test_a_slot_of_several_schedules_has_the_jitter_of_those_it_belongs_to():
    plain, some, more = (
        Schedule(cron="0 * * * *"),
        Schedule(cron="*/30 * * * *", jitter=SECOND),
        Schedule(cron="*/20 * * * *", jitter=MINUTE),
    )
    assert delay_of([plain, some], NOW, **WHERE) == jitter_of("uid", NOW, SECOND)
    assert delay_of([plain, some, more], NOW, **WHERE) == jitter_of("uid", NOW, MINUTE)
    assert delay_of([plain, some, more], NOW + 30 * MINUTE, **WHERE) == jitter_of("uid", NOW + 30 * MINUTE, SECOND)
    assert delay_of([plain], NOW, **WHERE) == 0


def test_a_preview_keeps_the_mark_of_a_slot_that_two_schedules_share():
    before_gap = 1_772_900_000 * SECOND  # 2026-03-07 in New York
    fixed = Schedule(cron="30 2 * * *", time_zone="America/New_York")
    [shifted, _] = preview(fixed, before_gap, 2, **WHERE)
    assert preview_of([Schedule(at=shifted.time), fixed], before_gap, 1, **WHERE) == [Slot(shifted.time, Dst.SHIFTED)]


@pytest.mark.parametrize(
    "schedule",
    [
        Schedule(cron="0 0 * * *"),
        Schedule(cron="H H * * *", time_zone="Europe/Berlin", dst_gap=DstGap.SKIP, dst_overlap=DstOverlap.BOTH),
        Schedule(interval=SECOND, jitter=SECOND, start_time=0),
        Schedule(interval=3660 * DAY, jitter=DAY, start_time=NOW, end_time=NOW + 1),
        Schedule(at=NOW + 1),
        Schedule(at=NOW + 1, start_time=NOW + 1, end_time=NOW + 2, jitter=DAY),
    ],
)
def test_what_is_accepted_survives_storage(schedule):
    check(schedule, now=NOW)
    check(schedule, now=None)
    assert Schedule.from_dict(json.loads(json.dumps(schedule.to_dict()))) == schedule
    assert load(dump([schedule, schedule])) == (schedule, schedule)
    assert hash(load(dump([schedule]))[0]) == hash(schedule)


def test_a_stored_schedule_is_compact():
    assert dump([]) == ""
    assert load("") == ()
    assert dump([Schedule(cron="@daily"), Schedule(at=7)]) == '[{"cron":"@daily"},{"at":7}]'


@pytest.mark.parametrize(
    ("schedule", "field", "problem"),
    [
        (Schedule(), "spec", "exactly one"),
        (Schedule(time_zone="UTC"), "spec", "exactly one"),
        (Schedule(cron="@daily", interval=SECOND), "spec", "exactly one"),
        (Schedule(cron="@daily", at=NOW + 1), "spec", "exactly one"),
        (Schedule(interval=SECOND, at=NOW + 1), "spec", "exactly one"),
        (Schedule(interval=SECOND - 1), "interval", "between 1 second and 3660 days"),
        (Schedule(interval=-SECOND), "interval", "between 1 second and 3660 days"),
        (Schedule(interval=3660 * DAY + 1), "interval", "between 1 second and 3660 days"),
        (Schedule(interval=MINUTE, jitter=MINUTE + 1), "jitter", "must not exceed the interval"),
        (Schedule(cron="@daily", jitter=-1), "jitter", "between 0 and 24 hours"),
        (Schedule(cron="@daily", jitter=DAY + 1), "jitter", "between 0 and 24 hours"),
        (Schedule(cron="@daily", start_time=5, end_time=5), "end_time", "later than start_time"),
        (Schedule(cron="@daily", start_time=5, end_time=4), "end_time", "later than start_time"),
        (Schedule(at=NOW), "at", "in the future"),
        (Schedule(at=NOW - 1), "at", "in the future"),
        (Schedule(at=-1), "at", "between the years 1970 and 9999"),
        (Schedule(at=10**18), "at", "between the years 1970 and 9999"),
        (Schedule(at=NOW + 5, start_time=NOW + 6), "at", "start_time"),
        (Schedule(at=NOW + 5, end_time=NOW + 5), "at", "end_time"),
    ],
)
def test_a_refused_schedule_is_told_which_field_is_at_fault(schedule, field, problem):
    with pytest.raises(InvalidSchedule, match=field) as caught:
        check(schedule, now=NOW)
    assert caught.value.field == field
    assert problem in caught.value.description


def test_an_instant_in_the_past_is_kept_where_it_was_accepted_before():
    check(Schedule(at=NOW - 1), now=None)


@pytest.mark.parametrize(
    ("schedule", "english"),
    [
        (Schedule(interval=SECOND), "Every second"),
        (Schedule(interval=90 * SECOND), "Every 90 seconds"),
        (Schedule(interval=1_500_000), "Every 1.5 seconds"),
        (Schedule(interval=100 * SECOND + 1), "Every 100.000001 seconds"),
        (Schedule(interval=HOUR, jitter=5 * MINUTE), "Every hour, each up to 5 minutes later"),
        (Schedule(interval=36 * HOUR), "Every 36 hours"),
        (Schedule(interval=2 * DAY), "Every 2 days"),
        (Schedule(at=NOW), "Once at 2026-11-22 16:00 UTC"),
        (Schedule(at=NOW + 5 * SECOND, time_zone="UTC"), "Once at 2026-11-22 16:00:05 UTC"),
        (Schedule(at=NOW + 1, time_zone="Asia/Tokyo"), "Once at 2026-11-23 01:00:00.000001, Asia/Tokyo time"),
        (Schedule(cron="0 9 * * 1", time_zone="America/New_York"), "At 09:00 on Monday, America/New_York time"),
    ],
)  # fmt: skip
def test_a_schedule_in_english(schedule, english):
    assert describe(schedule) == english


@pytest.mark.parametrize(
    ("cron", "english"),
    [
        ("* * * * *", "Every minute"),
        ("*/5 * * * *", "Every 5 minutes"),
        ("*/90 * * * *", "Every hour"),
        ("*/7 * * * *", "At 0, 7, 14, 21, 28, 35, 42, 49 and 56 minutes past every hour"),
        ("1 * * * *", "At 1 minute past every hour"),
        ("5/15 * * * *", "At 5, 20, 35 and 50 minutes past every hour"),
        ("5-10 * * * *", "At 5 through 10 minutes past every hour"),
        ("0 */2 * * *", "Every 2 hours"),
        ("*/10 */2 * * *", "Every 10 minutes in the hours 00, 02, 04, 06, 08, 10, 12, 14, 16, 18, 20 and 22"),
        ("0 9-17 * * *", "Every hour from 09:00 through 17:00 every day"),
        ("* 8 * * *", "Every minute from 08:00 through 08:59 every day"),
        ("0,30 9-17 * * 1-5", "Every 30 minutes from 09:00 through 17:30 on Monday through Friday"),
        ("15,45 1,2,3,7 * * *", "At 15 and 45 minutes past the hour in the hours 01, 02, 03 and 07 every day"),
        ("30 1,3,5,7,9,11,13 * * *", "At 01:30, 03:30, 05:30, 07:30, 09:30, 11:30 and 13:30 every day"),
        ("0 0 * * *", "At 00:00 every day"),
        ("0 0 1-31 * 1", "At 00:00 every day"),
        ("0 0 * 1-3 *", "At 00:00 every day in January through March"),
        ("0 0 1,2,3,11,21,31 * *", "At 00:00 on the 1st through 3rd, 11th, 21st and 31st of the month"),
        ("0 0 22,23,25 1,6 *", "At 00:00 on the 22nd, 23rd and 25th of January and June"),
        ("0 0 * 12 0,6", "At 00:00 on Saturday and Sunday in December"),
        ("0 0 13 * 5", "At 00:00 on the 13th of the month and on Friday"),
        ("0 0 13 6 5", "At 00:00 on the 13th of the month and on Friday, in June"),
        ("0 0 */16 * 1", "At 00:00 on Monday, only if it is the 1st and 17th of the month"),
        ("0 0 L * *", "At 00:00 on the last day of the month"),
        ("0 0 15,LW * *", "At 00:00 on the 15th and the last weekday (Monday to Friday) of the month"),
        ("0 0 15W 2 *", "At 00:00 on the weekday (Monday to Friday) nearest the 15th of February"),
        ("0 0 * * 5#3", "At 00:00 on the third Friday of the month"),
        ("0 0 * * 1,5L", "At 00:00 on Monday and the last Friday of the month"),
        ("5-5 8-8 * * 7-7", "At 08:05 on Sunday"),
    ],
)
def test_an_expression_in_english(cron, english):
    assert describe(Schedule(cron=cron)) == english


def test_what_h_stands_for_is_said():
    [minute] = {slot.time // MINUTE % 60 for slot in preview(Schedule(cron="H 4 * * *"), NOW, 9, **WHERE)}
    assert describe(Schedule(cron="H 4 * * *"), seed="uid") == f"At 04:{minute:02} every day"
