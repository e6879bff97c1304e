"""The documents' own samples, in Python's case, against a live server: what they answer is compared field for field."""

import re
import threading
from datetime import UTC, datetime

import pytest

import taskwheel
from taskwheel import compat
from taskwheel_server.clock import DAY, SECOND
from tests.rpc.hands import claim, complete, fail, result_of

NOW = "2026-03-01T12:00:00.000Z"
UID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@pytest.fixture
def agnost(client):
    return compat.Agnost(client)


@pytest.fixture
def bill(client):
    return client.create_task("billOnDemand", handler="bill", schedules=[taskwheel.cron("0 5 * * *")])


def work(stubs, crank):
    """Take the run 43 ms after it was triggered, and have it done 27 ms later."""
    crank(43_000)
    [assignment] = claim(stubs, handler="bill")
    crank(27_000)
    complete(stubs, result_of(assignment))


def test_altogic_runs_a_task_once_and_asks_for_its_status(agnost, bill, stubs, crank):
    ran = agnost.task.run_once("billOnDemand")
    info = ran["info"]
    assert UID.fullmatch(info["taskId"])
    assert ran == {
        "info": {
            "taskId": info["taskId"],
            "scheduledTaskId": bill.uid,
            "scheduledTaskName": "billOnDemand",
            "triggeredAt": NOW,
            "status": "pending",
        },
        "errors": None,
    }
    work(stubs, crank)
    done = {
        "info": {
            **info,
            "status": "completed",
            "startedAt": "2026-03-01T12:00:00.043Z",
            "completedAt": "2026-03-01T12:00:00.070Z",
        },
        "errors": None,
    }
    assert agnost.task.get_task_status(info["taskId"]) == done
    # The sample of the document passes the id of the scheduled task.
    assert agnost.task.get_task_status(bill.uid) == done
    assert agnost.task.run_once(bill.uid)["info"]["scheduledTaskName"] == "billOnDemand"


def test_altogic_answers_errors_and_raises_none(agnost, bill):
    answer = agnost.task.run_once("billondemand")
    assert answer["info"] is None
    [error] = answer["errors"]
    assert error["code"] == "TASK_NOT_FOUND"
    assert "billOnDemand" in error["message"]
    [error] = agnost.task.run_once("no such name")["errors"]
    assert (error["code"], error["field"]) == ("INVALID_FIELD", "name")


def test_altogic_answers_null_past_seven_days_and_for_what_nobody_ran(agnost, bill, crank):
    nothing = {"info": None, "errors": None}
    assert agnost.task.get_task_status(bill.uid) == nothing
    task_id = agnost.task.run_once("billOnDemand")["info"]["taskId"]
    crank(7 * DAY - 1)
    assert agnost.task.get_task_status(task_id)["info"]["taskId"] == task_id
    crank(1)
    assert agnost.task.get_task_status(task_id) == nothing


def test_agnosts_server_library_runs_a_task_and_asks_for_its_status(agnost, client, bill, stubs, crank):
    result = agnost.task("billOnDemand").run()
    assert UID.fullmatch(result["trackingId"])
    assert result == {
        "trackingId": result["trackingId"],
        "cronJobId": bill.uid,
        "cronJobName": "billOnDemand",
        "triggeredAt": NOW,
        "status": "pending",
    }
    work(stubs, crank)
    assert agnost.task("billOnDemand").get_task_status(result["trackingId"]) == {
        **result,
        "status": "completed",
        "startedAt": "2026-03-01T12:00:00.043Z",
        "completedAt": "2026-03-01T12:00:00.070Z",
    }
    client.create_task("another", handler="h")
    assert agnost.task("another").get_task_status(result["trackingId"]) is None
    crank(7 * DAY)
    assert agnost.task("billOnDemand").get_task_status(result["trackingId"]) is None


