"""Rows D: functions planned as tasks, their queue, retries and failures (Extra Horizon)."""

from datetime import UTC, datetime, timedelta

import pytest

import taskwheel
from taskwheel.v1.task_pb2 import Task
from taskwheel.v1.task_service_pb2 import CreateTaskRequest
from taskwheel.v1.worker_service_pb2 import RenewLeasesRequest
from taskwheel_server.clock import SECOND
from tests.rpc.hands import Watch, claim, complete, fail, result_of

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LEASE = 30 * SECOND
# "By default off, at most 3 retries after 2, 5 and 10 seconds, only for listed error names."
POLICY = taskwheel.retry(4, delays=[2, 5, 10], only=["TypeError"])


@pytest.fixture
def function(client):
    client.create_task("testFunction", handler="testFunction")
    return client.task("testFunction")


def claim_one(stubs):
    [assignment] = claim(stubs, handler="testFunction")
    return assignment


def test_d2_a_run_takes_data_priority_start_and_tags(function):
    later = NOW + timedelta(hours=1)
    run = function.run({"my_key": "My Value"}, priority=1, schedule_time=later, tags=["my_tag"])
    assert (run.payload, run.priority, run.schedule_time, run.tags) == ({"my_key": "My Value"}, 1, later, ["my_tag"])


def test_d3_a_transition_starts_a_run_once_and_is_kept_in_its_labels(function, client):
    first = function.run(request_id="transition-7", labels={"transition": "7"})
    again = function.run(request_id="transition-7", labels={"transition": "7"})
    assert again.uid == first.uid
    assert [run.uid for run in client.list_runs(filter="labels.transition = 7")] == [first.uid]


def test_d5_runs_are_found_by_filter_order_and_page(function, client):
    for priority in (3, 1, 2):
        function.run(priority=priority)
    found = client.list_runs(filter="task = testFunction AND priority >= 2", order_by="priority desc", page_size=1)
    assert [run.priority for run in found] == [3, 2]


def test_d6_a_run_carries_every_attribute(function, stubs):
    run = function.run({"my_key": "My Value"}, priority=1, tags=["my_tag"])
    assert run.uid
    assert (run.task_id, run.state, run.state_change_time) == ("testFunction", "PENDING", NOW)
    assert (run.payload, run.tags, run.priority, run.schedule_time) == ({"my_key": "My Value"}, ["my_tag"], 1, NOW)
    assert (run.create_time, run.update_time) == (NOW, NOW)
    assert run.creator.application


def test_d8_an_unknown_function_is_refused_and_nothing_is_stored(client):
    with pytest.raises(taskwheel.NotFound) as refusal:
        client.task("yourFunctionName").run({"a": 1})
    assert refusal.value.reason == "TASK_NOT_FOUND"
    assert list(client.list_runs()) == []


def test_d10_tags_are_searched_by(function, client):
    tagged = function.run(tags=["mytag", "other"])
    function.run(tags=["mytagged"])
    assert [run.uid for run in client.list_runs(filter='tags:"mytag"')] == [tagged.uid]


def test_d12_the_next_execution_is_seen_before_it_starts(client):
    client.create_task("planned", handler="h", schedules=[taskwheel.cron("0 8 * * 1")])
    monday = datetime(2026, 3, 2, 8, tzinfo=UTC)
    assert client.task("planned").get().next_run_time == monday
    times = [slot.time for slot in client.task("planned").preview(count=3).slots]
    assert times == [monday, monday + timedelta(weeks=1), monday + timedelta(weeks=2)]


def test_d13_higher_priority_goes_first_then_the_earlier_start_then_the_earlier_run(function, stubs):
    late = function.run(priority=1, schedule_time=NOW - timedelta(minutes=1))
    early = function.run(priority=1, schedule_time=NOW - timedelta(minutes=2))
    first, second = function.run(priority=0), function.run(priority=0)
    high = function.run(priority=9)
    order = [assignment.run.uid for assignment in claim(stubs, 5, handler="testFunction")]
    assert order == [high.uid, early.uid, late.uid, first.uid, second.uid]


def test_d14_a_new_run_is_cancelled_for_certain(function, client, stubs):
    run = function.run()
    assert client.cancel(run).state == "CANCELLED"
    assert claim(stubs, handler="testFunction") == []


def test_d15_a_run_in_progress_is_not_halted_when_only_pending_ones_are_to_be(function, client, stubs):
    run = function.run()
    claim_one(stubs)
    with pytest.raises(taskwheel.FailedPrecondition) as refusal:
        client.cancel(run, pending_only=True)
    assert refusal.value.reason == "RUN_STARTED"
    assert client.get_run(run).state == "RUNNING"


def test_d15_otherwise_its_worker_is_asked_to_stop(function, client, stubs):
    run = function.run()
    assignment = claim_one(stubs)
    assert client.cancel(run).state == "CANCELLING"
    complete(stubs, result_of(assignment, cancelled=True))
    assert client.get_run(run).state == "CANCELLED"


