from typing import Any

import grpc
import pytest

from taskwheel.v1.schedule_pb2 import Schedule
from taskwheel.v1.task_pb2 import Task
from taskwheel.v1.task_run_pb2 import TaskRun
from taskwheel.v1.task_run_service_pb2 import GetTaskRunRequest, ListTaskRunsRequest
from taskwheel.v1.task_service_pb2 import (
    BackfillTaskRequest,
    BatchRunTasksRequest,
    CreateTaskRequest,
    DeleteTaskRequest,
    GetTaskRequest,
    PreviewScheduleRequest,
    RunTaskRequest,
    Slot,
)
from taskwheel_server.clock import HOUR

START_SECONDS = 1_772_366_400


def create(stubs, task_id="nightly", **fields) -> Any:
    task = Task(**fields)
    task.worker.handler = "h"
    return stubs.tasks.CreateTask(CreateTaskRequest(task_id=task_id, task=task))


def run_task(stubs, name="nightly", *, payload=None, **fields) -> Any:
    request = RunTaskRequest(name=name, **fields)
    if payload is not None:
        request.payload.SetInParent()
        request.payload.update(payload)
    return stubs.tasks.RunTask(request)


def listed(stubs, filter="") -> list[TaskRun]:
    return list(stubs.runs.ListTaskRuns(ListTaskRunsRequest(filter=filter, page_size=1000)).task_runs)


@pytest.fixture
def waits_for(server) -> str:
    """Why a run that may start waits: only a server that has its database alone knows that there is no worker."""
    return "NO_WORKER" if server.server.store.exclusive else ""