def test_agnost_says_processing_of_what_is_at_work_and_keeps_id_and_time_over_retries(agnost, client, stubs, crank):
    client.create_task("flaky", handler="bill", retry_policy=taskwheel.retry(2, delays=[1]))
    run = agnost.task("flaky").run()
    [assignment] = claim(stubs, handler="bill")
    assert agnost.task("flaky").get_task_status(run["trackingId"])["status"] == "processing"
    fail(stubs, assignment)
    crank(SECOND)
    claim(stubs, handler="bill")
    assert agnost.task("flaky").get_task_status(run["trackingId"]).items() >= {
        ("trackingId", run["trackingId"]),
        ("triggeredAt", NOW),
        ("status", "processing"),
    }


@pytest.fixture
def exh(client):
    client.create_task("testFunction", handler="testFunction", retry_policy=taskwheel.retry(2, delays=[2]))
    return compat.ExtraHorizon(client)


def test_extra_horizon_creates_a_task_and_finds_it(exh):
    created = exh.tasks.create(
        function_name="testFunction",
        data={"my_key": "My Value"},
        priority=1,
        start_timestamp=datetime(2026, 3, 1, 12, tzinfo=UTC),
        tags=["my_tag"],
    )
    assert UID.fullmatch(created["id"])
    assert created == {
        "id": created["id"],
        "functionName": "testFunction",
        "status": "new",
        "statusChangedTimestamp": NOW,
        "data": {"my_key": "My Value"},
        "tags": ["my_tag"],
        "startTimestamp": NOW,
        "priority": 1,
        "createdByApplicationId": created["createdByApplicationId"],
        "creationTimestamp": NOW,
        "updateTimestamp": NOW,
    }
    assert exh.tasks.find() == [created]
    assert exh.tasks.find(filter='tags:"my_tag"') == [created]
    assert exh.tasks.find(filter='tags:"other"') == []


def test_extra_horizon_cancels_a_new_task_and_no_other(exh, stubs):
    canceled = exh.tasks.cancel(exh.tasks.create("testFunction")["id"])
    assert canceled["status"] == "canceled"
    begun = exh.tasks.create("testFunction")
    claim(stubs, handler="testFunction")
    with pytest.raises(taskwheel.FailedPrecondition):
        exh.tasks.cancel(begun["id"])
    assert [task["status"] for task in exh.tasks.find()] == ["inProgress", "canceled"]


def test_extra_horizon_links_a_retried_task_with_the_one_that_follows(exh, stubs, crank):
    first = exh.tasks.create("testFunction", data={"my_key": "My Value"})
    [assignment] = claim(stubs, handler="testFunction")
    fail(stubs, assignment)
    second, retried = exh.tasks.find()
    assert (retried["id"], retried["status"], retried["retriedByTaskId"]) == (first["id"], "retried", second["id"])
    assert (second["status"], second["retryForTaskIds"], second["data"]) == ("new", [first["id"]], first["data"])
    crank(2 * SECOND)
    [assignment] = claim(stubs, handler="testFunction")
    complete(stubs, result_of(assignment))
    assert [task["status"] for task in exh.tasks.find()] == ["complete", "retried"]


def test_extra_horizon_tells_a_failed_task_with_its_error(exh, client, stubs):
    client.task("testFunction").update(retry_policy=None)
    exh.tasks.create("testFunction")
    [assignment] = claim(stubs, handler="testFunction")
    fail(stubs, assignment)
    [failed] = exh.tasks.find()
    assert failed["status"] == "failed"
    assert failed["error"]["name"]


@pytest.fixture
def fliplet(client):
    return compat.Fliplet(client)


@pytest.fixture
def screens(server, fliplet):
    """A worker with screens: `screens({456: function})`."""
    working: list[tuple[taskwheel.Worker, threading.Thread]] = []

    def start(functions):
        worker = taskwheel.Worker(server.address, grace=5)
        for page_id, function in functions.items():
            fliplet.page(worker, page_id).on_remote_execution(function)
        thread = threading.Thread(target=worker.run)
        thread.start()
        working.append((worker, thread))

    yield start
    for worker, thread in working:
        worker.stop()
        thread.join(15)


