import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.struct_pb2 import Value

import taskwheel
from taskwheel import _views
from taskwheel.v1 import event_pb2, log_entry_pb2, task_pb2, task_run_pb2
from taskwheel.v1.admin_service_pb2 import GetServerInfoResponse

RUN = task_run_pb2.TaskRun(
    name="namespaces/default/runs/1",
    state="SUCCEEDED",
    done=True,
    payload={"to": "ann"},
    result=Value(number_value=3),
    create_time={"seconds": 1},
    tags=["a"],
    labels={"k": "v"},
    progress={"ratio": 0.5, "message": "half"},
)


def test_a_run_reads_as_python_values():
    run = taskwheel.TaskRun(RUN)
    assert (run.state, run.payload, run.result, run.tags) == ("SUCCEEDED", {"to": "ann"}, 3, ["a"])
    assert run.labels == {"k": "v"}
    assert run.create_time == datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)
    assert run.progress is not None
    assert run.progress.ratio == 0.5


def test_what_is_unset_is_none():
    run = taskwheel.TaskRun(task_run_pb2.TaskRun())
    assert (run.payload, run.result, run.error, run.end_time, run.creator) == (None, None, None, None, None)
    assert taskwheel.Task(task_pb2.Task()).run_timeout is None


def test_a_state_of_a_newer_server_is_its_number():
    assert taskwheel.TaskRun(task_run_pb2.TaskRun(state=99)).state == "99"  # type: ignore[arg-type]


def test_views_cannot_be_set_and_compare_by_their_message():
    run = taskwheel.TaskRun(RUN)
    with pytest.raises(AttributeError):
        run.state = "FAILED"  # type: ignore[misc]
    assert run == taskwheel.TaskRun(RUN)
    assert run != taskwheel.TaskRun(task_run_pb2.TaskRun())
    assert repr(run) == "<TaskRun namespaces/default/runs/1 SUCCEEDED>"
    assert run.to_dict()["createTime"] == "1970-01-01T00:00:01Z"


@pytest.mark.parametrize(
    ("view", "message", "elsewhere"),
    [
        (_views.TaskRun, task_run_pb2.TaskRun, set()),
        (_views.Task, task_pb2.Task, {"worker"}),
        (_views.Event, event_pb2.Event, set()),
        (_views.TaskFailed, event_pb2.TaskFailed, set()),
        (_views.LogEntry, log_entry_pb2.LogEntry, set()),
        (_views.RunError, task_run_pb2.RunError, set()),
        (_views.Progress, task_run_pb2.Progress, set()),
        (_views.Pause, task_pb2.Task.Pause, set()),
        (_views.Principal, task_pb2.Principal, set()),
        (_views.ServerInfo, GetServerInfoResponse, {"limits"}),
    ],
)
def test_every_field_of_the_contract_can_be_read(view, message, elsewhere):
    names = set(message.DESCRIPTOR.fields_by_name)
    assert names - elsewhere <= set(vars(view))
    for name in vars(view):
        if not name.startswith("_"):
            getattr(view(message()), name)


def test_a_task_knows_its_id_and_its_handler():
    task = taskwheel.Task(task_pb2.Task(name="namespaces/default/tasks/nightly", worker={"handler": "send"}))
    assert (task.task_id, task.handler) == ("nightly", "send")
    info = taskwheel.ServerInfo(GetServerInfoResponse(limits={"retention": {"seconds": 60}}))
    assert info.retention == timedelta(minutes=1)


def test_the_package_imports_nothing_until_it_is_used():
    code = "import sys, taskwheel; assert not {'grpc', 'google.protobuf'} & set(sys.modules); taskwheel.Client"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_is_there():
    for name in dir(taskwheel):
        assert getattr(taskwheel, name)
    with pytest.raises(AttributeError, match="nothing"):
        taskwheel.nothing  # noqa: B018
