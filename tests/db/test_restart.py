"""PostgreSQL crashes and comes back under a server that goes on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing

import grpc
import pytest

from taskwheel.v1.task_run_service_pb2 import ListTaskRunsRequest
from taskwheel.v1.task_service_pb2 import CreateTaskRequest, RunTaskRequest
from tests.databases import OwnServer, PostgreSQLDatabases

RESTARTS = 3


@pytest.fixture(scope="module")
def own(testrun_uid: str, worker_id: str) -> Iterator[OwnServer]:
    # Another process's tests must not be hit: a server for this one alone.
    with closing(OwnServer(f"restart-{testrun_uid}-{worker_id}")) as own:
        yield own


@pytest.fixture
def database_url(own: OwnServer) -> str:
    databases = PostgreSQLDatabases(own.url, "restarted")
    url = databases.fresh()
    databases._connection.close()
    return url


def test_nothing_acknowledged_is_lost_and_all_goes_on_by_itself(stubs, own):
    request = CreateTaskRequest(task_id="nightly")
    request.task.worker.handler = "h"
    stubs.tasks.CreateTask(request)
    acknowledged: dict[str, str] = {}
    refused: set[grpc.StatusCode] = set()
    stop = threading.Event()

    def enqueue(caller: int) -> None:
        number = 0
        while not stop.is_set():
            request_id = f"{caller}-{number}"
            try:
                run = stubs.tasks.RunTask(RunTaskRequest(name="nightly", request_id=request_id))
            except grpc.RpcError as error:
                refused.add(error.code())
                continue
            acknowledged[request_id] = run.name
            number += 1

    callers = [threading.Thread(target=enqueue, args=(caller,)) for caller in range(4)]
    for thread in callers:
        thread.start()
    for _ in range(RESTARTS):
        before = len(acknowledged)
        while len(acknowledged) < before + 20:
            stop.wait(0.001)
        own.restart()
    # Who reads finds its way, too.
    before = len(acknowledged)
    while len(acknowledged) < before + 20:
        stop.wait(0.001)
    stop.set()
    for thread in callers:
        thread.join()
    stored: dict[str, str] = {}
    token = ""
    while True:
        page = stubs.runs.ListTaskRuns(ListTaskRunsRequest(page_size=1000, page_token=token))
        stored |= {run.request_id: run.name for run in page.task_runs}
        token = page.next_page_token
        if not token:
            break
    assert stored.items() >= acknowledged.items()
    assert len(stored) - len(acknowledged) <= len(callers)
    assert refused <= {grpc.StatusCode.UNAVAILABLE}