class TestRunTask:
    def test_it_answers_the_run_as_admitted(self, stubs, waits_for):
        task = create(stubs, priority=3, tags=["a"], labels={"team": "ops", "x": "1"})
        run = run_task(stubs, payload={"to": "ann"}, tags=["b"], labels={"x": "2"}, request_id="r")
        assert run.name == run.root_run == f"namespaces/default/runs/{run.uid}"
        assert (run.task, run.task_uid, run.task_id, run.handler) == (task.name, task.uid, "nightly", "h")
        assert (run.state, run.done, run.attempt, run.trigger) == (TaskRun.PENDING, False, 1, TaskRun.MANUAL)
        assert (run.priority, list(run.tags), dict(run.labels)) == (3, ["a", "b"], {"team": "ops", "x": "2"})
        assert (dict(run.payload), run.request_id, run.state_reason) == ({"to": "ann"}, "r", waits_for)
        times = (run.create_time, run.schedule_time, run.state_change_time, run.update_time)
        assert {time.seconds for time in times} == {START_SECONDS}
        unset = ("start_time", "end_time", "scheduled_time", "error", "result", "progress")
        assert [field for field in unset if run.HasField(field)] == []
        assert stubs.runs.GetTaskRun(GetTaskRunRequest(name=run.uid)) == run

    def test_the_payload_of_the_task_is_the_default_and_not_merged(self, stubs):
        request = CreateTaskRequest(task_id="nightly")
        request.task.worker.handler = "h"
        request.task.payload.update({"a": 1})
        stubs.tasks.CreateTask(request)
        assert dict(run_task(stubs).payload) == {"a": 1}
        assert dict(run_task(stubs, payload={"b": 2}).payload) == {"b": 2}
        assert dict(run_task(stubs, payload={}).payload) == {}

    @pytest.mark.parametrize("priority", [0, 7, -(2**31), 2**31 - 1])
    def test_a_priority_that_is_set_goes_before_that_of_the_task(self, stubs, priority):
        create(stubs, priority=5)
        assert run_task(stubs, priority=priority).priority == priority
        assert run_task(stubs).priority == 5

    def test_a_later_schedule_time_waits(self, stubs, crank, waits_for):
        create(stubs)
        run = run_task(stubs, schedule_time={"seconds": START_SECONDS + 3600, "nanos": 1_000})
        assert (run.state, run.state_reason, run.schedule_time.nanos) == (TaskRun.PENDING, "NOT_DUE", 1_000)
        crank(2 * HOUR)
        assert stubs.runs.GetTaskRun(GetTaskRunRequest(name=run.uid)).state_reason == waits_for

    def test_a_past_schedule_time_is_kept_and_starts_now(self, stubs, waits_for):
        create(stubs)
        run = run_task(stubs, schedule_time={"seconds": 5})
        assert (run.schedule_time.seconds, run.state_reason) == (5, waits_for)

    def test_it_becomes_the_last_run_and_next_run_time_does_not_move(self, stubs):
        before = create(stubs, schedules=[{"cron": "0 * * * *"}])
        run = run_task(stubs)
        after = stubs.tasks.GetTask(GetTaskRequest(name="nightly"))
        assert (after.last_run, after.last_run_time) == (run.name, run.create_time)
        assert (after.next_run_time, after.etag) == (before.next_run_time, before.etag)

    def test_validate_only_checks_and_starts_nothing(self, stubs, refused):
        assert (
            refused(stubs.tasks.RunTask, RunTaskRequest(name="nightly", validate_only=True)).reason == "TASK_NOT_FOUND"
        )
        create(stubs, priority=4)
        run = run_task(stubs, validate_only=True)
        assert (run.name, run.uid, run.root_run, run.priority, run.state) == ("", "", "", 4, TaskRun.PENDING)
        assert listed(stubs) == []

    def test_the_same_request_id_answers_the_run_as_it_is_now(self, stubs):
        create(stubs)
        first = run_task(stubs, request_id="r", payload={"a": 1, "b": 2}, labels={"x": "1", "y": "2"})
        again = run_task(stubs, request_id="r", payload={"b": 2, "a": 1}, labels={"y": "2", "x": "1"})
        assert first == again
        assert (
            run_task(stubs, request_id="r", payload={"b": 2, "a": 1}, labels={"y": "2", "x": "1"}, validate_only=True)
            == first
        )

    @pytest.mark.parametrize("change", [{"payload": {"a": 2}}, {"priority": 1}, {"name": "other"}, {"tags": ["x"]}])
    @pytest.mark.parametrize("validate_only", [False, True])
    def test_another_request_with_the_same_id_is_refused(self, stubs, refused, change, validate_only):
        create(stubs)
        create(stubs, "other")
        run_task(stubs, request_id="r", payload={"a": 1})
        change = {"name": "nightly", "payload": {"a": 1}} | change
        request = RunTaskRequest(
            request_id="r", validate_only=validate_only, **{k: v for k, v in change.items() if k != "payload"}
        )
        request.payload.update(change["payload"])
        refusal = refused(stubs.tasks.RunTask, request)
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")

    @pytest.mark.parametrize(
        ("fields", "code", "reason", "at"),
        [
            ({"name": "missing"}, "NOT_FOUND", "TASK_NOT_FOUND", []),
            ({"name": "namespaces/other/tasks/nightly"}, "NOT_FOUND", "TASK_NOT_FOUND", []),
            ({"name": ""}, "INVALID_ARGUMENT", "INVALID_FIELD", ["name"]),
            ({"name": "a/b/c"}, "INVALID_ARGUMENT", "INVALID_FIELD", ["name"]),
            ({"name": "nightly", "request_id": "é"}, "INVALID_ARGUMENT", "INVALID_FIELD", ["request_id"]),
            ({"name": "nightly", "tags": ["x" * 129]}, "INVALID_ARGUMENT", "INVALID_FIELD", ["tags[0]"]),
            (
                {"name": "nightly", "schedule_time": {"seconds": -1}},
                *("INVALID_ARGUMENT", "INVALID_FIELD", ["schedule_time"]),
            ),
            (
                {"name": "nightly", "schedule_time": {"seconds": 1, "nanos": -5}},
                *("INVALID_ARGUMENT", "INVALID_FIELD", ["schedule_time"]),
            ),
        ],
    )
    def test_bad_requests_are_refused(self, stubs, refused, fields, code, reason, at):
        create(stubs)
        refusal = refused(stubs.tasks.RunTask, RunTaskRequest(**fields))
        assert (refusal.code.name, refusal.reason, refusal.fields) == (code, reason, at)
        assert listed(stubs) == []


