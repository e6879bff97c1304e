"""Which expressions there are, what they mean, and which are refused."""

from __future__ import annotations

from dataclasses import astuple
from datetime import UTC, datetime, timedelta

import pytest

from taskwheel_server.schedule import InvalidSchedule, Schedule, check, describe, next_slot, slots_between
from taskwheel_server.schedule.cron import parse

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def micros(text: str) -> int:
    return (datetime.fromisoformat(text).astimezone(UTC) - EPOCH) // timedelta(microseconds=1)


def text(slot: int) -> str:
    return (EPOCH + timedelta(microseconds=slot)).strftime("%Y-%m-%d %H:%M")


NOW = micros("2026-11-22T16:00:30+00:00")  # a Sunday


def fires(cron: str, count: int, *, after: int = NOW, seed: str = "uid") -> list[str]:
    slots = slots_between([Schedule(cron=cron)], after, after + 10**18, anchor=0, seed=seed, limit=count)
    return [text(slot) for slot in slots]


# Seeds E11-12: the expressions of document 004, what it says of each, and the next instants.
DOCUMENT_004 = [
    ("0 5 * * *", "At 05:00 every day", ["2026-11-23 05:00", "2026-11-24 05:00"]),
    ("1 0 * * *", "At 00:01 every day", ["2026-11-23 00:01", "2026-11-24 00:01"]),
    ("0 * * * *", "Every hour", ["2026-11-22 17:00", "2026-11-22 18:00"]),
    ("0 0 1 * *", "At 00:00 on the 1st of the month", ["2026-12-01 00:00", "2027-01-01 00:00"]),
    ("0 0 * * 0", "At 00:00 on Sunday", ["2026-11-29 00:00", "2026-12-06 00:00"]),
    ("45 23 * * 6", "At 23:45 on Saturday", ["2026-11-28 23:45", "2026-12-05 23:45"]),
    (
        "*/5 1 * * *",
        "Every 5 minutes from 01:00 through 01:55 every day",
        [*(f"2026-11-23 01:{minute:02}" for minute in range(0, 60, 5)), "2026-11-24 01:00"],
    ),
    ("0 0 1 1 *", "At 00:00 on the 1st of January", ["2027-01-01 00:00", "2028-01-01 00:00"]),
    ("0 8 * * 1", "At 08:00 on Monday", ["2026-11-23 08:00", "2026-11-30 08:00"]),
]


@pytest.mark.parametrize(("cron", "english", "instants"), DOCUMENT_004)
def test_the_expressions_of_document_004_mean_what_it_says(cron, english, instants):
    check(Schedule(cron=cron), now=NOW)
    assert describe(Schedule(cron=cron)) == english
    assert fires(cron, len(instants)) == instants


