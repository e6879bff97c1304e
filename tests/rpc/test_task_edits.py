from typing import Any

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.json_format import ParseDict

from taskwheel.v1.schedule_pb2 import MisfirePolicy, Schedule
from taskwheel.v1.task_pb2 import Task
from taskwheel.v1.task_run_pb2 import TaskRun
from taskwheel.v1.task_run_service_pb2 import GetTaskRunRequest, ListTaskRunsRequest
from taskwheel.v1.task_service_pb2 import (
    CreateTaskRequest,
    DeleteTaskRequest,
    GetTaskRequest,
    ListTasksRequest,
    PauseTaskRequest,
    RenameTaskRequest,
    ResumeTaskRequest,
    RunTaskRequest,
    UpdateTaskRequest,
)
from taskwheel_server.clock import HOUR, MINUTE
from taskwheel_server.model.uid import UID

START_SECONDS = 1_772_366_400
FULL: dict[str, Any] = {
    "displayName": "Nightly",
    "description": "Cleans up.\nThen rests.",
    "worker": {"handler": "clean"},
    "schedules": [
        {"cron": "30 2 * * *", "timeZone": "Europe/Berlin", "jitter": "60s", "dstGap": "SKIP", "dstOverlap": "BOTH"},
        {"interval": "90.5s", "startTime": "2026-03-01T00:00:00Z", "endTime": "2027-03-01T00:00:00Z"},
        {"at": "2026-03-02T00:00:00.000001Z"},
    ],
    "payload": {"to": "ann@example.org", "deep": {"list": [1, None, "x", True]}},
    "priority": -5,
    "tags": ["billing", "daily"],
    "labels": {"team": "ops", "a/b.c": ""},
    "retryPolicy": {
        "maxAttempts": 4,
        "fixedDelays": {"delays": ["2s", "5s", "10s"]},
        "jitterRatio": 0.5,
        "retryableErrorNames": ["Timeout"],
        "nonRetryableErrorNames": ["Fatal"],
        "retryOnLost": True,
    },
    "overlapPolicy": "QUEUE_ONE",
    "misfirePolicy": {"mode": "RUN_ALL", "catchupWindow": "7200s", "maxCatchupRuns": 7},
    "runTimeout": "30s",
    "startDeadline": "0.000001s",
    "maxConcurrentRuns": 3,
}
OUTPUT_ONLY = ("name", "uid", "etag", "state", "next_run_time", "creator", "create_time", "update_time")


def task_of(**fields) -> Task:
    task = Task(**fields)
    task.worker.handler = task.worker.handler or "h"
    return task


def without_output(task: Task) -> Task:
    bare = Task()
    bare.CopyFrom(task)
    for field in OUTPUT_ONLY:
        bare.ClearField(field)
    return bare


def create(stubs, task_id="nightly", **fields) -> Any:
    return stubs.tasks.CreateTask(CreateTaskRequest(task_id=task_id, task=task_of(**fields)))


def update(stubs, task: Task, *paths: str, **more) -> Any:
    return stubs.tasks.UpdateTask(UpdateTaskRequest(task=task, update_mask=FieldMask(paths=paths), **more))


def test_a_created_task_answers_every_field_as_it_was_sent(stubs):
    sent = ParseDict(FULL, Task())
    created = stubs.tasks.CreateTask(CreateTaskRequest(task_id="nightly", task=sent))
    for schedule in sent.schedules[1:]:
        schedule.dst_gap, schedule.dst_overlap = Schedule.RUN_AFTER_GAP, Schedule.FIRST
    assert without_output(created) == sent
    assert created.name == "namespaces/default/tasks/nightly"
    assert UID.fullmatch(created.uid)
    assert created.state == Task.ACTIVE
    assert created.create_time.seconds == created.update_time.seconds == START_SECONDS
    # 478 × 90.5 s after midnight.
    assert created.next_run_time.seconds == START_SECONDS + 59
    assert created == stubs.tasks.GetTask(GetTaskRequest(name="nightly"))