class TestBatch:
    def test_runs_are_answered_in_order_without_payload(self, stubs):
        create(stubs)
        create(stubs, "other", priority=2)
        names = ["nightly", "other", "nightly"] * 100
        requests = [RunTaskRequest(name=name, priority=i % 3) for i, name in enumerate(names)]
        for request in requests:
            request.payload.update({"x": 1})
        runs = stubs.tasks.BatchRunTasks(BatchRunTasksRequest(requests=requests)).task_runs
        assert [run.task_id for run in runs] == names
        assert [run.priority for run in runs] == [i % 3 for i in range(300)]
        assert not any(run.HasField("payload") for run in runs)
        for run in runs[:6]:
            stored = stubs.runs.GetTaskRun(GetTaskRunRequest(name=run.name))
            assert dict(stored.payload) == {"x": 1}
            stored.ClearField("payload")
            assert stored == run

    @pytest.mark.parametrize(
        ("item", "reason", "at"),
        [
            (RunTaskRequest(name="missing"), "TASK_NOT_FOUND", []),
            (RunTaskRequest(name="nightly", tags=[""]), "INVALID_FIELD", ["requests[1].tags[0]"]),
            (RunTaskRequest(name="a b"), "INVALID_FIELD", ["requests[1].name"]),
            (RunTaskRequest(name="nightly", validate_only=True), "INVALID_FIELD", ["requests[1].validate_only"]),
            (RunTaskRequest(name="namespaces/other/tasks/x"), "INVALID_FIELD", ["requests[1].name"]),
            (RunTaskRequest(name="nightly", request_id="r", priority=9), "REQUEST_ID_REUSED", []),
        ],
    )
    def test_one_fault_stops_all(self, stubs, refused, item, reason, at):
        create(stubs)
        good = RunTaskRequest(name="nightly", request_id="r")
        refusal = refused(stubs.tasks.BatchRunTasks, BatchRunTasksRequest(requests=[good, item]))
        assert (refusal.reason, refusal.fields) == (reason, at)
        assert listed(stubs) == []

    def test_the_answer_fits_into_a_message_whatever_the_tags(self, stubs):
        create(stubs, tags=[f"{i}".rjust(128) for i in range(64)])
        runs = stubs.tasks.BatchRunTasks(
            BatchRunTasksRequest(requests=[RunTaskRequest(name="nightly")] * 500)
        ).task_runs
        assert [list(run.tags) for run in runs] == [[]] * 500
        assert len(stubs.runs.GetTaskRun(GetTaskRunRequest(name=runs[0].name)).tags) == 64

    @pytest.mark.parametrize("count", [0, 1001])
    def test_a_batch_has_1_to_1000_items(self, stubs, refused, count):
        request = BatchRunTasksRequest(requests=[RunTaskRequest(name="nightly")] * count)
        assert refused(stubs.tasks.BatchRunTasks, request).fields == ["requests"]


class TestBackfill:
    def test_each_slot_of_the_range_gets_a_run(self, stubs):
        create(stubs, schedules=[{"cron": "0 * * * *"}])
        request = BackfillTaskRequest(
            name="nightly", start_time={"seconds": START_SECONDS - 7200}, end_time={"seconds": START_SECONDS}
        )
        runs = stubs.tasks.BackfillTask(request).task_runs
        assert [run.scheduled_time.seconds - START_SECONDS for run in runs] == [-7200, -3600]
        assert {(run.state, run.trigger) for run in runs} == {(TaskRun.PENDING, TaskRun.BACKFILL)}
        assert [run.name for run in runs] == [run.name for run in reversed(listed(stubs, "trigger = BACKFILL"))]

    def test_several_slices_are_answered_in_order(self, stubs):
        create(stubs, schedules=[{"cron": "* * * * *"}])
        request = BackfillTaskRequest(
            name="nightly", start_time={"seconds": START_SECONDS}, end_time={"seconds": START_SECONDS + 60 * 1201}
        )
        slots = [run.scheduled_time.seconds for run in stubs.tasks.BackfillTask(request).task_runs]
        assert slots == list(range(START_SECONDS, START_SECONDS + 60 * 1201, 60))

    def test_the_same_request_id_answers_the_same_runs(self, stubs, refused):
        create(stubs, schedules=[{"cron": "0 * * * *"}])
        fields: dict[str, Any] = {
            "start_time": {"seconds": START_SECONDS - 36000},
            "end_time": {"seconds": START_SECONDS},
        }
        request = BackfillTaskRequest(name="nightly", request_id="b", **fields)
        assert stubs.tasks.BackfillTask(request) == stubs.tasks.BackfillTask(request)
        assert len(listed(stubs)) == 10
        request.overlap_policy = Task.SKIP
        assert refused(stubs.tasks.BackfillTask, request).reason == "REQUEST_ID_REUSED"

    def test_the_overlap_policy_is_the_one_asked_for(self, stubs):
        create(stubs, schedules=[{"cron": "0 * * * *"}])
        fields: dict[str, Any] = {
            "start_time": {"seconds": START_SECONDS - 7200},
            "end_time": {"seconds": START_SECONDS},
        }
        runs = stubs.tasks.BackfillTask(
            BackfillTaskRequest(name="nightly", overlap_policy=Task.SKIP, **fields)
        ).task_runs
        assert [(run.state, run.state_reason) for run in runs] == [
            (TaskRun.PENDING, ""),
            (TaskRun.SKIPPED, "OVERLAP_SKIPPED"),
        ]

    @pytest.mark.parametrize(
        ("task_id", "start", "end", "code", "reason"),
        [
            ("hourly", 3600, 3600, "INVALID_ARGUMENT", "INVALID_FIELD"),
            ("hourly", 0, 60 * 60 * 10_001, "INVALID_ARGUMENT", "TOO_MANY_SLOTS"),
            ("on-demand", 0, 3600, "FAILED_PRECONDITION", "NO_SCHEDULES"),
            ("missing", 0, 3600, "NOT_FOUND", "TASK_NOT_FOUND"),
        ],
    )
    def test_bad_requests_are_refused(self, stubs, refused, task_id, start, end, code, reason):
        create(stubs, "hourly", schedules=[{"cron": "0 * * * *"}])
        create(stubs, "on-demand")
        request = BackfillTaskRequest(name=task_id, start_time={"seconds": start}, end_time={"seconds": end})
        refusal = refused(stubs.tasks.BackfillTask, request)
        assert (refusal.code.name, refusal.reason) == (code, reason)