@pytest.mark.parametrize(
    ("cron", "same"),
    [
        ("@hourly", "0 * * * *"),
        ("@daily", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
        ("@weekly", "0 0 * * 0"),
        ("@monthly", "0 0 1 * *"),
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 1 *"),
        ("  @daily\t", "0 0 * * *"),
        ("\t0  0 * *\t* ", "0 0 * * *"),
        ("00 007 01 01 *", "0 7 1 1 *"),
        ("0 0 * jan-mar,SEP mon-FRI", "0 0 * 1-3,9 1-5"),
        ("0 0 * * mon-5", "0 0 * * 1-5"),
        ("0 0 * * 7", "0 0 * * sun"),
        ("0 0 * * 5-7", "0 0 * * 0,5,6"),
        ("0 0 * * 0-7", "0 0 * * 0-6"),
        ("5-5 8-8 3-3 JAN-JAN 2-2", "5 8 3 1 2"),
        ("0-59/20 * * * *", "0,20,40 * * * *"),
        ("10-20/100 * * * *", "10 * * * *"),
        ("5/15 * * * *", "5,20,35,50 * * * *"),
        ("59/15 22/1 * * *", "59 22,23 * * *"),
        ("0 0 29/1 nov/1 5/1", "0 0 29-31 11,12 5-7"),
        ("0 0 * * 1/2", "0 0 * * 1,3,5,7"),
        ("1,1,1-3,2 * * * *", "1-3 * * * *"),
        ("0 0 l * frIl", "0 0 L * 5L"),
        ("0 0 * * sun#2,7L", "0 0 * * 0#2,0L"),
        ("0 0 lw,15w * *", "0 0 LW,15W * *"),
    ],
)
def test_two_ways_to_write_one_expression(cron, same):
    assert astuple(parse(cron)) == astuple(parse(same))


@pytest.mark.parametrize(
    ("cron", "same"),
    [
        ("*/90 * * * *", "0 * * * *"),
        ("*/60 */24 */31 * *", "0 0 1 * *"),
        ("0 0 1 */12 *", "0 0 1 1 *"),
        ("0 0 * * */7", "0 0 * * 0"),
        ("0 0 * * */5", "0 0 * * 0,5"),
        ("* * 1-31 * 1", "* * * * *"),
        ("*,5 * * * *", "* * * * *"),
    ],
)
def test_two_expressions_with_the_same_slots_in_utc(cron, same):
    assert fires(cron, 100) == fires(same, 100)


@pytest.mark.parametrize(
    ("cron", "days"),
    [
        # Neither begins with `*`: either suffices. November 2026 begins on a Sunday.
        ("0 0 13 11 5", [6, 13, 20, 27]),
        ("0 0 1,15 11 5", [1, 6, 13, 15, 20, 27]),
        ("0 0 1/10 11 5", [1, 6, 11, 13, 20, 21, 27]),
        ("0 0 L 11 5#1", [6, 30]),
        # One begins with `*`: both must match.
        ("0 0 * 11 5", [6, 13, 20, 27]),
        ("0 0 13 11 *", [13]),
        ("0 0 */2 11 1", [9, 23]),
        ("0 0 13,20 11 */5", [13, 20]),
        ("0 0 *,13 11 5", [6, 13, 20, 27]),
        ("0 0 8 11 */7", [8]),
        # The extensions.
        ("0 0 L 11 *", [30]),
        ("0 0 LW 11 *", [30]),
        ("0 0 1W 11 *", [2]),
        ("0 0 7W 11 *", [6]),
        ("0 0 8W 11 *", [9]),
        ("0 0 11W 11 *", [11]),
        ("0 0 1,L 11 *", [1, 30]),
        ("0 0 * 11 5#3", [20]),
        ("0 0 * 11 1#5,0#5", [29, 30]),
        ("0 0 * 11 5L,1", [2, 9, 16, 23, 27, 30]),
    ],
)
def test_days_of_november_2026(cron, days):
    start = micros("2026-11-01T00:00:00+00:00")
    slots = slots_between(
        [Schedule(cron=cron)], start - 1, start + 30 * 86_400 * 10**6 - 1, anchor=0, seed="", limit=99
    )
    assert [text(slot) for slot in slots] == [f"2026-11-{day:02} 00:00" for day in days]


@pytest.mark.parametrize(
    ("cron", "instants"),
    [
        ("0 0 31W * *", ["2026-12-31 00:00", "2027-01-29 00:00", "2027-03-31 00:00"]),  # no month without a 31st
        ("0 0 1W 5 *", ["2027-05-03 00:00", "2028-05-01 00:00", "2029-05-01 00:00"]),  # never into April
        ("0 0 LW 2 *", ["2027-02-26 00:00", "2028-02-29 00:00", "2029-02-28 00:00"]),
        ("0 0 * * 0#5", ["2026-11-29 00:00", "2027-01-31 00:00", "2027-05-30 00:00"]),
        ("0 0 29 2 *", ["2028-02-29 00:00", "2032-02-29 00:00", "2036-02-29 00:00"]),
        ("0 0 29 2 */7", ["2032-02-29 00:00", "2060-02-29 00:00", "2088-02-29 00:00", "2128-02-29 00:00"]),
    ],
)
def test_instants_of_the_extensions_and_of_far_horizons(cron, instants):
    assert fires(cron, len(instants)) == instants


def test_h_is_the_same_for_a_seed_and_spreads_over_seeds():
    assert fires("H H * * *", 3, seed="a") == fires("H H * * *", 3, seed="a")
    assert len({fires("H * * * *", 1, seed=str(seed))[0] for seed in range(300)}) > 50


@pytest.mark.parametrize("seed", [str(number) for number in range(40)])
def test_h_stays_within_its_field(seed):
    expression = parse("H H(8-17) H H H", seed)
    minute, hour, day, month, weekday = (
        field.values[0] for field in (expression.minute, expression.hour, expression.day_of_month, expression.month,
                                      expression.day_of_week)
    )  # fmt: skip
    assert 0 <= minute < 60
    assert 8 <= hour <= 17
    assert 1 <= day <= 28
    assert 1 <= month <= 12
    assert 0 <= weekday < 7
    first, *_ = quarters = parse("H/15 * * * *", seed).minute.values
    assert quarters == (first, first + 15, first + 30, first + 45)
    assert len(parse("H(0-29)/10 * * * *", seed).minute.values) == 3
    assert len(parse("H/90 * * * *", seed).minute.values) == 1


@pytest.mark.parametrize(
    ("cron", "problem"),
    [
        # Not five fields.
        ("   ", "expected 5 fields, found 0"),
        ("* * * *", "expected 5 fields, found 4"),
        ("0 * * * * *", "expected 5 fields, found 6; seconds and years are not part of the dialect"),
        ("* * * * * 2026", "expected 5 fields, found 6"),
        # Elsewhere.
        ("@reboot", "@reboot is not a time"),
        ("@every 5m", "use the field interval"),
        ("CRON_TZ=Europe/Berlin 0 0 * * *", "use the field time_zone"),
        ("TZ=UTC 0 0 * * *", "use the field time_zone"),
        ("@Daily", "the nickname is not one of @hourly"),
        ("@fortnightly", "the nickname is not one of @hourly"),
        # Out of the field's range.
        ("60 * * * *", 'minute "60": outside 0-59'),
        ("* 24 * * *", 'hour "24": outside 0-23'),
        ("* * 0 * *", 'day of month "0": outside 1-31'),
        ("* * * 13 *", 'month "13": outside 1-12'),
        ("* * * * 8", 'day of week "8": outside 0-7'),
        ("0-99999999999 * * * *", "outside 0-59"),
        ("* * 32W * *", 'day of month "32W": outside 1-31'),
        ("* * * * 8L", "outside 0-7"),
        ("H(0-60) * * * *", "outside 0-59"),
        # Reversed ranges.
        ("10-5 * * * *", 'minute "10-5": the range runs backwards'),
        ("* 22-4 * * *", 'hour "22-4": the range runs backwards'),
        ("* * * NOV-FEB *", 'month "NOV-FEB": the range runs backwards'),
        ("* * * * FRI-SUN", "the range runs backwards; Sunday is 7 at the end of a range"),
        ("H(20-10) * * * *", "the range runs backwards"),
        # Steps.
        ("*/0 * * * *", 'minute "*/0": a step is a number of at least 1'),
        ("*/x * * * *", "a step is a number of at least 1"),
        ("*/-5 * * * *", "not a number, name, range or step"),
        ("*/5/5 * * * *", "not a number, name, range or step"),
        ("*/ * * * *", "not a number, name, range or step"),
        # Names.
        ("* * * * monday", 'day of week "MONDAY": not a number or a three-letter name'),
        ("* * * foo *", 'month "FOO": not a number or a three-letter name'),
        ("mon * * * *", 'minute "MON": not a number'),
        ("1_0 * * * *", 'minute "1_0": not a number'),
        # The extensions, where they do not belong.
        ("L * * * *", 'minute "L": not a number'),
        ("* * W * *", 'day of month "W": not a number'),
        ("* * L-3 * *", 'day of month "L-3": not a number'),
        ("* * * L *", 'month "L": not a number'),
        ("* * * * L", 'day of week "L": not a number'),
        ("* * * * L5", 'day of week "L5": not a number'),
        ("* * * * 5#0", "a month has a 1st to 5th of each weekday"),
        ("* * * * 5#6", "a month has a 1st to 5th of each weekday"),
        ("* * * * 5#x", "a month has a 1st to 5th of each weekday"),
        ("* * 5#1 * *", "not a number, name, range or step"),
        # Not the dialect.
        ("* * ? * *", 'day of month "?": write "*"'),
        ("R * * * *", 'minute "R": not a number'),
        ("1,,2 * * * *", 'minute "": not a number, name, range or step'),
        ("1, * * * *", "not a number, name, range or step"),
        ("** * * * *", "not a number, name, range or step"),
        ("*-5 * * * *", "not a number, name, range or step"),
        ("1-2-3 * * * *", "not a number, name, range or step"),
        ("-1 * * * *", "not a number, name, range or step"),
        ("+1 * * * *", "not a number, name, range or step"),
        ("1.5 * * * *", "not a number, name, range or step"),
        # Nothing but ASCII, and no line breaks.
        ("* * * * \u017fun", '"* * * * \\u017fun": only printable ASCII'),
        ("\u0665 * * * *", "only printable ASCII"),
        ("*\u00a0* * * *", "only printable ASCII"),
        ("* * * *\n*", "only printable ASCII"),
        ("* * * * *\n", "only printable ASCII"),
        ("* * * * \x00", "only printable ASCII"),
        pytest.param("* * * * \ud800", "only printable ASCII", id="surrogate"),
        # Never.
        ("0 0 30 2 *", "no day ever matches"),
        ("0 0 31 2,4,6,9,11 *", "no day ever matches"),
        ("0 0 31W 4 *", "no day ever matches"),
        ("0 0 */100 * MON#4", "no day ever matches"),
        # Whatever the text is, its length bounds the work.
        pytest.param("0," * 100_000 + "0 * * * *", "longer than 512 characters", id="long list"),
        pytest.param("(" * 10_000_000, "longer than 512 characters", id="10 MB"),
        pytest.param("1" * 504 + " * * * *", "outside 0-59", id="long number"),
        pytest.param("*/" + "9" * 500 + "x * * * *", "a step is a number of at least 1", id="long step"),
        pytest.param("0-0-" * 126 + " * * * *", "not a number, name, range or step", id="long range"),
    ],
)
def test_a_refused_expression_is_told_why(cron, problem):
    with pytest.raises(InvalidSchedule) as caught:
        check(Schedule(cron=cron), now=NOW)
    assert caught.value.field == "cron"
    assert problem in caught.value.description
    assert len(caught.value.description) < 320
    assert caught.value.description.isascii()
    assert caught.value.description.isprintable()


def test_the_longest_expression_is_read():
    cron = "0," * 251 + "0 * * * * "
    assert len(cron) == 512
    assert fires(cron, 1) == ["2026-11-22 17:00"]


def test_an_expression_stored_by_an_older_version_raises_where_it_is_used():
    with pytest.raises(InvalidSchedule):
        next_slot(Schedule(cron="0 0 30 2 *"), NOW, anchor=0, seed="")