def test_defaults_are_spelled_out(stubs):
    created = create(stubs)
    assert created.overlap_policy == Task.ALLOW
    assert created.misfire_policy == MisfirePolicy(
        mode=MisfirePolicy.RUN_ONCE, catchup_window={"seconds": 3600}, max_catchup_runs=100
    )
    assert not created.HasField("retry_policy")
    assert not created.HasField("next_run_time")
    assert not created.HasField("last_run_time")
    assert not created.HasField("payload")
    assert not created.HasField("pause")


def test_output_only_fields_and_the_name_are_ignored_at_create(stubs):
    created = create(stubs, name="tasks/other", uid="x", state=Task.PAUSED, last_run="y")
    assert (created.name, created.state, created.last_run) == ("namespaces/default/tasks/nightly", Task.ACTIVE, "")
    assert created.uid != "x"


def test_duplicate_tags_are_dropped(stubs):
    assert create(stubs, tags=["b", "a", "b"]).tags == ["b", "a"]


@pytest.mark.parametrize(
    "name", ["namespaces/default/tasks/nightly", "tasks/nightly", "nightly", "uid", "UID", "tasks/uid"]
)
def test_a_task_is_found_by_every_form_of_its_name(stubs, name):
    created = create(stubs)
    name = name.replace("uid", created.uid).replace("UID", created.uid.upper())
    assert stubs.tasks.GetTask(GetTaskRequest(name=name)) == created


def test_not_found_names_the_near_match(stubs, refused):
    create(stubs, "billOnDemand")
    refusal = refused(stubs.tasks.GetTask, GetTaskRequest(name="billondemand"))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "TASK_NOT_FOUND")
    assert "billOnDemand" in refusal.message


def test_a_task_id_is_taken_once(stubs, refused):
    create(stubs)
    refusal = refused(stubs.tasks.CreateTask, CreateTaskRequest(task_id="nightly", task=task_of()))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.ALREADY_EXISTS, "TASK_ALREADY_EXISTS")


class TestRequestIds:
    def test_the_same_request_answers_the_task_it_created(self, stubs):
        task = ParseDict(FULL, Task())
        request = CreateTaskRequest(task_id="nightly", task=task, request_id="r 1")
        first = stubs.tasks.CreateTask(request)
        # Maps have no order: another client may send them in another.
        again = ParseDict(FULL | {"labels": dict(reversed(FULL["labels"].items()))}, Task())
        assert stubs.tasks.CreateTask(CreateTaskRequest(task_id="nightly", task=again, request_id="r 1")) == first

    @pytest.mark.parametrize("change", [{"task_id": "other"}, {"task": task_of(priority=1)}])
    def test_another_request_with_the_same_id_is_refused(self, stubs, refused, change):
        request: dict[str, Any] = {"task_id": "nightly", "task": task_of(), "request_id": "r"}
        stubs.tasks.CreateTask(CreateTaskRequest(**request))
        refusal = refused(stubs.tasks.CreateTask, CreateTaskRequest(**request | change))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")


class TestValidateOnly:
    def test_create_answers_what_would_be_and_does_nothing(self, stubs, refused):
        request = CreateTaskRequest(
            task_id="nightly", task=task_of(schedules=[{"cron": "0 * * * *"}]), validate_only=True
        )
        answer = stubs.tasks.CreateTask(request)
        assert (answer.uid, answer.name) == ("", "namespaces/default/tasks/nightly")
        assert answer.next_run_time.seconds == START_SECONDS + 3600
        assert refused(stubs.tasks.GetTask, GetTaskRequest(name="nightly")).reason == "TASK_NOT_FOUND"

    def test_create_finds_that_the_id_is_taken(self, stubs, refused):
        create(stubs)
        request = CreateTaskRequest(task_id="nightly", task=task_of(), validate_only=True)
        assert refused(stubs.tasks.CreateTask, request).reason == "TASK_ALREADY_EXISTS"

    def test_update_answers_what_would_be_and_does_nothing(self, stubs):
        created = create(stubs)
        answer = update(stubs, Task(name="nightly", priority=9), "priority", validate_only=True)
        assert answer.priority == 9
        assert stubs.tasks.GetTask(GetTaskRequest(name="nightly")) == created

    def test_update_checks_the_task_and_its_etag(self, stubs, refused):
        request = UpdateTaskRequest(task=Task(name="nightly", priority=9), validate_only=True)
        assert refused(stubs.tasks.UpdateTask, request).reason == "TASK_NOT_FOUND"
        create(stubs)
        request.task.etag = '"7"'
        assert refused(stubs.tasks.UpdateTask, request).reason == "ETAG_MISMATCH"