class TestPreview:
    def test_the_slots_of_a_task_are_merged_and_told_in_english(self, stubs):
        create(stubs, schedules=[{"cron": "0 5 * * *"}, {"interval": {"seconds": 14400}}], paused=True)
        preview = stubs.tasks.PreviewSchedule(PreviewScheduleRequest(task="nightly", count=5))
        assert [(slot.time.seconds - START_SECONDS) // 3600 for slot in preview.slots] == [4, 8, 12, 16, 17]
        assert preview.description == "At 05:00 every day; Every 4 hours"

    def test_a_schedule_that_is_not_stored_marks_clock_changes(self, stubs):
        schedule = Schedule(cron="30 2 * * *", time_zone="America/New_York")
        after = {"seconds": START_SECONDS + 6 * 86400}
        preview = stubs.tasks.PreviewSchedule(PreviewScheduleRequest(schedule=schedule, after=after, count=3))
        assert [slot.dst for slot in preview.slots] == [Slot.SHIFTED, Slot.NONE, Slot.NONE]

    def test_ten_are_told_by_default_and_fewer_where_it_ends(self, stubs):
        schedule = Schedule(cron="* * * * *")
        assert len(stubs.tasks.PreviewSchedule(PreviewScheduleRequest(schedule=schedule)).slots) == 10
        schedule.end_time.seconds = START_SECONDS + 181
        assert len(stubs.tasks.PreviewSchedule(PreviewScheduleRequest(schedule=schedule)).slots) == 3

    def test_a_task_without_schedules_has_nothing_to_tell(self, stubs):
        create(stubs)
        preview = stubs.tasks.PreviewSchedule(PreviewScheduleRequest(task="nightly"))
        assert (list(preview.slots), preview.description) == ([], "")

    @pytest.mark.parametrize(
        ("request_", "reason", "at"),
        [
            (PreviewScheduleRequest(), "INVALID_FIELD", ["source"]),
            (PreviewScheduleRequest(task="missing"), "TASK_NOT_FOUND", []),
            (PreviewScheduleRequest(schedule=Schedule(cron="5-1 * * * *")), "INVALID_SCHEDULE", ["schedule.cron"]),
            (PreviewScheduleRequest(schedule=Schedule(cron="@daily"), count=1001), "INVALID_FIELD", ["count"]),
        ],
    )
    def test_bad_requests_are_refused(self, stubs, refused, request_, reason, at):
        refusal = refused(stubs.tasks.PreviewSchedule, request_)
        assert (refusal.reason, refusal.fields) == (reason, at)


def test_runs_of_a_deleted_task_cannot_be_started(stubs, refused):
    create(stubs)
    stubs.tasks.DeleteTask(DeleteTaskRequest(name="nightly"))
    assert refused(stubs.tasks.RunTask, RunTaskRequest(name="nightly")).reason == "TASK_NOT_FOUND"
