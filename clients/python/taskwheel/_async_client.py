"""The client for asyncio. It holds the logic; `Client` runs the same coroutines without an event loop."""

from __future__ import annotations

import functools
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from datetime import datetime
from typing import Any, Literal, Self, Unpack

import grpc

from taskwheel import _follow
from taskwheel._async_task import AsyncTaskHandle
from taskwheel._coalesce import RunCoalescer
from taskwheel._errors import NotFound, RunFailed
from taskwheel._requests import RunRequest, TaskFields, batches, mint_request_id, run_name, task_message
from taskwheel._transport import DEFAULT_TIMEOUT, AsyncTransport, Metadata, Transport
from taskwheel._values import from_timestamp, to_timestamp
from taskwheel._views import Event, LogEntry, SchedulePreview, ServerInfo, Task, TaskRun
from taskwheel.v1 import (
    admin_service_pb2,
    event_service_pb2,
    schedule_pb2,
    task_run_service_pb2,
    task_service_pb2,
)

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


class AsyncClient:
    """A connection to a taskwheel server, for asyncio.

    Calls the transport could not deliver are repeated, up to 4 times within a second; all are safe to repeat. Every
    method raises an RpcError of the class that fits, see taskwheel.RpcError.

    Args:
        address: host and port; default the environment variable TASKWHEEL_ADDRESS, else localhost:7420.
        credentials: of the channel, such as grpc.ssl_channel_credentials(); default none, without TLS.
        server_name: the name in the server's certificate; default the host of the address.
        metadata: sent with each call, such as [("authorization", "Bearer …")], or a function that is asked each time.
        timeout: seconds until a call without a timeout of its own is DeadlineExceeded.
        coalesce: whether runs that are started with a payload while others are on their way go together, in one
            BatchRunTasks, as soon as those are answered. Each call keeps its own answer, error and deadline, and one
            that finds nothing on its way goes at once.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        credentials: grpc.ChannelCredentials | None = None,
        server_name: str | None = None,
        metadata: Metadata = (),
        timeout: float = DEFAULT_TIMEOUT,
        coalesce: bool = True,
    ) -> None:
        self._options = {
            "credentials": credentials,
            "server_name": server_name,
            "metadata": metadata,
            "timeout": timeout,
        }
        self._address = address
        self._coalesce = coalesce

    @functools.cached_property
    def _transport(self) -> Transport | AsyncTransport:
        return AsyncTransport(self._address, **self._options)

    @functools.cached_property
    def _coalescer(self) -> RunCoalescer:
        return RunCoalescer(self._transport)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End the connection."""
        await self._transport.close()

    def task(self, name: str) -> AsyncTaskHandle:
        """The task of this id, full name or uid, to act on. Nothing is sent yet."""
        return AsyncTaskHandle(self, name)

    async def create_task(
        self,
        task_id: str,
        *,
        request_id: str = "",
        validate_only: bool = False,
        **fields: Unpack[TaskFields],
    ) -> Task:
        """Create a task.

        Args:
            task_id: 1 to 128 letters, digits, `_` or `-`.
            request_id: makes the call safe to repeat; one is made when none is given.
            validate_only: check alone, and answer the task as it would be.
            fields: see TaskFields; handler is required.

        Raises:
            AlreadyExists: there is a task of this id.
        """
        task, _ = task_message(fields)
        request = task_service_pb2.CreateTaskRequest(
            task_id=task_id, task=task, request_id=request_id or mint_request_id(), validate_only=validate_only
        )
        return Task(await self._transport.call(self._transport.tasks.CreateTask, request))

    async def list_tasks(
        self, *, filter: str = "", order_by: str = "", page_size: int = 0
    ) -> AsyncGenerator[Task, None]:
        """All tasks that match an AIP-160 filter, page by page as they are asked for; default newest first."""
        request = task_service_pb2.ListTasksRequest(filter=filter, order_by=order_by, page_size=page_size)
        async for page in _follow.pages(self._transport, self._transport.tasks.ListTasks, request):
            for task in page.tasks:
                yield Task(task)

    async def list_runs(
        self, *, filter: str = "", order_by: str = "", page_size: int = 0, full: bool = False
    ) -> AsyncGenerator[TaskRun, None]:
        """All runs that match an AIP-160 filter, page by page as they are asked for; default newest first.

        Args:
            filter: such as `task = nightly AND state = FAILED`.
            order_by: such as `end_time desc`.
            page_size: how many are asked for at a time, up to 1,000; 0 means 50.
            full: whether they carry payload, result and stack.
        """
        request = task_run_service_pb2.ListTaskRunsRequest(
            filter=filter, order_by=order_by, page_size=page_size, view="FULL" if full else "BASIC"
        )
        async for page in _follow.pages(self._transport, self._transport.runs.ListTaskRuns, request):
            for run in page.task_runs:
                yield TaskRun(run)

    async def list_events(
        self, *, filter: str = "", order_by: str = "", page_size: int = 0
    ) -> AsyncGenerator[Event, None]:
        """All events that are kept and match an AIP-160 filter, page by page; default newest first."""
        request = event_service_pb2.ListEventsRequest(filter=filter, order_by=order_by, page_size=page_size)
        async for page in _follow.pages(self._transport, self._transport.events.ListEvents, request):
            for event in page.events:
                yield Event(event)

    async def run_many(self, requests: Iterable[RunRequest], *, timeout: float = 30.0) -> list[TaskRun]:
        """Start several runs, of one task or several, and answer them in the same order, without payload.

        Up to 1,000 runs and 3 MiB go into one transaction; more are split, and then earlier ones stand when a later
        one is at fault.

        Args:
            requests: the runs.
            timeout: seconds for each transaction.
        """
        runs: list[TaskRun] = []
        for batch in batches(map(RunRequest.to_message, requests), task_service_pb2.RunTaskRequest.ByteSize):
            request = task_service_pb2.BatchRunTasksRequest(requests=batch)
            answer = await self._transport.call(self._transport.tasks.BatchRunTasks, request, timeout)
            runs.extend(map(TaskRun, answer.task_runs))
        return runs

    async def _run(self, request: task_service_pb2.RunTaskRequest) -> TaskRun:
        if self._coalesce and request.HasField("payload"):
            return TaskRun(await self._coalescer.run(request))
        return TaskRun(await self._transport.call(self._transport.tasks.RunTask, request))

    async def run_with_result(
        self, task: str, payload: Mapping[str, Any] | None = None, *, timeout: float | None = 60.0
    ) -> Any:
        """Run a task, wait for its last attempt, and answer what the handler returned.

        Args:
            task: the name of the task.
            payload: what the handler is given; default the payload of the task.
            timeout: seconds to wait; None: as long as it takes.

        Raises:
            RunFailed: it ended otherwise than SUCCEEDED.
            RunNotDone: the time has passed; the run goes on.
        """
        run = await self.task(task).run(payload)
        done = await self.wait(run, timeout=timeout, follow_retries=True)
        if done.state != "SUCCEEDED":
            raise RunFailed(done)
        return done.result

    async def get_run(self, run: TaskRun | str, *, task: str = "", follow_retries: bool = False) -> TaskRun:
        """A run as it is now.

        Args:
            run: the run, its uid or its name.
            task: the name of the task it must belong to; default any.
            follow_retries: answer the last attempt instead.

        Raises:
            NotFound: there is none, or it is no longer kept.
        """
        request = task_run_service_pb2.GetTaskRunRequest(name=run_name(run), task=task, follow_retries=follow_retries)
        return TaskRun(await self._transport.call(self._transport.runs.GetTaskRun, request))

    async def wait(self, run: TaskRun | str, *, timeout: float | None = None, follow_retries: bool = False) -> TaskRun:
        """A run once it is done, however it ended; a restart of the server meanwhile is waited out.

        Args:
            run: the run, its uid or its name.
            timeout: seconds to wait; None: as long as it takes.
            follow_retries: wait for the last attempt; otherwise a RETRIED run is done.

        Raises:
            RunNotDone: the time has passed; the run goes on.
        """
        request = task_run_service_pb2.WaitTaskRunRequest(name=run_name(run), follow_retries=follow_retries)
        return await _follow.wait(self._transport, request, timeout)

    async def cancel(self, run: TaskRun | str, *, reason: str = "", pending_only: bool = False) -> TaskRun:
        """Cancel a run: for certain if it is PENDING, else by asking its worker.

        Args:
            run: the run, its uid or its name.
            reason: why, for people.
            pending_only: only if it has not started.

        Raises:
            FailedPrecondition: it has ended otherwise, or it has started and pending_only is set.
        """
        request = task_run_service_pb2.CancelTaskRunRequest(
            name=run_name(run), reason=reason, pending_only=pending_only
        )
        return TaskRun(await self._transport.call(self._transport.runs.CancelTaskRun, request))

    async def get_task_status(self, id: str, *, task: str = "") -> TaskRun | None:
        """The latest status of what was triggered, its retries followed; None when it is unknown or too old.

        Args:
            id: the uid of a run; or the uid or name of a task, for its latest run.
            task: the name of the task the run must belong to; default any.

        Returns:
            The run, if it was triggered within the time that runs are kept, 7 days.
        """
        try:
            run = await self._run_of(id, task)
        except NotFound:
            return None
        if run is None:
            return None
        info = await self.server_info()
        server_time = from_timestamp(info.raw.server_time)
        return run if server_time - from_timestamp(run.raw.create_time) < info.retention else None

    async def _run_of(self, id: str, task: str) -> TaskRun | None:
        if task or "runs/" in id:
            return await self.get_run(id, task=task, follow_retries=True)
        if _UUID.fullmatch(id):
            try:
                return await self.get_run(id, follow_retries=True)
            except NotFound as missing:
                if missing.reason == "RUN_EXPIRED":
                    raise
        latest = (await self.task(id).get()).last_run
        return await self.get_run(latest, follow_retries=True) if latest else None

    async def watch_events(self, *, filter: str = "", after: int | None = None) -> AsyncGenerator[Event, None]:
        """Events as they happen, in order and each once; a broken connection is taken up again where it broke.

        The call answers once the watch stands, so that nothing done after it is missed:
        `async for event in await client.watch_events(): …`

        Args:
            filter: an AIP-160 filter, such as `type = run_failed`.
            after: the sequence after which to begin; default from now on, 0: with the oldest event that is kept.

        Raises:
            OutOfRange: events after `after` are no longer kept, or it lies ahead.
        """
        request = event_service_pb2.WatchEventsRequest(filter=filter, after_sequence=after)
        responses = _follow.event_batches(self._transport, request)
        first = await anext(responses)
        return _events(first, responses)

    async def follow_logs(
        self,
        run: TaskRun | str,
        *,
        after: int = 0,
        follow: bool = True,
        follow_retries: bool = False,
        min_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "DEBUG",
    ) -> AsyncGenerator[LogEntry, None]:
        """What a run wrote and, until it is done, what it writes; a broken connection is taken up where it broke.

        Args:
            run: the run, its uid or its name.
            after: the sequence after which to begin.
            follow: whether to go on until the run is done.
            follow_retries: whether to go on with the later attempts.
            min_level: the least level of entries.
        """
        request = task_run_service_pb2.StreamTaskRunLogsRequest(
            name=run_name(run),
            after_sequence=after,
            follow=follow,
            follow_retries=follow_retries,
            min_level=min_level,
        )
        async for response in _follow.log_batches(self._transport, request):
            for entry in response.entries:
                yield LogEntry(entry)

    async def preview(
        self, schedule: schedule_pb2.Schedule, *, count: int = 0, after: datetime | None = None
    ) -> SchedulePreview:
        """The next slots of a schedule that is not stored, and what it means in English; 10 unless `count` is given."""
        request = task_service_pb2.PreviewScheduleRequest(
            schedule=schedule, count=count, after=None if after is None else to_timestamp(after)
        )
        return SchedulePreview(await self._transport.call(self._transport.tasks.PreviewSchedule, request))

    async def server_info(self) -> ServerInfo:
        """What the server is and what it allows."""
        request = admin_service_pb2.GetServerInfoRequest()
        return ServerInfo(await self._transport.call(self._transport.admin.GetServerInfo, request))


async def _events(first: Any, responses: AsyncIterator[Any]) -> AsyncGenerator[Event, None]:
    for event in first.events:
        yield Event(event)
    async for response in responses:
        for event in response.events:
            yield Event(event)