class TestUpdate:
    @pytest.mark.parametrize(
        ("paths", "kept", "set_"),
        [
            # Without a mask: what the task carries.
            ([], ["tags", "retry_policy", "payload"], ["priority", "labels"]),
            (["priority"], ["tags", "labels", "retry_policy", "payload"], ["priority"]),
            # A named field that is unset is cleared.
            (["tags", "payload"], ["labels", "retry_policy", "priority"], ["tags", "payload"]),
            # Output-only fields are passed over.
            (["uid", "create_time", "etag", "name", "tags"], ["labels", "priority"], ["tags"]),
        ],
    )
    def test_a_mask_says_what_is_set(self, stubs, paths, kept, set_):
        before = stubs.tasks.CreateTask(CreateTaskRequest(task_id="nightly", task=ParseDict(FULL, Task())))
        change = Task(name="nightly", priority=9, labels={"new": "1"})
        after = update(stubs, change, *paths)
        assert [field for field in kept if getattr(after, field) != getattr(before, field)] == []
        assert [field for field in set_ if getattr(after, field) != getattr(change, field)] == []
        assert after.etag != before.etag

    def test_a_star_sets_everything(self, stubs):
        stubs.tasks.CreateTask(CreateTaskRequest(task_id="nightly", task=ParseDict(FULL, Task())))
        after = update(stubs, task_of(name="nightly", priority=9), "*")
        fresh = create(stubs, "fresh", priority=9)
        assert without_output(after) == without_output(fresh)

    def test_a_path_into_a_message_sets_that_field_alone(self, stubs):
        before = stubs.tasks.CreateTask(CreateTaskRequest(task_id="nightly", task=ParseDict(FULL, Task())))
        change = Task(name="nightly")
        change.retry_policy.max_attempts = 9
        after = update(stubs, change, "retry_policy.max_attempts")
        assert after.retry_policy.max_attempts == 9
        before.retry_policy.max_attempts = 9
        assert after.retry_policy == before.retry_policy

    def test_writing_back_what_was_read_changes_nothing(self, stubs, crank):
        task = ParseDict(FULL, Task())
        stubs.tasks.CreateTask(CreateTaskRequest(task_id="nightly", task=task))
        # One of the schedules has passed by then, and intervals are not to be anchored anew.
        crank(24 * HOUR)
        before = stubs.tasks.GetTask(GetTaskRequest(name="nightly"))
        assert update(stubs, before) == before
        assert update(stubs, before, "*") == before

    def test_a_change_of_schedules_counts_from_now(self, stubs, crank):
        create(stubs, schedules=[{"interval": {"seconds": 3600}}])
        crank(30 * MINUTE)
        after = update(stubs, Task(name="nightly", schedules=[{"interval": {"seconds": 7200}}]))
        assert after.next_run_time.seconds == START_SECONDS + 1800 + 7200

    def test_paused_is_pause_and_resume(self, stubs, crank):
        create(stubs, schedules=[{"cron": "0 * * * *"}])
        paused = update(stubs, Task(name="nightly", paused=True), "paused")
        assert (paused.state, paused.pause.reason, paused.pause.time.seconds) == (Task.PAUSED, "", START_SECONDS)
        assert not paused.HasField("next_run_time")
        resumed = update(stubs, Task(name="nightly"), "paused")
        assert (resumed.state, resumed.HasField("pause")) == (Task.ACTIVE, False)
        assert resumed.next_run_time.seconds == START_SECONDS + 3600

    @pytest.mark.parametrize("call", ["update", "delete"])
    def test_a_stale_etag_is_aborted(self, stubs, refused, call):
        stale = create(stubs).etag
        update(stubs, Task(name="nightly", priority=1))
        if call == "update":
            refusal = refused(
                stubs.tasks.UpdateTask, UpdateTaskRequest(task=Task(name="nightly", etag=stale, priority=2))
            )
        else:
            refusal = refused(stubs.tasks.DeleteTask, DeleteTaskRequest(name="nightly", etag=stale))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")

    def test_a_current_etag_passes(self, stubs):
        etag = create(stubs).etag
        etag = update(stubs, Task(name="nightly", etag=etag, priority=2)).etag
        stubs.tasks.DeleteTask(DeleteTaskRequest(name="nightly", etag=etag))

    @pytest.mark.parametrize(
        "paths", [["nope"], ["labels.team"], ["tags.0"], ["schedules.cron"], ["payload.x"], ["*", "tags"], ["target"]]
    )
    def test_a_mask_that_names_no_field_is_refused(self, stubs, refused, paths):
        create(stubs)
        request = UpdateTaskRequest(task=Task(name="nightly"), update_mask=FieldMask(paths=paths))
        refusal = refused(stubs.tasks.UpdateTask, request)
        assert (refusal.code, refusal.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ["update_mask"])


