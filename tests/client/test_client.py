"""What callers see, at a real server."""

from datetime import UTC, datetime, timedelta

import pytest

import taskwheel
from taskwheel_server.clock import DAY, MINUTE, SECOND

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOWHERE = "127.0.0.1:9"


@pytest.fixture
def task(client):
    client.create_task("send-report", handler="send-report")
    return client.task("send-report")


def test_a_run_is_answered_as_it_was_admitted(task):
    run = task.run({"to": "ann", "n": 3}, priority=5, tags=["a"], labels={"k": "v"})
    assert (run.state, run.task_id, run.payload, run.priority) == ("PENDING", "send-report", {"to": "ann", "n": 3}, 5)
    assert (run.tags, run.labels, run.create_time, run.done) == (["a"], {"k": "v"}, NOON, False)


def test_a_request_id_is_made_for_each_run_and_makes_a_given_one_safe_to_repeat(task):
    assert task.run().uid != task.run().uid
    assert task.run(request_id="once").uid == task.run(request_id="once").uid
    with pytest.raises(taskwheel.AlreadyExists) as caught:
        task.run({"other": 1}, request_id="once")
    assert caught.value.reason == "REQUEST_ID_REUSED"


def test_a_task_is_found_by_id_full_name_and_uid(client, task):
    created = task.get()
    for name in ("send-report", "tasks/send-report", created.name, created.uid):
        assert client.task(name).get() == created


def test_an_unknown_task_is_not_found_by_name(client):
    with pytest.raises(taskwheel.NotFound) as caught:
        client.task("send-reprot").run()
    assert caught.value.reason == "TASK_NOT_FOUND"
    assert caught.value.metadata


def test_fields_at_fault_are_named(client):
    with pytest.raises(taskwheel.InvalidArgument) as caught:
        client.create_task("x", handler="x", schedules=[taskwheel.cron("61 * * * *")])
    assert list(caught.value.fields) == ["task.schedules[0].cron"]


def test_an_update_sets_what_is_given_and_no_more(task):
    task.update(priority=3, tags=["a"], retry_policy=taskwheel.retry(4, delays=[2, 5, 10]), run_timeout=60)
    updated = task.update(schedules=[taskwheel.every(timedelta(minutes=5))])
    assert (updated.priority, updated.tags, updated.run_timeout) == (3, ["a"], timedelta(minutes=1))
    assert updated.next_run_time == NOON + timedelta(minutes=5)
    cleared = task.update(run_timeout=None, schedules=[])
    assert (cleared.run_timeout, cleared.schedules, cleared.priority) == (None, [], 3)
    assert task.update(handler="other").handler == "other"


def test_a_stale_etag_is_aborted(task):
    etag = task.get().etag
    task.update(priority=1, etag=etag)
    with pytest.raises(taskwheel.Aborted):
        task.update(priority=2, etag=etag)
    with pytest.raises(taskwheel.Aborted):
        task.delete(etag=etag)


def test_a_task_is_paused_resumed_renamed_and_deleted(client, task):
    assert task.pause("holidays").pause.reason == "holidays"
    assert task.resume().state == "ACTIVE"
    assert task.rename("send").task_id == "send"
    assert task.get().task_id == "send"
    task.delete()
    with pytest.raises(taskwheel.NotFound):
        task.get()
    task.delete(allow_missing=True)


def test_lists_go_on_from_page_to_page(client, task):
    runs = [task.run().uid for _ in range(5)]
    assert [run.uid for run in client.list_runs(page_size=2)] == runs[::-1]
    assert sorted(run.uid for run in task.runs(order_by="create_time", page_size=2)) == runs
    for number in range(3):
        client.create_task(f"other-{number}", handler="x", tags=["other"])
    assert [each.task_id for each in client.list_tasks(filter='tags:"other"', page_size=1)] == [
        "other-2",
        "other-1",
        "other-0",
    ]
    assert list(client.task("other-0").runs()) == []


def test_lists_carry_payloads_when_asked(client, task):
    task.run({"a": 1})
    assert next(client.list_runs()).payload is None
    assert next(client.list_runs(full=True)).payload == {"a": 1}


def test_many_runs_are_started_at_once(client, task):
    requests = [taskwheel.RunRequest(task="send-report", payload={"n": n}, priority=n) for n in range(1500)]
    runs = client.run_many(requests)
    assert [run.priority for run in runs] == list(range(1500))
    assert len({run.uid for run in runs}) == 1500


def test_a_preview_tells_the_next_slots(client, task):
    task.update(schedules=[taskwheel.cron("0 5 * * *")])
    preview = task.preview(count=2)
    assert [slot.time for slot in preview.slots] == [NOON + timedelta(hours=17), NOON + timedelta(hours=41)]
    assert preview.description
    assert client.preview(taskwheel.cron("0 5 * * *"), count=1, after=NOON).slots == preview.slots[:1]


