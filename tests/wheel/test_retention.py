"""Sweep: what is past retention goes, in slices, events as a prefix; nothing else does. And the lines that runs log."""

from __future__ import annotations

import pytest

from taskwheel_server.clock import DAY, HOUR, MINUTE, SECOND
from taskwheel_server.db import events, logs
from taskwheel_server.errors import NotFound
from taskwheel_server.model.event import LogLevel
from taskwheel_server.model.run import Run
from taskwheel_server.model.state import State
from taskwheel_server.retry import FixedDelays, RetryPolicy
from taskwheel_server.wheel import sweep
from taskwheel_server.wheel.commands import AppendLogs, LogLine, ReleaseRuns
from taskwheel_server.wheel.logs import MAX_RUN_LOG_BYTES
from tests.wheel.handwheel import RETENTION, START, HandWheel, lease_of


def line(message: str = "hello", time: int | None = None) -> LogLine:
    return LogLine(time, LogLevel.INFO, 1, message, b"fields")


def append(wheel: HandWheel, run: Run, *lines: LogLine) -> bool:
    [held] = wheel.call(AppendLogs(batches=[(lease_of(run), list(lines))]))
    return bool(held)


def test_a_slice_of_the_sweep_has_a_bounded_number_of_log_lines(
    wheel: HandWheel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "MAX_LINES", 3)
    wheel.task()
    for lines in (5, 1, 2, 1):
        run = wheel.started()
        append(wheel, run, *[line()] * lines)
        wheel.clock.advance(1)
        wheel.succeed(run)
        # Of those that end at once, any may go first.
        wheel.clock.advance(1)
    wheel.clock.advance(RETENTION + MINUTE)
    left = [len(wheel.runs())]
    while wheel.wheel.busy:
        wheel.turn()
        left.append(len(wheel.runs()))
    assert [count for index, count in enumerate(left) if index == 0 or count != left[index - 1]] == [4, 3, 1, 0]


def test_a_run_goes_with_all_that_is_its_own(wheel: HandWheel) -> None:
    wheel.task(tags='["task"]')
    run = wheel.started(tags=("a",), labels={"k": "v"})
    append(wheel, run, line())
    wheel.succeed(run)
    wheel.advance(RETENTION - 1)
    assert len(wheel.runs()) == 1
    assert wheel.count_rows() > 0
    wheel.advance(MINUTE)
    assert wheel.runs() == []
    # The task's own tag stays; the invariants compare the rest.
    assert wheel.count_rows() == 1
    with pytest.raises(NotFound) as expired:
        wheel.cancel(run)
    assert expired.value.reason == "RUN_EXPIRED"


def test_a_run_is_kept_for_seven_days_after_its_end_however_old_it_is(wheel: HandWheel) -> None:
    wheel.task()
    run = wheel.run(schedule_time=START + 30 * DAY)
    wheel.advance(30 * DAY)
    wheel.succeed(wheel.claim_one())
    wheel.advance(RETENTION - SECOND)
    assert wheel.state(run) is State.SUCCEEDED


def test_what_has_not_ended_is_never_swept(wheel: HandWheel) -> None:
    wheel.task(max_concurrent_runs=1)
    wheel.started()
    states = wheel.run(), wheel.run(schedule_time=START + 365 * DAY)
    wheel.advance(100 * DAY)
    # The lease of the running one ended, and 7 days later it was swept; the others wait for a worker.
    assert {run.uid for run in wheel.runs()} >= {run.uid for run in states}


def test_events_go_as_a_prefix(wheel: HandWheel) -> None:
    wheel.task()
    wheel.succeed(wheel.started())
    wheel.advance(DAY)
    wheel.succeed(wheel.started())
    wheel.advance(RETENTION - DAY + MINUTE)
    oldest, newest = wheel.store.read(events.bounds, "default", wheel.now - RETENTION)
    # task_created and the three events of the first run are gone.
    assert (oldest, newest) == (4, 7)
    kept = wheel.store.read(lambda connection: [event.sequence for event in events.after(connection, "default", 0, 99)])
    assert kept == [5, 6, 7]


def test_sequences_go_on_when_all_events_are_gone(wheel: HandWheel) -> None:
    wheel.task()
    wheel.advance(RETENTION + MINUTE)
    assert wheel.store.read(events.bounds, "default", wheel.now - RETENTION) == (1, 1)
    wheel.restart()
    wheel.run()
    assert wheel.store.read(events.bounds, "default", wheel.now - RETENTION) == (1, 2)