class TestPause:
    def test_a_paused_task_says_why_who_and_when(self, stubs):
        create(stubs, schedules=[{"cron": "0 * * * *"}])
        paused = stubs.tasks.PauseTask(PauseTaskRequest(name="nightly", reason="holidays"))
        assert (paused.paused, paused.state, paused.pause.reason) == (True, Task.PAUSED, "holidays")
        assert paused.pause.actor.application == "anonymous"
        assert not paused.HasField("next_run_time")

    def test_schedules_stop_and_run_task_works(self, stubs, crank):
        create(stubs, schedules=[{"cron": "0 * * * *"}], paused=True)
        stubs.tasks.RunTask(RunTaskRequest(name="nightly"))
        crank(3 * HOUR)
        assert stubs.runs.ListTaskRuns(ListTaskRunsRequest()).total_size == 1

    def test_on_resume_the_schedules_count_from_now(self, stubs, crank):
        create(stubs, schedules=[{"cron": "0 * * * *"}], paused=True)
        crank(3 * HOUR)
        resumed = stubs.tasks.ResumeTask(ResumeTaskRequest(name="nightly"))
        assert resumed.next_run_time.seconds == START_SECONDS + 4 * 3600
        assert not resumed.HasField("pause")


class TestRename:
    def test_uid_runs_and_schedules_stay(self, stubs):
        before = create(stubs)
        run = stubs.tasks.RunTask(RunTaskRequest(name="nightly"))
        after = stubs.tasks.RenameTask(RenameTaskRequest(name="nightly", new_task_id="daily"))
        assert (after.name, after.uid) == ("namespaces/default/tasks/daily", before.uid)
        assert after.last_run == run.name
        assert stubs.runs.GetTaskRun(GetTaskRunRequest(name=run.name, task="daily")).task_id == "nightly"

    @pytest.mark.parametrize(("new", "reason"), [("taken", "TASK_ALREADY_EXISTS"), ("-", "INVALID_FIELD")])
    def test_a_new_id_must_be_free_and_legal(self, stubs, refused, new, reason):
        create(stubs)
        create(stubs, "taken")
        assert refused(stubs.tasks.RenameTask, RenameTaskRequest(name="nightly", new_task_id=new)).reason == reason


class TestDelete:
    def test_pending_runs_are_cancelled_and_stay_readable(self, stubs, refused, crank):
        create(stubs)
        run = stubs.tasks.RunTask(RunTaskRequest(name="nightly"))
        stubs.tasks.DeleteTask(DeleteTaskRequest(name="nightly"))
        assert refused(stubs.tasks.GetTask, GetTaskRequest(name="nightly")).reason == "TASK_NOT_FOUND"
        crank(2 * MINUTE)
        cancelled = stubs.runs.GetTaskRun(GetTaskRunRequest(name=run.uid))
        assert (cancelled.state, cancelled.state_reason) == (TaskRun.CANCELLED, "TASK_DELETED")
        assert stubs.tasks.ListTasks(ListTasksRequest()).total_size == 0

    def test_the_id_is_free_at_once(self, stubs):
        first = create(stubs)
        stubs.tasks.DeleteTask(DeleteTaskRequest(name="nightly"))
        assert create(stubs).uid != first.uid

    def test_a_missing_task_is_an_error_unless_allowed(self, stubs, refused):
        assert refused(stubs.tasks.DeleteTask, DeleteTaskRequest(name="nightly")).reason == "TASK_NOT_FOUND"
        stubs.tasks.DeleteTask(DeleteTaskRequest(name="nightly", allow_missing=True))