def test_fliplet_creates_tasks_by_schedule_and_on_demand(fliplet):
    reminder = fliplet.app.tasks.create(
        name="send-monday-weekly-reminder", frequency="0 8 * * 1", active=True, page_id=123
    )
    assert UID.fullmatch(reminder["id"])
    assert reminder == {
        "id": reminder["id"],
        "name": "send-monday-weekly-reminder",
        "pageId": 123,
        "frequency": "0 8 * * 1",
        "active": True,
        "lastRunAt": None,
        "nextRunAt": "2026-03-02T08:00:00.000Z",
    }
    booking = fliplet.app.tasks.create(name="confirm-booking", page_id=456)
    assert (booking["frequency"], booking["nextRunAt"]) == (None, None)
    assert fliplet.app.tasks.get() == [booking, reminder]


def test_fliplet_runs_a_screen_with_and_without_result(fliplet, screens):
    booked: list[dict[str, str]] = []

    async def is_registered(payload):
        return {"isRegistered": payload["Email"] == "john@example.org"}

    screens({456: booked.append, 789: is_registered})
    fliplet.app.tasks.create(name="confirm-booking", page_id=456)
    fliplet.app.tasks.create(name="email-is-registered", page_id=789)
    fliplet.app.tasks.run("confirm-booking")
    fliplet.app.tasks.run("confirm-booking", {"FirstName": "Nick", "Date": "2021-06-15"})
    result = fliplet.app.tasks.run_with_result("email-is-registered", {"Email": "john@example.org"})
    assert result["isRegistered"]
    fliplet.app.tasks.run_with_result("confirm-booking", {"last": "one"})
    assert booked.count({"FirstName": "Nick", "Date": "2021-06-15"}) == 1


def test_fliplet_tells_the_last_completed_and_failed_results(fliplet, stubs, crank):
    task = fliplet.app.tasks.create(name="confirm-booking", page_id=456)
    fliplet.app.tasks.create(name="other", page_id=456)
    for number in range(52):
        fliplet.app.tasks.run("other" if number % 4 == 3 else "confirm-booking", {"number": number})
        [assignment] = claim(stubs, handler="page-456")
        crank(SECOND)
        if number % 2:
            fail(stubs, assignment)
        else:
            complete(stubs, result_of(assignment, result={"number_value": number}))
    fliplet.app.tasks.run("other")
    response = fliplet.app.tasks.get_logs()
    assert response["count"] == 50
    assert [log["payload"]["number"] for log in response["logs"]] == list(range(51, 1, -1))
    assert response["logs"][1].items() >= {
        ("type", "app.task.completed"),
        ("taskId", task["id"]),
        ("result", 50),
        ("completedAt", "2026-03-01T12:00:51.000Z"),
    }
    failed = fliplet.app.tasks.get_logs(id=task["id"], limit=10, where={"type": "app.task.failed"})
    assert failed["count"] == 10
    assert {(log["taskName"], log["type"]) for log in failed["logs"]} == {("confirm-booking", "app.task.failed")}
    assert failed["logs"][0]["payload"] == {"number": 49}


def test_fliplet_updates_deactivates_and_removes(fliplet):
    fliplet.app.tasks.create(name="send-monday-weekly-reminder", frequency="0 8 * * 1", page_id=123)
    booking = fliplet.app.tasks.create(name="confirm-booking", page_id=123)
    assert fliplet.app.tasks.update("confirm-booking", page_id=456) == {**booking, "pageId": 456}
    renamed = fliplet.app.tasks.update(booking["id"], name="confirm", frequency="0 5 * * *")
    assert (renamed["name"], renamed["nextRunAt"]) == ("confirm", "2026-03-02T05:00:00.000Z")
    inactive = fliplet.app.tasks.update("send-monday-weekly-reminder", active=False)
    assert (inactive["active"], inactive["nextRunAt"]) == (False, None)
    fliplet.app.tasks.remove("confirm")
    fliplet.app.tasks.remove(inactive["id"])
    assert fliplet.app.tasks.get() == []
