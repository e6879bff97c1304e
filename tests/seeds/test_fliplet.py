"""Rows E: tasks of an app, scheduled or on demand, with results and logs (Fliplet)."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

import taskwheel
from taskwheel.v1.task_run_service_pb2 import ListTaskRunsRequest
from taskwheel_server.clock import DAY, HOUR, SECOND
from tests.rpc.hands import claim, complete, fail, result_of

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
# 1 March 2026 is a Sunday.
FREQUENCIES = [
    ("0 5 * * *", ["2026-03-02 05:00", "2026-03-03 05:00"], "05:00"),
    ("1 0 * * *", ["2026-03-02 00:01", "2026-03-03 00:01"], "00:01"),
    ("0 * * * *", ["2026-03-01 13:00", "2026-03-01 14:00"], "hour"),
    ("0 0 1 * *", ["2026-04-01 00:00", "2026-05-01 00:00"], "month"),
    ("0 0 * * 0", ["2026-03-08 00:00", "2026-03-15 00:00"], "Sunday"),
    ("45 23 * * 6", ["2026-03-07 23:45", "2026-03-14 23:45"], "Saturday"),
    ("*/5 1 * * *", [f"2026-03-02 01:{minute:02}" for minute in range(0, 60, 5)] + ["2026-03-03 01:00"], "01"),
    ("0 0 1 1 *", ["2027-01-01 00:00", "2028-01-01 00:00"], "January"),
    ("0 8 * * 1", ["2026-03-02 08:00", "2026-03-09 08:00"], "Monday"),
]


@pytest.fixture
def booking(client):
    client.create_task("confirm-booking", handler="page-456")
    return client.task("confirm-booking")


def test_e1_e2_a_task_has_a_unique_name_a_target_and_a_frequency_if_any(client, booking, crank):
    with pytest.raises(taskwheel.AlreadyExists):
        client.create_task("confirm-booking", handler="page-1")
    assert booking.get().next_run_time is None
    crank(400 * DAY)
    assert list(booking.runs()) == []


def test_e4_a_result_comes_from_runs_on_schedule_and_on_demand_alike(client, stubs, crank):
    client.create_task("report", handler="page-456", schedules=[taskwheel.cron("0 13 * * *")])
    client.task("report").run()
    crank(HOUR)
    for assignment in claim(stubs, 2, handler="page-456"):
        complete(stubs, result_of(assignment, result={"number_value": 7}))
    runs = list(client.task("report").runs(full=True))
    assert {run.trigger: run.result for run in runs} == {"MANUAL": 7, "SCHEDULE": 7}


def give(run):
    return {"a": 1, "b": 2}


async def promise(run):
    await asyncio.sleep(0)
    return {"a": 1, "b": 2}


@pytest.mark.parametrize("handler", [give, promise], ids=["a value", "a promise"])
def test_e5_a_handler_gives_a_value_or_a_promise(client, booking, start, handler):
    start(**{"page-456": handler})
    assert booking.run_with_result(timeout=10) == {"a": 1, "b": 2}


def test_e6_the_handler_gets_the_payload_of_the_request_or_else_of_the_task(client, start):
    client.create_task("greet", handler="echo", payload={"FirstName": "Ann"})
    start(echo=lambda run: run.payload)
    assert client.run_with_result("greet", {"FirstName": "Nick"}, timeout=10) == {"FirstName": "Nick"}
    assert client.run_with_result("greet", timeout=10) == {"FirstName": "Ann"}


@pytest.mark.parametrize("name", ["hello-world-123", "A_b-9", "x", "n" * 128])
def test_e9_a_name_has_numbers_letters_dashes_and_underscores(client, name):
    assert client.create_task(name, handler="h").task_id == name


@pytest.mark.parametrize("name", ["", "hello world", "a/b", "é", "a.b", "n" * 129, "-"])
def test_e9_any_other_name_is_refused(client, name):
    with pytest.raises(taskwheel.InvalidArgument) as refusal:
        client.create_task(name, handler="h")
    assert list(refusal.value.fields) == ["task_id"]


def test_e9_a_task_can_be_made_inactive(client, crank):
    client.create_task("t", handler="h", schedules=[taskwheel.cron("0 5 * * *")], paused=True)
    task = client.task("t").get()
    assert (task.state, task.next_run_time) == ("PAUSED", None)
    crank(2 * DAY)
    assert list(client.list_runs()) == []


@pytest.mark.parametrize(("frequency", "slots", "word"), FREQUENCIES)
def test_e11_e12_a_frequency_means_what_the_document_says(client, frequency, slots, word):
    preview = client.preview(taskwheel.cron(frequency), count=len(slots))
    assert [f"{slot.time:%Y-%m-%d %H:%M}" for slot in preview.slots] == slots
    assert word in preview.description


@pytest.mark.parametrize(
    "frequency", ["* * * *", "* * * * * *", "60 * * * *", "* * 32 * *", "@reboot", "", "0 0 30 2 *"]
)
def test_e11_anything_but_five_fields_within_their_ranges_is_refused(client, frequency):
    with pytest.raises(taskwheel.InvalidArgument):
        client.create_task("t", handler="h", schedules=[taskwheel.cron(frequency)])
    assert list(client.list_tasks()) == []


def test_e14_to_run_a_task_queues_it_and_gives_no_result(booking):
    run = booking.run({"FirstName": "Nick", "Date": "2021-06-15"})
    assert (run.state, run.done, run.result) == ("PENDING", False, None)


def test_e15_to_run_with_result_gives_the_result(client, start):
    client.create_task("email-is-registered", handler="page-789")
    start(**{"page-789": lambda run: {"isRegistered": run.payload["Email"].endswith("@example.org")}})
    assert client.run_with_result("email-is-registered", {"Email": "john@example.org"}, timeout=10)["isRegistered"]


def test_e16_a_failure_carries_the_run(client, booking, start):
    def explode(run):
        raise KeyError("booking 7")

    start(**{"page-456": explode})
    with pytest.raises(taskwheel.RunFailed) as failure:
        booking.run_with_result(timeout=10)
    error = failure.value.run.error
    assert failure.value.run.state == "FAILED"
    assert error is not None
    assert error.name == "KeyError"


def test_e16_past_the_callers_patience_the_run_goes_on_and_is_named(client, booking):
    with pytest.raises(taskwheel.RunNotDone) as late:
        booking.run_with_result(timeout=0)
    assert client.get_run(late.value.run).state == "PENDING"


def test_e17_the_list_tells_the_last_and_the_next_run(client, crank):
    client.create_task("hourly", handler="h", schedules=[taskwheel.cron("0 * * * *")])
    crank(HOUR)
    [task] = client.list_tasks()
    assert task.last_run_time == NOW + timedelta(hours=1)
    assert task.next_run_time == NOW + timedelta(hours=2)


def test_e18_e19_the_logs_are_the_last_completed_and_failed_runs_of_all_or_one_task(client, booking, stubs, crank):
    client.create_task("other", handler="page-456")
    ended = []
    for number in range(60):
        name = "other" if number % 3 == 0 else "confirm-booking"
        ended.append(client.task(name).run())
        [assignment] = claim(stubs, handler="page-456")
        crank(SECOND)
        if number % 2:
            fail(stubs, assignment)
        else:
            complete(stubs, result_of(assignment))
    booking.run()
    finished = "state = SUCCEEDED OR state = FAILED"
    page = stubs.runs.ListTaskRuns(ListTaskRunsRequest(filter=finished, order_by="end_time desc"))
    assert (len(page.task_runs), page.total_size) == (50, 60)
    assert [run.uid for run in page.task_runs] == [run.uid for run in reversed(ended)][:50]

    one = ListTaskRunsRequest(filter="task = other AND state = FAILED", order_by="end_time desc", page_size=7)
    page = stubs.runs.ListTaskRuns(one)
    assert page.total_size == 10
    assert {(run.task_id, run.state) for run in page.task_runs} == {("other", 5)}
    assert len(page.task_runs) == 7


def test_e20_any_property_is_updated_by_id_or_name(client, booking):
    uid = booking.get().uid
    assert booking.update(handler="page-457").handler == "page-457"
    assert client.task(uid).update(schedules=[taskwheel.cron("0 5 * * *")]).next_run_time is not None
    assert client.task(uid).update(paused=True).state == "PAUSED"
    assert client.task("confirm-booking").rename("confirm").task_id == "confirm"
    assert client.task("confirm").get().uid == uid


def test_e21_an_inactive_task_resumes_from_now(client, crank):
    client.create_task("reminder", handler="h", schedules=[taskwheel.cron("0 13 * * *")])
    task = client.task("reminder")
    task.update(paused=True)
    crank(3 * DAY)
    assert list(task.runs()) == []
    resumed = task.update(paused=False)
    assert resumed.next_run_time == NOW + timedelta(days=3, hours=1)
    assert list(task.runs()) == []


def test_e22_a_removed_task_leaves_its_runs_until_retention(client, booking, stubs, crank):
    run = booking.run()
    [assignment] = claim(stubs, handler="page-456")
    complete(stubs, result_of(assignment))
    booking.delete()
    with pytest.raises(taskwheel.NotFound):
        booking.get()
    assert client.get_run(run).state == "SUCCEEDED"
    crank(7 * DAY)
    with pytest.raises(taskwheel.NotFound):
        client.get_run(run)


def test_both_hold_scheduled_and_unscheduled_tasks_are_run_by_hand(client, booking):
    client.create_task("weekly", handler="h", schedules=[taskwheel.cron("0 8 * * 1")])
    assert {client.task(name).run().trigger for name in ("weekly", "confirm-booking")} == {"MANUAL"}