FAULTS = [
    # (what is wrong, changes to the task, the field at fault)
    ("no target", {"worker": None}, "task.worker"),
    ("an empty handler", {"worker": {"handler": ""}}, "task.worker.handler"),
    ("a control character", {"displayName": "a\tb"}, "task.display_name"),
    ("a bad label key", {"labels": {"a b": ""}}, 'task.labels["a b"]'),
    ("an empty tag", {"tags": [""]}, "task.tags[0]"),
    ("an unknown enum number", {"overlapPolicy": 77}, "task.overlap_policy"),
    ("no spec", {"schedules": [{"timeZone": "UTC"}]}, "task.schedules[0].spec"),
    ("a bad cron field", {"schedules": [{"cron": "* * * * *"}, {"cron": "61 * * * *"}]}, "task.schedules[1].cron"),
    ("a cron that never matches", {"schedules": [{"cron": "0 0 30 2 *"}]}, "task.schedules[0].cron"),
    ("an unknown zone", {"schedules": [{"cron": "@daily", "timeZone": "Mars/Base"}]}, "task.schedules[0].time_zone"),
    ("a short interval", {"schedules": [{"interval": "0.5s"}]}, "task.schedules[0].interval"),
    ("an instant that has passed", {"schedules": [{"at": "2026-03-01T12:00:00Z"}]}, "task.schedules[0].at"),
    ("too many attempts", {"retryPolicy": {"maxAttempts": 101}}, "task.retry_policy.max_attempts"),
    ("a ratio that is no number", {"retryPolicy": {"jitterRatio": "NaN"}}, "task.retry_policy.jitter_ratio"),
    (
        "delays that shrink",
        {"retryPolicy": {"exponentialBackoff": {"initialDelay": "9s", "maxDelay": "1s"}}},
        "task.retry_policy.exponential_backoff.max_delay",
    ),
    ("a negative duration", {"runTimeout": "-1s"}, "task.run_timeout"),
    ("a negative limit", {"maxConcurrentRuns": -1}, "task.max_concurrent_runs"),
    ("too large a payload", {"payload": {"x": "x" * 1024 * 1024}}, "task.payload"),
]


@pytest.mark.parametrize(("changes", "field"), [row[1:] for row in FAULTS], ids=[row[0] for row in FAULTS])
def test_a_fault_is_named_by_its_field(stubs, refused, changes, field):
    task = ParseDict({key: value for key, value in ({"worker": {"handler": "h"}} | changes).items() if value}, Task())
    if "overlapPolicy" in changes:
        task.overlap_policy = changes["overlapPolicy"]
    refusal = refused(stubs.tasks.CreateTask, CreateTaskRequest(task_id="nightly", task=task))
    assert (refusal.code, set(refusal.fields)) == (grpc.StatusCode.INVALID_ARGUMENT, {field})


def test_every_violation_of_a_field_rule_is_told_at_once(stubs, refused):
    request = CreateTaskRequest(task_id="no good", task=task_of(tags=["", "ok", ""], max_concurrent_runs=-1))
    refusal = refused(stubs.tasks.CreateTask, request)
    assert refusal.fields == ["task_id", "task.tags[0]", "task.tags[2]", "task.max_concurrent_runs"]


@pytest.mark.parametrize(
    ("request_", "code", "reason"),
    [
        (CreateTaskRequest(parent="namespaces/x", task_id="a", task=task_of()), "NOT_FOUND", "NAMESPACE_NOT_FOUND"),
        (CreateTaskRequest(parent="nonsense", task_id="a", task=task_of()), "INVALID_ARGUMENT", "INVALID_FIELD"),
        (CreateTaskRequest(task_id="a"), "INVALID_ARGUMENT", "INVALID_FIELD"),
        (
            CreateTaskRequest(task_id="0190aaaa-0000-7000-8000-000000000000", task=task_of()),
            "INVALID_ARGUMENT",
            "INVALID_FIELD",
        ),
    ],
)
def test_bad_requests_to_create_are_refused(stubs, refused, request_, code, reason):
    refusal = refused(stubs.tasks.CreateTask, request_)
    assert (refusal.code.name, refusal.reason) == (code, reason)
