"""The contract: its rules as protovalidate reads them, and the stubs that are generated from it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from protovalidate import Validator, Violation

from taskwheel.v1 import (
    admin_service_pb2,
    event_service_pb2,
    log_entry_pb2,
    retry_policy_pb2,
    schedule_pb2,
    task_pb2,
    task_run_pb2,
    task_run_service_pb2,
    task_service_pb2,
    worker_service_pb2,
)

ROOT = Path(__file__).resolve().parent.parent
MODULES = (
    admin_service_pb2,
    event_service_pb2,
    log_entry_pb2,
    retry_policy_pb2,
    schedule_pb2,
    task_pb2,
    task_run_pb2,
    task_run_service_pb2,
    task_service_pb2,
    worker_service_pb2,
)
LEASE = {"run": "r", "attempt": 1, "leaseToken": "t"}

# A message, its fields as JSON, and the path and rule of each violation.
CASES = [
    ("CreateTaskRequest", {"taskId": "nightly_Report-7", "task": {}}, {}),
    ("CreateTaskRequest", {"taskId": "x" * 128, "task": {"worker": {"handler": "send report"}}}, {}),
    ("CreateTaskRequest", {}, {"task_id": "string.pattern", "task": "required"}),
    ("CreateTaskRequest", {"taskId": "x" * 129, "task": {}}, {"task_id": "string.pattern"}),
    ("CreateTaskRequest", {"taskId": "a\n", "task": {}}, {"task_id": "string.pattern"}),
    ("CreateTaskRequest", {"taskId": "\u017f", "task": {}}, {"task_id": "string.pattern"}),
    ("CreateTaskRequest", {"taskId": "-", "task": {}}, {"task_id": "string.not_in"}),
    ("CreateTaskRequest", {"taskId": "a", "task": {"worker": {}}}, {"task.worker.handler": "string.min_len"}),
    ("CreateTaskRequest", {"taskId": "a", "task": {}, "requestId": "é"}, {"request_id": "string.pattern"}),
    ("CreateTaskRequest", {"taskId": "a", "task": {}, "requestId": "x" * 129}, {"request_id": "string.pattern"}),
    ("RenameTaskRequest", {"name": "a", "newTaskId": "a/b"}, {"new_task_id": "string.pattern"}),
    ("UpdateTaskRequest", {"updateMask": "paused"}, {"task": "required"}),
    ("GetTaskRequest", {}, {"name": "string.min_len"}),
    ("GetTaskRequest", {"name": "x" * 301}, {"name": "string.max_len"}),
    ("PauseTaskRequest", {"name": "a", "reason": "moving house\nuntil Monday"}, {}),
    ("PauseTaskRequest", {"name": "a", "reason": "\0"}, {"reason": "string.pattern"}),
    ("PauseTaskRequest", {"name": "a", "reason": "é" * 1025}, {"reason": "string.max_len"}),
    ("Task", {"uid": "ignored", "lastRun": "x" * 5000, "createTime": "0001-01-01T00:00:00Z"}, {}),
    ("Task", {"displayName": "Übersicht 📈", "description": "line\nline"}, {}),
    ("Task", {"displayName": "a\nb"}, {"display_name": "string.pattern"}),
    ("Task", {"tags": ["a"] * 65}, {"tags": "repeated.max_items"}),
    ("Task", {"tags": ["a", ""]}, {"tags[1]": "string.min_len"}),
    ("Task", {"tags": ["a\x85"]}, {"tags[0]": "string.pattern"}),
    ("Task", {"labels": {"team/env.x": "the value"}}, {}),
    ("Task", {"labels": {"a b": ""}}, {'labels["a b"]': "string.pattern"}),
    ("Task", {"labels": {"x" * 64: ""}}, {f'labels["{"x" * 64}"]': "string.pattern"}),
    ("Task", {"labels": {"a": "x" * 257}}, {'labels["a"]': "string.max_len"}),
    ("Task", {"overlapPolicy": 9}, {"overlap_policy": "enum.defined_only"}),
    ("Task", {"misfirePolicy": {"mode": -1}}, {"misfire_policy.mode": "enum.defined_only"}),
    ("Task", {"runTimeout": "-0.000000001s"}, {"run_timeout": "duration.gte_lte"}),
    ("Task", {"startDeadline": "31536001s"}, {"start_deadline": "duration.gte_lte"}),
    ("Task", {"maxConcurrentRuns": -1}, {"max_concurrent_runs": "int32.gte"}),
    ("Task", {"schedules": [{"cron": "@daily"}, {}]}, {"schedules[1].spec": "required"}),
    ("Schedule", {"cron": "x" * 513}, {"cron": "string.max_len"}),
    ("Schedule", {"cron": ""}, {"cron": "string.min_len"}),
    ("Schedule", {"interval": "1s", "jitter": "86400s"}, {}),
    ("Schedule", {"interval": "0.999s"}, {"interval": "duration.gte_lte"}),
    ("Schedule", {"interval": "315576000000s"}, {"interval": "duration.gte_lte"}),
    ("Schedule", {"at": "9999-12-31T23:59:59Z"}, {}),
    ("Schedule", {"at": "1969-12-31T23:59:59Z"}, {"at": "timestamp.gte_lte"}),
    ("Schedule", {"at": "2030-01-01T00:00:00Z", "dstGap": 3}, {"dst_gap": "enum.defined_only"}),
    ("RetryPolicy", {"maxAttempts": 100, "fixedDelays": {"delays": ["2s", "5s", "10s"]}}, {}),
    ("RetryPolicy", {"maxAttempts": 0}, {"max_attempts": "int32.gte_lte"}),
    ("RetryPolicy", {"maxAttempts": 101}, {"max_attempts": "int32.gte_lte"}),
    ("RetryPolicy", {"fixedDelays": {}}, {"fixed_delays.delays": "repeated.min_items"}),
    ("RetryPolicy", {"fixedDelays": {"delays": ["-1s"]}}, {"fixed_delays.delays[0]": "duration.gte_lte"}),
    ("RetryPolicy", {"jitterRatio": "NaN"}, {"jitter_ratio": "double.finite"}),
    ("RetryPolicy", {"exponentialBackoff": {}}, {}),
    ("RetryPolicy", {"exponentialBackoff": {"multiplier": 0}}, {"exponential_backoff.multiplier": "double.gte_lte"}),
    ("RetryPolicy", {"retryableErrorNames": [""]}, {"retryable_error_names[0]": "string.min_len"}),
    ("RunTaskRequest", {"name": "a", "priority": -(2**31), "scheduleTime": "1970-01-01T00:00:00Z"}, {}),
    ("RunTaskRequest", {"name": "a", "payload": {"a" * 100: [None] * 100}}, {}),
    ("BatchRunTasksRequest", {}, {"requests": "repeated.min_items"}),
    ("BatchRunTasksRequest", {"requests": [{"name": "a"}, {}]}, {"requests[1].name": "string.min_len"}),
    ("BatchRunTasksRequest", {"requests": [{"name": "a"}] * 1001}, {"requests": "repeated.max_items"}),
    ("PreviewScheduleRequest", {}, {"source": "required"}),
    ("PreviewScheduleRequest", {"schedule": {}}, {"schedule.spec": "required"}),
    ("PreviewScheduleRequest", {"task": "a", "count": 1001}, {"count": "int32.gte_lte"}),
    ("BackfillTaskRequest", {"name": "a"}, {"start_time": "required", "end_time": "required"}),
    ("ListTaskRunsRequest", {}, {}),
    ("ListTaskRunsRequest", {"pageSize": -1}, {"page_size": "int32.gte"}),
    ("ListTaskRunsRequest", {"filter": "x" * 2049}, {"filter": "string.max_len"}),
    (
        "ListTaskRunsRequest",
        {"orderBy": "x" * 257, "view": 3},
        {"order_by": "string.max_len", "view": "enum.defined_only"},
    ),
    ("WaitTaskRunRequest", {"name": "a", "timeout": "300s"}, {}),
    ("WaitTaskRunRequest", {"name": "a", "timeout": "300.1s"}, {"timeout": "duration.gte_lte"}),
    ("StreamTaskRunLogsRequest", {"name": "a", "afterSequence": -1}, {"after_sequence": "int64.gte"}),
    ("WatchEventsRequest", {"afterSequence": 0}, {}),
    ("WatchEventsRequest", {"afterSequence": -1}, {"after_sequence": "int64.gte"}),
    ("WorkRequest", {}, {}),
    (
        "WorkRequest",
        {"hello": {"handlers": [""]}},
        {
            "hello.worker_id": "string.min_len",
            "hello.handlers[0]": "string.min_len",
            "hello.max_concurrent_runs": "int32.gte_lte",
        },
    ),
    ("WorkRequest", {"results": [LEASE]}, {"results[0].outcome": "required"}),
    ("WorkRequest", {"results": [LEASE | {"cancelled": False}]}, {"results[0].cancelled": "bool.const"}),
    ("WorkRequest", {"renewals": [LEASE | {"progress": {"ratio": 1}}], "releases": [LEASE]}, {}),
    (
        "WorkRequest",
        {"renewals": [LEASE | {"progress": {"ratio": 1.01}}]},
        {"renewals[0].progress.ratio": "double.gte_lte"},
    ),
    ("CompleteTaskRunsRequest", {"results": [LEASE | {"result": None}, LEASE | {"error": {}}]}, {}),
    (
        "CompleteTaskRunsRequest",
        {"results": [LEASE | {"result": {"a": [1]}, "attempt": 0}]},
        {"results[0].attempt": "int32.gte"},
    ),
    (
        "CompleteTaskRunsRequest",
        {"results": [LEASE | {"error": {"message": "é" * 4097}}]},
        {
            "results[0].error.message": "string.max_bytes",
        },
    ),
    ("ClaimTaskRunsRequest", {"workerId": "w", "handlers": ["h"], "wait": "301s"}, {"wait": "duration.gte_lte"}),
    ("AppendLogsRequest", LEASE, {"entries": "repeated.min_items"}),
    ("AppendLogsRequest", LEASE | {"entries": [{}, {"message": "a\nb", "fields": {"n": 1}}]}, {}),
    ("AppendLogsRequest", LEASE | {"entries": [{"level": 5}]}, {"entries[0].level": "enum.defined_only"}),
    ("AppendLogsRequest", LEASE | {"entries": [{"stream": "SYSTEM"}]}, {"entries[0].stream": "enum.not_in"}),
    ("AppendLogsRequest", LEASE | {"entries": [{"message": "x" * 65537}]}, {"entries[0].message": "string.max_bytes"}),
]


@pytest.fixture(scope="module")
def pool() -> DescriptorPool:
    """A pool of the server's descriptor set, apart from the stubs'."""
    pool = DescriptorPool()
    binpb = ROOT / "server/taskwheel_server/rpc/taskwheel.binpb"
    for file in FileDescriptorSet.FromString(binpb.read_bytes()).file:
        pool.Add(file)
    return pool


@pytest.fixture(scope="module")
def validator() -> Validator:
    """One validator: it compiles the rules of a message once."""
    return Validator()


def stub(name: str) -> Any:
    """The generated class of a message."""
    return next(getattr(module, name) for module in MODULES if hasattr(module, name))


def path(violation: Violation) -> str:
    """The path of a violation, as callers read it in a BadRequest."""
    text = ""
    assert violation.proto.field
    for element in violation.proto.field.elements:
        text += f".{element.field_name}"
        if element.subscript:
            value = element.subscript.value
            text += f'["{value}"]' if isinstance(value, str) else f"[{value}]"
    return text.removeprefix(".")


@pytest.mark.parametrize(("name", "fields", "expected"), CASES)
def test_a_message_is_judged_by_the_rules_of_its_fields(pool, validator, name, fields, expected):
    message = json_format.ParseDict(fields, stub(name)())
    private = GetMessageClass(pool.FindMessageTypeByName(f"taskwheel.v1.{name}"))
    violations = validator.collect_violations(private.FromString(message.SerializeToString()))
    assert {path(each): each.proto.rule_id for each in violations} == expected


def test_payloads_pass_through_the_servers_classes_unpacked(pool):
    request = task_service_pb2.RunTaskRequest(name="a", payload={"deep": [{"er": 1}]})
    private: Any = GetMessageClass(pool.FindMessageTypeByName("taskwheel.v1.RunTaskRequest"))
    opaque = private.FromString(request.SerializeToString())
    assert opaque.payload == request.payload.SerializeToString()
    assert opaque.SerializeToString() == request.SerializeToString()
    assert not private(name="a").HasField("payload")


def test_the_stubs_import_nothing_but_protobuf_and_grpc():
    code = (
        "import importlib, pathlib, sys, taskwheel.v1\n"
        "for path in pathlib.Path(taskwheel.v1.__path__[0]).glob('*_pb2*.py'):\n"
        "    importlib.import_module(f'taskwheel.v1.{path.stem}')\n"
        "print([name for name in sys.modules if name.startswith(('buf', 'google.api', 'google.rpc'))])"
    )
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "[]\n"


@pytest.mark.parametrize("folder", ["python", "go", "node/src/gen", "java/src/main/proto"])
def test_what_is_generated_for_a_language_has_no_foreign_options(folder):
    files = list((ROOT / "clients" / folder / "taskwheel/v1").glob("*.*"))
    assert len(files) >= len(list((ROOT / "protos/taskwheel/v1").iterdir()))
    for path in files:
        assert not re.search(r"buf[./]validate|google[./]api\b|genproto", path.read_text(encoding="utf-8")), path


def test_every_rpc_of_the_design_is_declared_and_no_other():
    rpcs = {
        service.name: " ".join(method.name for method in service.methods)
        for module in MODULES
        for service in module.DESCRIPTOR.services_by_name.values()
    }
    assert rpcs == {
        "TaskService": "CreateTask GetTask ListTasks UpdateTask DeleteTask RenameTask PauseTask ResumeTask RunTask "
        "BatchRunTasks PreviewSchedule BackfillTask",
        "TaskRunService": "GetTaskRun ListTaskRuns CancelTaskRun WaitTaskRun StreamTaskRunLogs",
        "EventService": "WatchEvents ListEvents",
        "WorkerService": "Work ClaimTaskRuns RenewLeases CompleteTaskRuns AppendLogs",
        "AdminService": "GetServerInfo",
    }


@pytest.mark.parametrize(
    ("file", "before", "after", "told"),
    [
        ("task.proto", "message WorkerTarget {", "message WorkerTarget { string new = 99;", ""),
        ("task.proto", "string etag = 23", "string etag = 98", '"23" with name "etag"'),
        ("task.proto", "string etag = 23", "bytes etag = 23", 'from "string" to "bytes"'),
        ("task.proto", "PAUSED = 2;", "HALTED = 2;", 'from "PAUSED" to "HALTED"'),
        ("event_service.proto", "rpc ListEvents(", "rpc FindEvents(", 'RPC "ListEvents"'),
    ],
    ids=["a new field", "another number", "another type", "another name of a value", "a missing method"],
)
def test_a_change_that_breaks_callers_of_the_last_release_is_told(tmp_path, file, before, after, told):
    for name in ("protos", "third_party"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "buf.yaml", tmp_path)
    changed = tmp_path / "protos/taskwheel/v1" / file
    assert before in changed.read_text()
    changed.write_text(changed.read_text().replace(before, after))
    released = str(ROOT / "protos/released.binpb")
    command = [str(Path(sys.executable).with_name("buf")), "breaking", "protos", "--against", released]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert bool(ended.returncode) == bool(told), ended.stdout + ended.stderr
    assert told in ended.stdout
