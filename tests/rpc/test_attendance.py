"""NO_WORKER: what a caller reads while nobody has the handler of a run."""

from __future__ import annotations

import pytest

from taskwheel.v1.task_run_service_pb2 import ListTaskRunsRequest, WaitTaskRunRequest
from taskwheel.v1.worker_service_pb2 import ClaimTaskRunsRequest
from taskwheel_server.clock import HOUR, SECOND
from taskwheel_server.rpc.attendance import LATELY, Attendance
from tests.rpc.hands import Hand, claim, complete, create, get, result_of, run_task


@pytest.fixture
def database_url(sqlite) -> str:
    """A database that one server has for itself: only it can tell."""
    return sqlite.fresh()


@pytest.fixture
def attendance(clock) -> Attendance:
    return Attendance(clock.now, exclusive=True)


def test_a_handler_is_there_while_any_worker_has_it(attendance, clock):
    with attendance.attend("default", ["a", "b", "b"]):
        with attendance.attend("default", ["b"]):
            clock.advance(HOUR)
            assert attendance.has("default", "b")
        clock.advance(HOUR)
        assert [attendance.has("default", handler) for handler in "abc"] == [True, True, False]
        assert not attendance.has("other", "a")


def test_a_worker_that_has_just_gone_counts_for_a_while(attendance, clock):
    with attendance.attend("default", ["a"]):
        pass
    clock.advance(LATELY - 1)
    assert attendance.has("default", "a")
    clock.advance(1)
    assert not attendance.has("default", "a")


def test_with_other_servers_on_the_database_every_handler_may_have_a_worker(clock):
    assert Attendance(clock.now, exclusive=False).has("default", "a")


def test_what_is_long_gone_is_forgotten(attendance, clock):
    for number in range(100):
        with attendance.attend("default", [f"h{number}"]):
            clock.advance(SECOND)
    assert len(attendance._left) == LATELY // SECOND


def reasons(stubs, run) -> set[str]:
    """What every read of a run gives as its reason."""
    [listed] = stubs.runs.ListTaskRuns(ListTaskRunsRequest()).task_runs
    waited = stubs.runs.WaitTaskRun(WaitTaskRunRequest(name=run.name, timeout={"nanos": 1}))
    return {get(stubs, run).state_reason, listed.state_reason, waited.state_reason}


def test_a_run_that_nobody_can_take_says_so(stubs):
    create(stubs)
    assert run_task(stubs, validate_only=True).state_reason == "NO_WORKER"
    run = run_task(stubs)
    assert run.state_reason == "NO_WORKER"
    assert reasons(stubs, run) == {"NO_WORKER"}


def test_a_worker_with_another_handler_does_not_count(stubs):
    create(stubs)
    hand = Hand(stubs, "other")
    assert reasons(stubs, run_task(stubs)) == {"NO_WORKER"}
    hand.close()


def test_a_run_that_waits_for_a_worker_to_be_free_has_no_reason(stubs, crank):
    create(stubs)
    hand = Hand(stubs, room=1)
    run_task(stubs)
    hand.assigned()
    waiting = run_task(stubs)
    assert (waiting.state_reason, get(stubs, waiting).state_reason) == ("", "")
    hand.close()
    assert get(stubs, waiting).state_reason == ""
    crank(LATELY)
    assert get(stubs, waiting).state_reason == "NO_WORKER"


def test_a_claim_counts_while_it_waits_and_for_a_while_after(stubs, crank):
    create(stubs)
    request = ClaimTaskRunsRequest(worker_id="w", handlers=["h"], wait={"seconds": 20})
    waiting = stubs.workers.ClaimTaskRuns.future(request)
    first = run_task(stubs)
    [assignment] = waiting.result().assignments
    assert assignment.run.name == first.name
    complete(stubs, result_of(assignment))
    later = run_task(stubs)
    assert later.state_reason == ""
    crank(LATELY)
    assert get(stubs, later).state_reason == "NO_WORKER"
    assert claim(stubs)[0].run.name == later.name
    assert get(stubs, later).state_reason == ""


def test_only_what_may_start_is_said_to_lack_a_worker(stubs):
    create(stubs, max_concurrent_runs=1)
    reasons = [run_task(stubs, schedule_time={"seconds": 2**32}).state_reason]
    reasons += [run_task(stubs).state_reason for _ in range(2)]
    assert reasons == ["NOT_DUE", "NO_WORKER", "NO_WORKER"]