def test_what_is_past_retention_counts_as_gone_before_it_is_deleted(wheel: HandWheel) -> None:
    wheel.task()
    wheel.succeed(wheel.started())
    wheel.clock.advance(RETENTION)
    assert wheel.store.read(events.bounds, "default", wheel.now - RETENTION) == (4, 4)
    with pytest.raises(NotFound):
        wheel.cancel(wheel.runs()[0])


def test_thousands_of_runs_go_in_slices(wheel: HandWheel) -> None:
    wheel.task()
    wheel.run_many(1200, tags=("a",))
    for run in wheel.claim(1200) + wheel.claim(1200) + wheel.claim(1200):
        assert run.state is State.RUNNING
    wheel.advance(HOUR)
    wheel.advance(RETENTION)
    wheel.advance(MINUTE)
    assert wheel.runs() == []
    assert wheel.count_rows() == 0
    assert wheel.events() == []


def test_a_swept_attempt_leaves_its_chain_readable(wheel: HandWheel) -> None:
    wheel.task(retry=RetryPolicy(2, FixedDelays((DAY,))))
    wheel.fail(wheel.started())
    wheel.advance(DAY)
    last = wheel.claim_one()
    wheel.succeed(last)
    wheel.advance(RETENTION - DAY + MINUTE)
    [kept] = wheel.runs()
    assert (kept.uid, kept.attempt) == (last.uid, 2)


def test_a_request_id_is_free_when_its_run_is_gone(wheel: HandWheel) -> None:
    wheel.task()
    run = wheel.run(request_id="r", request_digest=b"1")
    wheel.cancel(run)
    wheel.advance(RETENTION + MINUTE)
    assert wheel.run(request_id="r", request_digest=b"2").uid != run.uid


# Logs.


def test_lines_are_numbered_within_each_run(wheel: HandWheel) -> None:
    wheel.task()
    first, second = wheel.started(), wheel.started()
    append(wheel, first, line("a"), line("b", START - 5))
    wheel.clock.advance(SECOND)
    assert wheel.call(AppendLogs(batches=[(lease_of(first), [line("c")]), (lease_of(second), [line("d")])])) == [
        True,
        True,
    ]
    found = wheel.store.read(lambda connection: list(logs.after(connection, first.uid, 0, 0, 99)))
    # A line without a time of its own has the turn's.
    assert [(entry.sequence, entry.message, entry.time - START) for entry in found] == [
        (1, "a", 0),
        (2, "b", -5),
        (3, "c", SECOND),
    ]
    assert (found[0].level, found[0].stream, found[0].fields) == (LogLevel.INFO, 1, b"fields")
    assert wheel.get(second).log_count == 1
    assert wheel.outcomes[-1].logged == {first.uid, second.uid}


def test_batches_of_one_run_in_one_turn_follow_each_other(wheel: HandWheel) -> None:
    wheel.task()
    run = wheel.started()
    for message in ("a", "b"):
        wheel.send(AppendLogs(batches=[(lease_of(run), [line(message)]), (lease_of(run), [line(message * 2)])]))
    wheel.turn()
    found = wheel.store.read(lambda connection: list(logs.after(connection, run.uid, 0, 0, 99)))
    assert [entry.message for entry in found] == ["a", "aa", "b", "bb"]


def test_a_lost_lease_logs_nothing(wheel: HandWheel) -> None:
    wheel.task()
    run = wheel.started()
    wheel.succeed(run)
    assert not append(wheel, run, line())
    assert wheel.get(run).log_count == 0


@pytest.mark.parametrize("letter", ["x", "é", "日"])
def test_a_run_that_logs_too_much_ends_with_one_marker(wheel: HandWheel, letter: str) -> None:
    wheel.task()
    run = wheel.started()
    large = letter * (60_000 // len(letter.encode()))
    for _ in range(3):
        assert append(wheel, run, *[line(large) for _ in range(100)])
    found = wheel.store.read(lambda connection: list(logs.after(connection, run.uid, 0, 0, 1000)))
    *kept, marker = found
    assert MAX_RUN_LOG_BYTES - 70_000 <= sum(len(entry.message.encode()) for entry in kept) <= MAX_RUN_LOG_BYTES
    assert marker.level == LogLevel.WARNING
    assert "16 MiB" in marker.message
    assert wheel.get(run).log_count == len(found)
    # Nor does a new batch add anything, nor another marker; the worker is not told that its lease is lost.
    assert append(wheel, run, line())
    assert wheel.get(run).log_count == len(found)


def test_a_run_handed_back_goes_on_with_its_numbers(wheel: HandWheel) -> None:
    wheel.task()
    run = wheel.started()
    append(wheel, run, line("a"))
    wheel.call(ReleaseRuns(leases=[lease_of(run)]))
    again = wheel.claim_one()
    append(wheel, again, line("b"))
    assert wheel.get(run).log_count == 2
