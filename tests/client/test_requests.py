from datetime import UTC, datetime, timedelta

import pytest

import taskwheel
from taskwheel._requests import RunRequest, batches, task_message
from taskwheel.v1.task_service_pb2 import BatchRunTasksRequest, RunTaskRequest

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_a_run_request_without_an_id_gets_a_new_one_each_time():
    request = RunRequest(task="nightly")
    first, second = request.to_message(), request.to_message()
    assert first.request_id != second.request_id
    assert RunRequest(task="nightly", request_id="mine").to_message().request_id == "mine"


def test_a_run_request_leaves_out_what_is_not_given():
    message = RunRequest(task="nightly").to_message()
    assert not message.HasField("payload")
    assert not message.HasField("priority")
    assert not message.HasField("schedule_time")
    assert RunRequest(task="nightly", payload={}, priority=0).to_message().HasField("payload")


def test_batches_end_at_a_thousand_runs():
    sizes = [len(batch) for batch in batches(range(2001), lambda _: 10)]
    assert sizes == [1000, 1000, 1]


def test_batches_end_at_3_mib():
    message = RunRequest(task="a", payload={"text": "x" * 2**20}).to_message()
    made = list(batches([message] * 7, RunTaskRequest.ByteSize))
    assert [len(batch) for batch in made] == [2, 2, 2, 1]
    assert all(BatchRunTasksRequest(requests=batch).ByteSize() <= 3 * 2**20 for batch in made)


def test_no_runs_are_no_batch():
    assert list(batches([], len)) == []


def test_a_task_is_made_from_python_values_and_the_mask_names_what_was_given():
    task, mask = task_message(
        {
            "handler": "send",
            "schedules": [taskwheel.cron("0 5 * * *", time_zone="Europe/Berlin"), taskwheel.every(90)],
            "payload": {"to": "ann"},
            "labels": {"team": "a"},
            "tags": ["x"],
            "retry_policy": taskwheel.retry(4, delays=[2, 5, 10]),
            "misfire_policy": taskwheel.misfire("RUN_ALL", catchup_window=timedelta(hours=2)),
            "overlap_policy": "SKIP",
            "run_timeout": timedelta(minutes=1),
            "priority": 3,
            "display_name": "Send",
        }
    )
    assert task.worker.handler == "send"
    assert [schedule.WhichOneof("spec") for schedule in task.schedules] == ["cron", "interval"]
    assert [delay.seconds for delay in task.retry_policy.fixed_delays.delays] == [2, 5, 10]
    assert task.OverlapPolicy.Name(task.overlap_policy) == "SKIP"
    assert task.run_timeout.seconds == 60
    assert mask.paths[0] == "worker.handler"
    assert "retry_policy" in mask.paths


def test_none_clears_a_field():
    task, mask = task_message({"payload": None, "run_timeout": None})
    assert list(mask.paths) == ["payload", "run_timeout"]
    assert task.ByteSize() == 0


def test_schedules_carry_their_bounds():
    schedule = taskwheel.cron("@daily", start_time=NOON, end_time=NOON, jitter=5, dst_gap="SKIP", dst_overlap="BOTH")
    assert schedule.start_time.ToDatetime(tzinfo=UTC) == NOON
    assert (schedule.jitter.seconds, schedule.dst_gap, schedule.dst_overlap) == (5, 2, 2)
    assert taskwheel.at(NOON, jitter=1).at.ToDatetime(tzinfo=UTC) == NOON
    assert taskwheel.every(timedelta(minutes=5), start_time=NOON).interval.seconds == 300


def test_retry_takes_delays_from_a_list_or_growing_ones():
    growing = taskwheel.retry(3, initial_delay=1, multiplier=3, max_delay=60, only=["A"], never=["B"], on_lost=True)
    assert growing.exponential_backoff.multiplier == 3
    assert growing.retry_on_lost
    assert taskwheel.retry(2).WhichOneof("backoff") is None
    with pytest.raises(ValueError, match="not both"):
        taskwheel.retry(3, delays=[1], max_delay=5)
