"""What callers see when the server stops while they are at it."""

import contextlib
import threading
from collections.abc import Iterator

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from taskwheel.v1.event_service_pb2 import WatchEventsRequest
from taskwheel.v1.task_run_pb2 import TaskRun
from taskwheel.v1.task_run_service_pb2 import ListTaskRunsRequest, WaitTaskRunRequest
from taskwheel.v1.task_service_pb2 import CreateTaskRequest, GetTaskRequest, RunTaskRequest
from taskwheel_server.clock import SECOND
from taskwheel_server.wheel.commands import RenewLeases
from tests.conftest import START, Stubs
from tests.rpc.hands import Hand, create, get, run_task


@contextlib.contextmanager
def restarted(server) -> Iterator[Stubs]:
    """The services of a server that takes the place of one that has stopped."""
    again = type(server)(server._settings, server.clock)
    again.start()
    try:
        with grpc.insecure_channel(again.address) as channel:
            yield Stubs(channel)
    finally:
        again.stop()


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


def test_what_was_acknowledged_is_there_after_a_restart(server, stubs):
    request = CreateTaskRequest(task_id="nightly")
    request.task.worker.handler = "h"
    created = stubs.tasks.CreateTask(request)
    runs = [stubs.tasks.RunTask(RunTaskRequest(name="nightly")) for _ in range(5)]
    server.stop()
    with restarted(server) as after:
        found = after.runs.ListTaskRuns(ListTaskRunsRequest()).task_runs
        assert [run.name for run in reversed(found)] == [run.name for run in runs]
        assert after.tasks.GetTask(GetTaskRequest(name=created.uid)).last_run == runs[-1].name


def test_a_run_whose_claim_commits_after_its_worker_has_gone_is_handed_back(server, stubs, clock, monkeypatch):
    create(stubs)
    run = run_task(stubs, schedule_time=Timestamp(seconds=START // SECOND + 1))
    worker = Hand(stubs)
    server.settle()
    wheel = server.server.wheel
    committed, gone = threading.Event(), threading.Event()

    def deliver(outcome, deliver=wheel._receive):
        if outcome.assignments:
            committed.set()
            gone.wait()
        deliver(outcome)

    def submit(command, submit=wheel.submit):
        answer = submit(command)
        if isinstance(command, RenewLeases):
            gone.set()
        return answer

    def close(close=wheel._mailbox.close):
        close()
        gone.set()

    monkeypatch.setattr(wheel, "_receive", deliver)
    monkeypatch.setattr(wheel, "submit", submit)
    monkeypatch.setattr(wheel._mailbox, "close", close)
    clock.advance(SECOND)
    committed.wait()
    server.loop.call_soon_threadsafe(server._stop.set)
    assert [response.goaway for response in worker.close()] == [True]
    server.stop()
    with restarted(server) as after:
        assert get(after, run).state == TaskRun.PENDING
