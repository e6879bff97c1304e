"""What is as large as it may be still comes back: every answer fits a client's message of 4 MiB, lists go on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from taskwheel.v1.event_service_pb2 import ListEventsRequest, WatchEventsRequest
from taskwheel.v1.task_run_service_pb2 import ListTaskRunsRequest
from taskwheel.v1.task_service_pb2 import BatchRunTasksRequest, CreateTaskRequest, ListTasksRequest, RunTaskRequest
from taskwheel.v1.worker_service_pb2 import ClaimTaskRunsRequest, CompleteTaskRunsRequest, Hello, WorkRequest
from tests.faults.api import Api, pages
from tests.faults.processes import Server, connect

TASKS = 120
# Such a run takes 30 KB: what all of them take is far more than a message.
RUNS = 250
# In bytes as many as are allowed, in characters a third of that.
STACK = "堆" * (65_536 // 3)


def _task(task_id: str) -> CreateTaskRequest:
    request = CreateTaskRequest(task_id=task_id)
    request.task.worker.handler = "large"
    request.task.description = "ü" * 4096
    request.task.tags.extend(f"{number:03}" + "t" * 125 for number in range(64))
    request.task.labels.update({f"k{number:02}" + "k" * 60: "v" * 256 for number in range(64)})
    return request


@pytest.fixture
async def api(tmp_path: Path, database_url: str) -> AsyncIterator[Api]:
    """A server that is full of the largest tasks and runs."""
    async with Server(tmp_path, database_url=database_url) as server, connect(server.target) as channel:
        api = Api(channel)
        for number in range(TASKS):
            await api.tasks.CreateTask(_task(f"large-{number}"))
        batch = BatchRunTasksRequest(requests=[RunTaskRequest(name="large-0")] * RUNS)
        assert len((await api.tasks.BatchRunTasks(batch)).task_runs) == RUNS
        yield api


async def test_lists_and_watches_fit(api: Api) -> None:
    tasks = [task async for page in pages(api.tasks.ListTasks, ListTasksRequest(page_size=1000)) for task in page.tasks]
    assert len(tasks) == TASKS
    listing = ListTaskRunsRequest(page_size=1000)
    assert sum([len(page.task_runs) async for page in pages(api.runs.ListTaskRuns, listing)]) == RUNS
    events = ListEventsRequest(page_size=1000)
    count = sum([len(page.events) async for page in pages(api.events.ListEvents, events)])
    assert count == TASKS + RUNS
    seen = 0
    async for response in api.events.WatchEvents(WatchEventsRequest(after_sequence=0)):
        seen += len(response.events)
        if response.sequence == count:
            break
    assert seen == count


async def test_claims_and_large_errors_fit(api: Api) -> None:
    claim = ClaimTaskRunsRequest(worker_id="w", handlers=["large"], max_runs=1000)
    claimed = 0
    while assignments := (await api.workers.ClaimTaskRuns(claim)).assignments:
        claimed += len(assignments)
        # A request has its bound too.
        for first in range(0, len(assignments), 40):
            results = CompleteTaskRunsRequest()
            for each in assignments[first : first + 40]:
                result = results.results.add(run=each.run.name, attempt=1, lease_token=each.lease_token)
                result.error.stack = STACK
            await api.workers.CompleteTaskRuns(results)
    assert claimed == RUNS
    whole = ListTaskRunsRequest(page_size=1000, view=ListTaskRunsRequest.FULL)
    stacks = [run.error.stack async for page in pages(api.runs.ListTaskRuns, whole) for run in page.task_runs]
    assert stacks == [STACK] * RUNS


async def test_assignments_on_a_stream_fit(api: Api) -> None:
    stream = api.workers.Work()
    await stream.write(WorkRequest(hello=Hello(worker_id="w", handlers=["large"], max_concurrent_runs=10_000)))
    assigned = 0
    async for response in stream:
        assigned += len(response.assignments)
        if assigned == RUNS:
            break
    stream.cancel()