def test_d16_the_time_of_the_state_follows_the_state_and_nothing_else(function, client, stubs, crank):
    run = function.run()
    crank(SECOND)
    assignment = claim_one(stubs)
    started = client.get_run(run)
    assert started.state_change_time == NOW + timedelta(seconds=1)
    crank(SECOND)
    lease = {"run": run.name, "attempt": 1, "lease_token": assignment.lease_token, "progress": {"ratio": 0.5}}
    stubs.workers.RenewLeases(RenewLeasesRequest(leases=[lease]))
    moved = client.get_run(run)
    assert (moved.progress.ratio, moved.state_change_time) == (0.5, started.state_change_time)
    assert moved.update_time == NOW + timedelta(seconds=2)


def test_d17_d18_a_failed_run_is_retried_by_a_new_one_with_the_same_properties(client, stubs, crank):
    client.create_task("testFunction", handler="testFunction", retry_policy=POLICY)
    original = client.task("testFunction").run({"my_key": 1}, priority=7, tags=["t"], labels={"k": "v"})
    chain = [original.name]
    for delay in (2, 5, 10):
        fail(stubs, claim_one(stubs), "TypeError")
        failed = client.get_run(chain[-1])
        assert (failed.state, failed.error.name) == ("RETRIED", "TypeError")
        retry = client.get_run(failed.retried_by_run)
        assert (retry.trigger, retry.attempt, retry.retry_for_runs) == ("RETRY", len(chain) + 1, chain)
        assert (retry.payload, retry.priority, retry.tags, retry.labels) == ({"my_key": 1}, 7, ["t"], {"k": "v"})
        assert retry.root_run == original.name
        assert claim(stubs, handler="testFunction") == []
        crank(delay * SECOND)
        chain.append(retry.name)
    fail(stubs, claim_one(stubs), "TypeError")
    assert client.get_run(chain[-1]).state == "FAILED"
    assert len(list(client.list_runs())) == 4


def test_d18_an_error_that_is_not_listed_is_not_retried(client, stubs):
    client.create_task("testFunction", handler="testFunction", retry_policy=POLICY)
    run = client.task("testFunction").run()
    fail(stubs, claim_one(stubs), "RangeError")
    assert client.get_run(run).state == "FAILED"


def test_d19_without_a_policy_a_failed_run_is_failed(function, client, stubs):
    run = function.run()
    fail(stubs, claim_one(stubs))
    done = client.get_run(run)
    assert (done.state, done.retried_by_run) == ("FAILED", "")


def test_d20_a_run_whose_outcome_is_unknown_is_cleaned_as_a_zombie(function, client, stubs, crank):
    run = function.run()
    claim_one(stubs)
    crank(LEASE)
    done = client.get_run(run)
    assert (done.state, done.error.type, done.error.name) == ("FAILED", "system", "zombieTaskCleaned")


def test_d20_it_is_tried_again_where_its_task_asks_for_that(client, stubs, crank):
    client.create_task(
        "testFunction", handler="testFunction", retry_policy=taskwheel.retry(2, delays=[0], on_lost=True)
    )
    run = client.task("testFunction").run()
    claim_one(stubs)
    crank(LEASE)
    assert client.get_run(run).state == "RETRIED"
    assert claim_one(stubs).run.attempt == 2


def test_d21_d22_a_failure_is_published_once_and_a_retry_is_none(client, stubs, crank):
    client.create_task("testFunction", handler="testFunction", retry_policy=taskwheel.retry(2, delays=[0]))
    watch = Watch(stubs, after=0, filter="type = task_failed")
    client.task("testFunction").run()
    error = {"type": "runtime", "name": "TypeError", "message": "Cannot read property 'x' of undefined"}
    for _ in range(2):
        complete(stubs, result_of(claim_one(stubs), error=error))
    newest = max(event.sequence for event in client.list_events())
    [event] = watch.take(newest)
    watch.cancel()
    assert event.type == "task_failed"
    assert event.task_failed.id == client.get_run(event.run).uid
    assert event.task_failed.function_name == "testFunction"
    failed = event.task_failed.error
    assert (failed.type, failed.name, failed.message) == (error["type"], error["name"], error["message"])
    kinds = [event.type for event in client.list_events(order_by="sequence")]
    assert (kinds.count("task_failed"), kinds.count("run_failed"), kinds.count("run_retried")) == (1, 1, 1)


def test_d23_the_creator_comes_from_the_credentials_and_not_from_the_request(function, stubs, client):
    claimed = Task(worker={"handler": "h"}, creator={"application": "root", "user": "root"})
    task = stubs.tasks.CreateTask(CreateTaskRequest(task_id="mine", task=claimed))
    assert (task.creator.application, task.creator.user) == ("anonymous", "")
    assert function.run().creator.application == "anonymous"


def test_both_hold_polling_the_first_id_ends_at_retried_unless_retries_are_followed(client, stubs):
    client.create_task("testFunction", handler="testFunction", retry_policy=taskwheel.retry(2, delays=[0]))
    run = client.task("testFunction").run()
    fail(stubs, claim_one(stubs))
    complete(stubs, result_of(claim_one(stubs)))
    assert client.get_run(run).state == "RETRIED"
    assert client.get_run(run, follow_retries=True).state == "SUCCEEDED"
