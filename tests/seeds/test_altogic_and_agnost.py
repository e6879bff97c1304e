"""Rows A and C: scheduled tasks that can be run by hand and asked for their status (Altogic, Agnost client, server)."""

from datetime import UTC, datetime, timedelta

import grpc
import pytest

import taskwheel
from taskwheel.v1.task_service_pb2 import CreateTaskRequest, RunTaskRequest
from taskwheel_server.clock import DAY, HOUR, MINUTE, SECOND
from tests.rpc.hands import claim, complete, result_of

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def task(client):
    return client.create_task("billOnDemand", handler="bill", schedules=[taskwheel.cron("0 5 * * *")])


def test_a1_a_task_is_run_by_its_id_its_full_name_or_its_uid(client, task):
    for name in ("billOnDemand", "tasks/billOnDemand", task.name, task.uid):
        assert client.task(name).run().task_uid == task.uid


def test_a1_an_id_that_looks_like_a_uid_is_refused_so_that_no_name_is_ambiguous(client, task):
    for lookalike in (task.uid, task.uid.replace("-", ""), task.uid.upper()):
        with pytest.raises(taskwheel.InvalidArgument) as refusal:
            client.create_task(lookalike, handler="bill")
        assert "task_id" in refusal.value.fields


def test_a2_a_run_by_hand_goes_ahead_of_the_schedule_and_does_not_move_it(client, task):
    run = client.task("billOnDemand").run()
    assert (run.trigger, run.scheduled_time) == ("MANUAL", None)
    assert client.task("billOnDemand").get().next_run_time == task.next_run_time == datetime(2026, 3, 2, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "first"),
    [
        (taskwheel.cron("0 5 * * *"), datetime(2026, 3, 2, 5, tzinfo=UTC)),
        (taskwheel.at(NOW + timedelta(hours=2)), NOW + timedelta(hours=2)),
        (taskwheel.every(timedelta(minutes=90)), NOW + timedelta(minutes=90)),
    ],
    ids=["a fixed time", "a date", "an interval"],
)
def test_a3_a_schedule_runs_at_fixed_times_dates_or_intervals(client, crank, schedule, first):
    client.create_task("t", handler="bill", schedules=[schedule])
    assert client.task("t").get().next_run_time == first
    crank(int((first - NOW).total_seconds()) * SECOND)
    [run] = client.task("t").runs()
    assert (run.trigger, run.scheduled_time) == ("SCHEDULE", first)


def test_a5_a_run_answers_at_once_as_pending_even_when_a_worker_has_it(client, task, stubs, start):
    start(bill=lambda run: None)
    run = client.task("billOnDemand").run()
    assert (run.state, run.task_id, run.task_uid, run.create_time) == ("PENDING", "billOnDemand", task.uid, NOW)
    assert run.uid


def test_a7_all_that_is_wrong_with_a_request_is_said_at_once(client, stubs, refused):
    request = CreateTaskRequest(task_id="not an id", task={"worker": {"handler": "h" * 200}, "max_concurrent_runs": -1})
    refusal = refused(stubs.tasks.CreateTask, request)
    assert refusal.code == grpc.StatusCode.INVALID_ARGUMENT
    assert set(refusal.fields) == {"task_id", "task.worker.handler", "task.max_concurrent_runs"}


def test_a8_the_status_is_the_latest_one(client, task, stubs):
    uid = client.task("billOnDemand").run().uid
    assert client.get_task_status(uid).state == "PENDING"
    [assignment] = claim(stubs, handler="bill")
    assert client.get_task_status(uid).state == "RUNNING"
    complete(stubs, result_of(assignment))
    assert client.get_task_status(uid).state == "SUCCEEDED"


def test_a9_the_status_is_had_by_the_uid_of_the_task_too(client, task):
    assert client.get_task_status(task.uid) is None
    client.task("billOnDemand").run()
    latest = client.task("billOnDemand").run()
    assert client.get_task_status(task.uid).uid == latest.uid


def test_a10_start_and_end_are_there_once_they_have_happened(client, task, stubs, crank):
    run = client.task("billOnDemand").run()
    assert (run.start_time, run.end_time) == (None, None)
    crank(43_000)
    [assignment] = claim(stubs, handler="bill")
    crank(27_000)
    complete(stubs, result_of(assignment))
    done = client.get_task_status(run.uid)
    assert done.create_time == NOW
    assert done.start_time == NOW + timedelta(milliseconds=43)
    assert done.end_time == NOW + timedelta(milliseconds=70)
    assert done.done


def test_a12_after_seven_days_the_status_is_none_and_the_wire_says_expired(client, task, stubs, crank):
    run = client.task("billOnDemand").run()
    [assignment] = claim(stubs, handler="bill")
    complete(stubs, result_of(assignment))
    crank(7 * DAY - 1)
    assert client.get_task_status(run.uid).uid == run.uid
    crank(1)
    assert client.get_task_status(run.uid) is None
    with pytest.raises(taskwheel.NotFound) as refusal:
        client.get_run(run.uid)
    assert refusal.value.reason == "RUN_EXPIRED"


def test_a12_the_seven_days_of_the_status_begin_when_the_run_was_triggered(client, task, stubs, crank):
    run = client.task("billOnDemand").run()
    crank(HOUR)
    [assignment] = claim(stubs, handler="bill")
    complete(stubs, result_of(assignment))
    crank(7 * DAY - HOUR)
    assert client.get_task_status(run.uid) is None


def test_a12_a_run_that_never_was_has_no_status_either(client, task):
    assert client.get_task_status("01890a5d-ac96-774b-bcce-b302099a8057") is None
    assert client.get_task_status("neverHeardOf") is None


def test_a16_names_are_case_sensitive_and_the_answer_names_the_near_match(client, task):
    with pytest.raises(taskwheel.NotFound) as refusal:
        client.task("billondemand").run()
    assert refusal.value.reason == "TASK_NOT_FOUND"
    assert "billOnDemand" in refusal.value.message


def test_c1_a_task_is_a_thing_that_runs(client, task):
    assert client.task("billOnDemand").run().state == "PENDING"


def test_c3_the_answer_is_flat(stubs, client, task):
    run = stubs.tasks.RunTask(RunTaskRequest(name="billOnDemand"))
    assert (run.uid != "", run.task_uid, run.task_id) == (True, task.uid, "billOnDemand")
    assert run.create_time.ToDatetime(UTC) == NOW


def test_c4_the_status_is_scoped_by_the_task(client, task):
    client.create_task("other", handler="bill")
    run = client.task("billOnDemand").run()
    assert client.task("billOnDemand").get_task_status(run.uid).uid == run.uid
    assert client.task("other").get_task_status(run.uid) is None
    with pytest.raises(taskwheel.NotFound):
        client.get_run(run, task="other")


def test_c4_a_run_that_is_retried_is_followed_to_its_last_attempt(client, stubs, crank):
    client.create_task("t", handler="bill", retry_policy=taskwheel.retry(2, delays=[MINUTE // SECOND]))
    run = client.task("t").run()
    [assignment] = claim(stubs, handler="bill")
    complete(stubs, result_of(assignment, error={"name": "TypeError"}))
    assert client.get_run(run).state == "RETRIED"
    assert (client.task("t").get_task_status(run.uid).state, client.get_task_status(run.uid).attempt) == ("PENDING", 2)
