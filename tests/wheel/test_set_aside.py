"""A due row that no turn can deal with is set aside: it stops neither commands nor the time of the others."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from taskwheel_server.clock import MINUTE, SECOND
from taskwheel_server.model.state import State
from taskwheel_server.schedule import Schedule
from taskwheel_server.wheel import admit, claim, slots, timers
from taskwheel_server.wheel.tick import AGAIN
from taskwheel_server.wheel.wheel import BACK_OFF
from tests.databases import cure, poison
from tests.wheel.breaker import Poison, poisoned
from tests.wheel.handwheel import START, HandWheel
from tests.wheel.test_full_store import broken

EVERY_MINUTE = [Schedule(interval=MINUTE)]
COUNT = 13


def change(wheel: HandWheel, statement: str) -> None:
    with wheel.store.write() as connection:
        connection.execute(text(statement))


def stuck_since(wheel: HandWheel) -> float | None:
    return wheel.wheel.stuck_since


@pytest.mark.parametrize("places", [{0}, {1}, {7}, {12}, {0, 5, 12}], ids=str)
def test_a_run_that_cannot_be_moved_is_tried_again_later_and_the_others_go_on(
    wheel: HandWheel, monkeypatch: pytest.MonkeyPatch, places: set[int]
) -> None:
    wheel.task()
    wheel.task("timed", schedules=EVERY_MINUTE)
    waiting = [wheel.run(schedule_time=START + SECOND, priority=place) for place in range(COUNT)]
    with monkeypatch.context() as patch:
        poisoned(patch, timers, "_promote", lambda _turn, run, _task: run.priority in places)
        wheel.clock.advance(MINUTE)
        with capture_logs() as logs:
            # Meanwhile commands are carried out.
            assert wheel.run().state is State.READY
            wheel.settle()
        assert [wheel.state(run) is State.READY for run in waiting] == [place not in places for place in range(COUNT)]
        assert [wheel.state(run) for run in wheel.runs("timed")] == [State.READY]
        aside = {line["uid"] for line in logs if line["event"] == "run_set_aside"}
        assert aside == {waiting[place].uid for place in places}
        assert stuck_since(wheel) is None
    wheel.advance(AGAIN)
    assert {wheel.state(run) for run in waiting} == {State.READY}


@pytest.mark.parametrize("place", [0, 1, 7, 12])
def test_a_task_whose_runs_cannot_be_started_is_paused_and_says_so(
    wheel: HandWheel, monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    for number in range(COUNT):
        wheel.task(f"t{number}", schedules=EVERY_MINUTE)
    poisoned(monkeypatch, slots, "_due_runs", lambda _turn, task, _moments: task.task_id == f"t{place}")
    wheel.advance(MINUTE)
    assert [len(wheel.runs(f"t{number}")) for number in range(COUNT)] == [int(n != place) for n in range(COUNT)]
    task = wheel.get_task(f"t{place}")
    assert task.paused
    assert task.pause_reason == "taskwheel: its runs cannot be started; the log of the server tells why"
    assert wheel.events().count("task_paused") == 1
    wheel.advance(MINUTE)
    assert len(wheel.runs("t2" if place != 2 else "t3")) == 2


def test_rows_that_cannot_even_be_read_stop_nothing_else(wheel: HandWheel) -> None:
    bad, good = wheel.task("bad", schedules=EVERY_MINUTE), wheel.task("good", schedules=EVERY_MINUTE)
    unreadable, waiting = (wheel.run(task, schedule_time=START + SECOND) for task in (good, good))
    change(wheel, f"UPDATE tasks SET overlap_policy = 99 WHERE uid = '{bad.uid}'")
    change(wheel, f"UPDATE runs SET \"trigger\" = 99 WHERE uid = '{unreadable.uid}'")
    wheel.advance(2 * MINUTE)
    assert wheel.state(waiting) is State.READY
    change(wheel, f"UPDATE runs SET \"trigger\" = 1 WHERE uid = '{unreadable.uid}'")
    change(wheel, f"UPDATE tasks SET overlap_policy = 1 WHERE uid = '{bad.uid}'")
    assert len(wheel.slots("good")) == 2
    assert wheel.slots("bad") == []
    wheel.advance(AGAIN)
    assert wheel.state(unreadable) is State.READY


def test_a_row_that_cannot_be_set_aside_either_leaves_the_wheel_stuck_but_for_commands(wheel: HandWheel) -> None:
    wheel.task("timed", schedules=EVERY_MINUTE)
    waiting = wheel.run("timed", schedule_time=START + SECOND, priority=13)
    poison(wheel.store, "UPDATE")
    wheel.advance(2 * MINUTE)
    since = stuck_since(wheel)
    assert since is not None
    assert wheel.run("timed").state is State.READY
    assert len(wheel.slots("timed")) == 2
    wheel.advance(BACK_OFF)
    assert stuck_since(wheel) == since
    cure(wheel.store)
    wheel.advance(BACK_OFF)
    assert stuck_since(wheel) is None
    assert wheel.state(waiting) is State.READY


def test_a_turn_that_fails_for_no_rows_fault_sets_none_aside(wheel: HandWheel, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel.task(schedules=EVERY_MINUTE)
    waiting = wheel.run(schedule_time=START + SECOND)
    with monkeypatch.context() as patch:
        poisoned(patch, claim.Claims, "claim", lambda *_: True)
        wheel.clock.advance(MINUTE)
        wheel.turn()
        since = stuck_since(wheel)
        assert since is not None
        # Nor is a command that fails with it taken for the reason.
        with pytest.raises(Poison):
            wheel.run()
        assert stuck_since(wheel) == since
        assert not wheel.wheel.busy
    wheel.advance(BACK_OFF)
    assert stuck_since(wheel) is None
    assert wheel.state(waiting) is State.READY
    assert not wheel.get_task().paused


def test_a_poisonous_command_does_not_leave_the_wheel_stuck(wheel: HandWheel, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel.task()
    poisoned(monkeypatch, admit, "new_run", lambda *_: True)
    with pytest.raises(Poison):
        wheel.run()
    assert stuck_since(wheel) is None


def test_a_store_that_stays_away_leaves_the_wheel_stuck_until_it_is_back(wheel: HandWheel) -> None:
    wheel.task()
    with broken():
        wheel.advance(MINUTE)
        since = stuck_since(wheel)
        assert since is not None
        wheel.advance(BACK_OFF)
        assert stuck_since(wheel) == since
    wheel.advance(BACK_OFF)
    assert stuck_since(wheel) is None
