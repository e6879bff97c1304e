"""What callers see when the server stops while they are at it."""

import grpc
import pytest

from taskwheel.v1.event_service_pb2 import WatchEventsRequest
from taskwheel.v1.task_run_service_pb2 import ListTaskRunsRequest, WaitTaskRunRequest
from taskwheel.v1.task_service_pb2 import CreateTaskRequest, GetTaskRequest, RunTaskRequest


def test_who_waits_or_watches_is_told_to_come_back(server, stubs):
    request = CreateTaskRequest(task_id="nightly")
    request.task.worker.handler = "h"
    stubs.tasks.CreateTask(request)
    run = stubs.tasks.RunTask(RunTaskRequest(name="nightly"))
    waiting = stubs.runs.WaitTaskRun.future(WaitTaskRunRequest(name=run.name))
    watching = stubs.events.WatchEvents(WatchEventsRequest(after_sequence=0))
    assert next(watching) is not None
    server.stop()
    assert waiting.exception(10).code() == grpc.StatusCode.UNAVAILABLE
    with pytest.raises(grpc.RpcError) as caught:
        list(watching)
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE


def test_what_was_acknowledged_is_there_after_a_restart(server, stubs, database_url, clock):
    request = CreateTaskRequest(task_id="nightly")
    request.task.worker.handler = "h"
    created = stubs.tasks.CreateTask(request)
    runs = [stubs.tasks.RunTask(RunTaskRequest(name="nightly")) for _ in range(5)]
    server.stop()
    again = type(server)(server._settings, clock)
    again.start()
    try:
        with grpc.insecure_channel(again.address) as channel:
            after = type(stubs)(channel)
            found = after.runs.ListTaskRuns(ListTaskRunsRequest()).task_runs
            assert [run.name for run in reversed(found)] == [run.name for run in runs]
            assert after.tasks.GetTask(GetTaskRequest(name=created.uid)).last_run == runs[-1].name
    finally:
        again.stop()