def test_a_backfill_answers_its_runs(task):
    task.update(schedules=[taskwheel.cron("0 5 * * *")])
    runs = task.backfill(NOON - timedelta(days=3), NOON)
    assert [run.scheduled_time.day for run in runs] == [27, 28, 1]


def test_a_pending_run_is_cancelled_for_certain(client, task):
    run = task.run()
    cancelled = client.cancel(run, reason="not needed")
    assert (cancelled.state, cancelled.state_reason) == ("CANCELLED", "not needed")
    assert client.cancel(run.uid) == cancelled


def test_waiting_ends_with_the_deadline_and_names_the_run_which_goes_on(client, task):
    run = task.run()
    with pytest.raises(taskwheel.RunNotDone) as caught:
        client.wait(run, timeout=0)
    assert caught.value.run.uid == run.uid
    with pytest.raises(taskwheel.RunNotDone) as caught:
        client.run_with_result("send-report", {"a": 1}, timeout=0)
    assert client.get_run(caught.value.run).state == "PENDING"


def test_the_status_of_a_run_or_of_the_latest_run_of_a_task(client, task):
    first, latest = task.run(), task.run()
    info = task.get()
    assert client.get_task_status(first.uid).uid == first.uid
    assert client.get_task_status(first.name).uid == first.uid
    for name in (info.uid, "send-report", info.name):
        assert client.get_task_status(name).uid == latest.uid
    assert task.get_task_status(first.uid).uid == first.uid


def test_the_status_is_none_when_unknown(client, task):
    run = task.run()
    client.create_task("other", handler="x")
    assert client.get_task_status("no-such-task") is None
    assert client.get_task_status(run.uid[:-4] + "0000") is None
    assert client.get_task_status("other") is None
    assert client.task("other").get_task_status(run.uid) is None


def test_the_status_is_none_from_seven_days_after_the_run_was_created(client, task, crank):
    run = task.run()
    crank(7 * DAY - SECOND)
    assert client.get_task_status(run.uid).uid == run.uid
    crank(SECOND)
    assert client.get_task_status(run.uid) is None
    assert client.get_run(run).uid == run.uid


def test_a_watch_has_all_that_happens_after_it_was_asked_for(client, task):
    events = client.watch_events(filter="type = run_pending OR type = run_cancelled")
    run = task.run()
    client.cancel(run)
    assert [next(events).type for _ in range(2)] == ["run_pending", "run_cancelled"]
    events.close()


def test_a_watch_begins_after_a_sequence(client, task):
    task.run()
    past = client.watch_events(after=0)
    first, second = next(past), next(past)
    assert (first.sequence, first.type, second.type) == (1, "task_created", "run_pending")
    assert first.task_snapshot.task_id == "send-report"
    assert second.run_snapshot.state == "PENDING"
    with pytest.raises(taskwheel.OutOfRange) as caught:
        client.watch_events(after=99)
    assert caught.value.metadata["newest_sequence"] == "2"
    past.close()
    assert [event.sequence for event in client.list_events(order_by="sequence", page_size=1)] == [1, 2]


def test_the_server_tells_about_itself(client):
    info = client.server_info()
    assert (info.server_time, info.retention, info.database) == (NOON, timedelta(days=7), "sqlite")


def test_no_server_is_unavailable_soon():
    with taskwheel.Client(NOWHERE) as client, pytest.raises(taskwheel.Unavailable):
        client.server_info()


def test_a_watch_that_never_stood_is_not_tried_again():
    with taskwheel.Client(NOWHERE) as client, pytest.raises(taskwheel.Unavailable):
        client.watch_events()


def test_the_address_comes_from_the_environment(server, monkeypatch):
    monkeypatch.setenv("TASKWHEEL_ADDRESS", server.address)
    with taskwheel.Client() as client:
        assert client.server_info().database


def test_metadata_is_asked_for_with_each_call(server):
    asked = []

    def metadata():
        asked.append(1)
        return [("authorization", "Bearer x")]

    with taskwheel.Client(server.address, metadata=metadata) as client:
        client.server_info()
        client.server_info()
    assert len(asked) == 2


async def test_the_async_client_does_the_same(server):
    async with taskwheel.AsyncClient(server.address) as client:
        await client.create_task("send", handler="send", schedules=[taskwheel.cron("@daily")])
        events = await client.watch_events(filter="type = run_pending")
        run = await client.task("send").run({"a": 1})
        assert (await anext(events)).run == run.name
        assert [each.uid async for each in client.list_runs()] == [run.uid]
        assert (await client.task("send").get()).last_run == run.name
        with pytest.raises(taskwheel.NotFound):
            await client.get_run("019ca945-0a00-76d3-aac7-df681f0b47a6")


def test_a_scheduled_run_is_seen_by_a_watcher(client, crank):
    client.create_task("tick", handler="tick", schedules=[taskwheel.every(60)])
    events = client.watch_events(filter="type = run_pending")
    crank(MINUTE)
    assert next(events).task.endswith("/tick")
    events.close()
