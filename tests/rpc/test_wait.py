"""WaitTaskRun: answered at the end of the run, or as it is when the time is over, by the server's clock."""

from __future__ import annotations

from collections.abc import Callable

import grpc
import pytest

from taskwheel.v1.task_run_pb2 import TaskRun
from taskwheel.v1.task_run_service_pb2 import CancelTaskRunRequest, WaitTaskRunRequest
from taskwheel_server.clock import DAY, MINUTE, SECOND
from tests.conftest import refusal_of
from tests.rpc.hands import claim, complete, create, fail, finish, result_of, run_task

RETRY = {"max_attempts": 3, "fixed_delays": {"delays": [{"seconds": 5}]}}


@pytest.fixture
def wait(server, stubs) -> Callable[..., grpc.Future[TaskRun]]:
    """Begin to wait; return once the server waits."""

    def begin(run, **fields) -> grpc.Future[TaskRun]:
        call = stubs.runs.WaitTaskRun.future(WaitTaskRunRequest(name=run.name, **fields))
        while not server.run(waiting()):
            pass
        return call

    async def waiting() -> int:
        return len(server.server.feed._signals.all())

    return begin


def wait_now(stubs, run, **fields) -> TaskRun:
    return stubs.runs.WaitTaskRun(WaitTaskRunRequest(name=run.name, **fields))


def cancel(stubs, run) -> None:
    stubs.runs.CancelTaskRun(CancelTaskRunRequest(name=run.name))


@pytest.mark.parametrize("follow_retries", [False, True])
def test_it_answers_when_the_run_succeeds_with_all_that_it_has(stubs, wait, follow_retries):
    create(stubs)
    run = run_task(stubs, payload={"to": "ann"})
    call = wait(run, follow_retries=follow_retries)
    finish(stubs, run, result={"string_value": "sent"})
    done = call.result()
    assert (done.state, done.done, done.result.string_value) == (TaskRun.SUCCEEDED, True, "sent")
    assert dict(done.payload) == {"to": "ann"}


def test_it_answers_when_the_run_is_cancelled(stubs, wait):
    create(stubs)
    run = run_task(stubs)
    call = wait(run)
    cancel(stubs, run)
    assert call.result().state == TaskRun.CANCELLED


def test_it_answers_at_once_when_the_run_is_done(stubs):
    create(stubs)
    run = run_task(stubs)
    finish(stubs, run, error={"type": "E", "name": "Boom", "stack": "here"})
    done = wait_now(stubs, run)
    assert (done.state, done.error.stack) == (TaskRun.FAILED, "here")


def test_a_timeout_of_zero_answers_the_run_as_it_is(stubs):
    create(stubs)
    run = run_task(stubs)
    assert wait_now(stubs, run, timeout={}) == run


@pytest.mark.parametrize(
    ("fields", "duration"),
    [({}, 30 * SECOND), ({"timeout": {"seconds": 7}}, 7 * SECOND), ({"timeout": {"seconds": 300}}, 5 * MINUTE)],
    ids=["30 s by default", "as asked", "up to 5 minutes"],
)
def test_when_the_time_is_over_it_answers_the_run_as_it_is(stubs, wait, crank, fields, duration):
    create(stubs)
    run = run_task(stubs)
    call = wait(run, **fields)
    crank(duration - 1)
    claim(stubs)
    assert not call.done()
    crank(1)
    assert call.result().state == TaskRun.RUNNING


def test_a_retried_run_is_done_like_any_other(stubs, wait):
    create(stubs, retry_policy=RETRY)
    run = run_task(stubs)
    call = wait(run)
    [assignment] = claim(stubs)
    fail(stubs, assignment)
    done = call.result()
    assert (done.name, done.state) == (run.name, TaskRun.RETRIED)


def test_with_follow_retries_it_waits_for_the_last_attempt(stubs, wait, crank):
    create(stubs, retry_policy=RETRY)
    run = run_task(stubs)
    call = wait(run, follow_retries=True, timeout={"seconds": 60})
    for _ in range(2):
        [assignment] = claim(stubs)
        fail(stubs, assignment)
        crank(5 * SECOND)
    [assignment] = claim(stubs)
    complete(stubs, result_of(assignment, result={"number_value": 3}))
    done = call.result()
    assert (done.state, done.attempt, done.root_run) == (TaskRun.SUCCEEDED, 3, run.name)
    assert wait_now(stubs, run, follow_retries=True) == done


def test_with_follow_retries_the_time_is_over_once_for_all_attempts(stubs, wait, crank):
    create(stubs, retry_policy=RETRY)
    run = run_task(stubs)
    call = wait(run, follow_retries=True, timeout={"seconds": 20})
    [assignment] = claim(stubs)
    fail(stubs, assignment)
    crank(20 * SECOND)
    answered = call.result()
    assert (answered.state, answered.attempt) == (TaskRun.PENDING, 2)


def test_many_may_wait_for_one_run(stubs, wait):
    create(stubs)
    run = run_task(stubs)
    calls = [wait(run) for _ in range(30)]
    finish(stubs, run)
    assert {call.result().state for call in calls} == {TaskRun.SUCCEEDED}


def test_a_lease_that_ends_ends_the_wait(stubs, wait, crank):
    create(stubs)
    run = run_task(stubs)
    call = wait(run, timeout={"seconds": 300})
    claim(stubs)
    crank(31 * SECOND)
    assert call.result().error.name == "zombieTaskCleaned"


@pytest.mark.parametrize(
    ("name", "code", "reason"),
    [
        ("", grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD"),
        ("nightly", grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD"),
        ("019ca945-0a00-7000-8000-000000000000", grpc.StatusCode.NOT_FOUND, "RUN_NOT_FOUND"),
        ("01900000-0000-7000-8000-000000000000", grpc.StatusCode.NOT_FOUND, "RUN_EXPIRED"),
    ],
)
def test_what_is_no_run_cannot_be_awaited(stubs, refused, name, code, reason):
    refusal = refused(stubs.runs.WaitTaskRun, WaitTaskRunRequest(name=name))
    assert (refusal.code, refusal.reason) == (code, reason)


def test_a_run_past_its_retention_has_expired(stubs, crank, refused):
    create(stubs)
    run = run_task(stubs)
    finish(stubs, run)
    crank(7 * DAY)
    assert refused(stubs.runs.WaitTaskRun, WaitTaskRunRequest(name=run.name)).reason == "RUN_EXPIRED"


@pytest.mark.parametrize("seconds", [-1, 301])
def test_a_timeout_outside_0_to_5_minutes_is_refused(stubs, refused, seconds):
    request = WaitTaskRunRequest(name="019ca945-0a00-7000-8000-000000000000", timeout={"seconds": seconds})
    assert refused(stubs.runs.WaitTaskRun, request).fields == ["timeout"]


def test_a_server_that_stops_ends_the_wait(server, stubs, wait):
    create(stubs)
    call = wait(run_task(stubs))
    server.loop.call_soon_threadsafe(server.server.feed.close)
    refusal = refusal_of(call.exception())
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN")


def test_a_wait_that_is_cancelled_leaves_nothing_behind(server, stubs, wait):
    create(stubs)
    call = wait(run_task(stubs))
    call.cancel()

    async def waiting() -> int:
        return len(server.server.feed._signals.all())

    while server.run(waiting()):
        pass
