"""The rpcs as raw stubs: no retry, no default deadline, nothing between the history and the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import grpc
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from taskwheel.v1 import (
    admin_service_pb2_grpc,
    event_service_pb2_grpc,
    task_run_service_pb2_grpc,
    task_service_pb2_grpc,
    worker_service_pb2_grpc,
)
from taskwheel.v1.event_service_pb2 import ListEventsRequest
from taskwheel.v1.task_pb2 import Task
from taskwheel.v1.task_run_pb2 import TaskRun
from taskwheel.v1.task_run_service_pb2 import ListTaskRunsRequest, StreamTaskRunLogsRequest
from taskwheel.v1.task_service_pb2 import CreateTaskRequest, ListTasksRequest
from tests.faults.history import Event, Final, Policy, Run, by_name

PAGE = 1000


class Api:
    """The services on one channel."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.tasks = task_service_pb2_grpc.TaskServiceStub(channel)
        self.runs = task_run_service_pb2_grpc.TaskRunServiceStub(channel)
        self.events = event_service_pb2_grpc.EventServiceStub(channel)
        self.workers = worker_service_pb2_grpc.WorkerServiceStub(channel)
        self.admin = admin_service_pb2_grpc.AdminServiceStub(channel)


def task_of(handler: str, policy: Policy) -> Task:
    """Return a task that does what its policy promises, at once."""
    task = Task()
    task.worker.handler = handler
    task.retry_policy.max_attempts = policy.max_attempts
    task.retry_policy.fixed_delays.delays.add()
    task.retry_policy.retry_on_lost = policy.retry_on_lost
    task.max_concurrent_runs = policy.max_concurrent_runs
    if policy.interval:
        task.schedules.add().interval.FromMilliseconds(int(policy.interval * 1000))
    return task


async def create_tasks(api: Api, handlers: Mapping[str, str], policies: Mapping[str, Policy]) -> None:
    """Create a task for each policy; `handlers` maps its id to its handler."""
    for task_id, policy in policies.items():
        request = CreateTaskRequest(task_id=task_id, task=task_of(handlers[task_id], policy))
        await api.tasks.CreateTask(request, wait_for_ready=True)


async def final_state(api: Api) -> Final:
    """Read everything, page by page."""
    runs = [_run(run) async for run in all_runs(api)]
    events = [
        Event(sequence=event.sequence, type=event.type, run=event.run)
        async for page in pages(api.events.ListEvents, ListEventsRequest(page_size=PAGE, order_by="sequence"))
        for event in page.events
    ]
    tasks = {
        task.name.rpartition("/")[2]: task.uid
        async for page in pages(api.tasks.ListTasks, ListTasksRequest(page_size=PAGE))
        for task in page.tasks
    }
    return Final(runs=by_name(runs), events=events, tasks=tasks)


async def all_runs(api: Api, filter: str = "") -> AsyncIterator[TaskRun]:
    """Yield the stored runs, whole."""
    request = ListTaskRunsRequest(page_size=PAGE, view=ListTaskRunsRequest.FULL, filter=filter)
    async for page in pages(api.runs.ListTaskRuns, request):
        for run in page.task_runs:
            yield run


async def log_of(api: Api, run: str) -> list[str]:
    """Return the lines a run wrote."""
    stream = api.runs.StreamTaskRunLogs(StreamTaskRunLogsRequest(name=run))
    return [entry.message async for response in stream for entry in response.entries]


async def pages(list_: Any, request: Any) -> AsyncIterator[Any]:
    while True:
        page = await list_(request, timeout=60)
        yield page
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token


def _run(run: TaskRun) -> Run:
    payload = MessageToDict(run.payload)
    if run.HasField("result"):
        mark = MessageToDict(run.result)["lease"]
    else:
        mark = run.error.message if run.error.type == "Planned" else ""
    return Run(
        name=run.name,
        task_id=run.task_id,
        state=TaskRun.State.Name(run.state),
        trigger=TaskRun.Trigger.Name(run.trigger),
        attempt=run.attempt,
        request_id=run.request_id,
        n=int(payload.get("n", 0)),
        mark=mark,
        error_name=run.error.name,
        state_reason=run.state_reason,
        retried_by_run=run.retried_by_run,
        retry_for_runs=tuple(run.retry_for_runs),
        root_run=run.root_run,
        scheduled_time=_seconds(run, "scheduled_time"),
        start_time=_seconds(run, "start_time"),
        end_time=_seconds(run, "end_time"),
        done=run.done,
    )


def _seconds(run: TaskRun, name: str) -> float:
    return getattr(run, name).ToMicroseconds() / 1e6 if run.HasField(name) else 0.0


def reason_of(error: grpc.aio.AioRpcError) -> tuple[str, dict[str, str]]:
    """Return the reason and the metadata of an error's ErrorInfo; empty for errors that no server of ours made."""
    info = ErrorInfo()
    return (info.reason, dict(info.metadata)) if _unpack(error, info) else ("", {})


def retry_delay_of(error: grpc.aio.AioRpcError) -> float | None:
    """Return after how many seconds an error has the caller try again; None if it does not say."""
    info = RetryInfo()
    return info.retry_delay.ToTimedelta().total_seconds() if _unpack(error, info) else None


def _unpack(error: grpc.aio.AioRpcError, detail: Message) -> bool:
    trailer = dict(error.trailing_metadata() or ())
    status = Status.FromString(bytes(trailer.get("grpc-status-details-bin", b"")))
    return any(each.Unpack(detail) for each in status.details)
