"""Hands that do what clients do, a call at a time."""

from __future__ import annotations

import queue
from typing import Any

from taskwheel.v1.event_service_pb2 import ListEventsRequest, WatchEventsRequest
from taskwheel.v1.task_pb2 import Task
from taskwheel.v1.task_run_pb2 import TaskRun
from taskwheel.v1.task_run_service_pb2 import GetTaskRunRequest
from taskwheel.v1.task_service_pb2 import BatchRunTasksRequest, CreateTaskRequest, RunTaskRequest
from taskwheel.v1.worker_service_pb2 import (
    AppendLogsRequest,
    Assignment,
    ClaimTaskRunsRequest,
    CompleteTaskRunsRequest,
    Lease,
    RunResult,
    WorkRequest,
    WorkResponse,
)


def create(stubs, task_id="nightly", *, handler="h", **fields) -> Task:
    task = Task(**fields)
    task.worker.handler = handler
    return stubs.tasks.CreateTask(CreateTaskRequest(task_id=task_id, task=task))


def run_task(stubs, name="nightly", *, payload=None, **fields) -> TaskRun:
    request = RunTaskRequest(name=name, **fields)
    request.payload.update(payload or {})
    return stubs.tasks.RunTask(request)


def run_many(stubs, count, name="nightly", **fields) -> list[TaskRun]:
    requests = [RunTaskRequest(name=name, **fields) for _ in range(count)]
    return list(stubs.tasks.BatchRunTasks(BatchRunTasksRequest(requests=requests)).task_runs)


def get(stubs, run, **fields) -> TaskRun:
    return stubs.runs.GetTaskRun(GetTaskRunRequest(name=run if isinstance(run, str) else run.name, **fields))


def claim(stubs, count=1, *, handler="h", worker_id="w1") -> list[Assignment]:
    request = ClaimTaskRunsRequest(worker_id=worker_id, handlers=[handler], max_runs=count)
    return list(stubs.workers.ClaimTaskRuns(request).assignments)


def lease_of(assignment, **fields) -> Lease:
    return Lease(**fence(assignment), **fields)


def fence(assignment) -> dict[str, Any]:
    run = assignment.run
    return {"run": run.name, "attempt": run.attempt, "lease_token": assignment.lease_token}


def result_of(assignment, **outcome) -> RunResult:
    return RunResult(**fence(assignment), **(outcome or {"result": {"null_value": 0}}))


def complete(stubs, *results: RunResult) -> list[int]:
    answer = stubs.workers.CompleteTaskRuns(CompleteTaskRunsRequest(results=results))
    return [each.status for each in answer.acknowledgements]


def fail(stubs, assignment, name="Boom", **fields) -> None:
    complete(stubs, result_of(assignment, error={"type": "E", "name": name, **fields}))


def log_of(assignment, *messages, **fields) -> AppendLogsRequest:
    entries = [{"message": message, **fields} for message in messages]
    return AppendLogsRequest(**fence(assignment), entries=entries)


def finish(stubs, run=None, **outcome) -> None:
    """Work the next run by hand."""
    [assignment] = claim(stubs)
    assert run is None or assignment.run.name == run.name
    complete(stubs, result_of(assignment, **outcome))


def all_of(rpc) -> Any:
    """An rpc that streams, as one that answers a list: it fails when it is read."""
    return lambda request, **options: list(rpc(request, **options))


def list_events(stubs, filter="", **fields) -> Any:
    return stubs.events.ListEvents(ListEventsRequest(filter=filter, **fields))


class Watch:
    """A stream of events."""

    def __init__(self, stubs, after=None, filter="", **fields) -> None:
        self.call = stubs.events.WatchEvents(WatchEventsRequest(after_sequence=after, filter=filter, **fields))
        self.start = next(self.call).sequence

    def take(self, until: int) -> list[Any]:
        """Return what comes up to a sequence."""
        taken: list[Any] = []
        while (not taken or taken[-1].sequence < until) and (response := next(self.call)):
            taken += response.events
        return taken

    def cancel(self) -> None:
        self.call.cancel()


class Hand:
    """A worker's stream, moved by hand."""

    def __init__(self, stubs, *handlers, room=10, worker_id="w", greet=True) -> None:
        self._requests: queue.Queue[WorkRequest | None] = queue.Queue()
        self.call = stubs.workers.Work(iter(self._requests.get, None))
        if greet:
            hello = {"worker_id": worker_id, "handlers": handlers or ["h"], "max_concurrent_runs": room}
            self.send(hello=hello)
            self.welcome = self.receive().welcome

    def send(self, **fields) -> None:
        self._requests.put(WorkRequest(**fields))

    def receive(self) -> WorkResponse:
        return next(self.call)

    def assigned(self, count=1) -> list[Assignment]:
        return self.until("assignments", count)

    def until(self, field, count=1) -> list[Any]:
        """Return the first `count` items that come in a field."""
        got: list[Any] = []
        while len(got) < count:
            got += getattr(self.receive(), field)
        assert len(got) == count
        return got

    def close(self) -> list[WorkResponse]:
        """End the stream and return what was still under way."""
        self._requests.put(None)
        return list(self.call)

    def break_off(self) -> None:
        self._requests.put(None)
        self.call.cancel()
