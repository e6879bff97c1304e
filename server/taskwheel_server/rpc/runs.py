"""TaskRunService: runs, read, awaited and cancelled."""

from __future__ import annotations

from collections.abc import AsyncIterator

from taskwheel_server.db.run_reads import list_runs
from taskwheel_server.feed import Feed
from taskwheel_server.model.names import parse_run, parse_task
from taskwheel_server.rpc.backend import Backend
from taskwheel_server.rpc.endpoint import Context
from taskwheel_server.rpc.listing import read_query
from taskwheel_server.rpc.logs import stream_task_run_logs
from taskwheel_server.rpc.lookup import find_run
from taskwheel_server.rpc.messages import (
    CancelTaskRunRequest,
    GetTaskRunRequest,
    ListTaskRunsRequest,
    ListTaskRunsResponse,
    StreamTaskRunLogsRequest,
    StreamTaskRunLogsResponse,
    TaskRun,
    WaitTaskRunRequest,
)
from taskwheel_server.rpc.run_message import run_message
from taskwheel_server.rpc.wait import wait_task_run
from taskwheel_server.wheel.commands import CancelRun


class TaskRunService:
    """The rpcs of taskwheel.v1.TaskRunService."""

    def __init__(self, backend: Backend, feed: Feed) -> None:
        self._backend = backend
        self._feed = feed

    async def GetTaskRun(self, request: GetTaskRunRequest, context: Context) -> TaskRun:
        ref = parse_run(request.name)
        guard = parse_task(request.task, "task") if request.task else None
        run = await self._backend.read(
            find_run, ref, self._backend.horizon, guard=guard, follow_retries=request.follow_retries
        )
        return self._backend.attendance.run_message(run)

    async def ListTaskRuns(self, request: ListTaskRunsRequest, context: Context) -> ListTaskRunsResponse:
        full = request.view == ListTaskRunsRequest.FULL
        page = await self._backend.list(list_runs, read_query(request), self._backend.horizon, full=full)
        message = self._backend.attendance.run_message
        return ListTaskRunsResponse(
            task_runs=[message(run, full=full) for run in page.rows],
            next_page_token=page.next_page_token,
            total_size=page.total_size,
        )

    async def CancelTaskRun(self, request: CancelTaskRunRequest, context: Context) -> TaskRun:
        command = CancelRun(parse_run(request.name), request.reason, request.pending_only)
        return run_message(await self._backend.wheel.submit(command))

    async def WaitTaskRun(self, request: WaitTaskRunRequest, context: Context) -> TaskRun:
        return await wait_task_run(self._backend, self._feed, request)

    async def StreamTaskRunLogs(
        self, request: StreamTaskRunLogsRequest, context: Context
    ) -> AsyncIterator[StreamTaskRunLogsResponse]:
        async for response in stream_task_run_logs(self._backend, self._feed, request):
            yield response
