"""TaskService: tasks, and the runs that callers start of them."""

from __future__ import annotations

import asyncio

from taskwheel_server.db.listing import MAX_PAGE_BYTES
from taskwheel_server.db.task_reads import last_runs, list_tasks
from taskwheel_server.errors import Aborted
from taskwheel_server.model.names import TaskRef, check_task_id, parse_task
from taskwheel_server.model.run import Run
from taskwheel_server.model.task import Task as TaskRow
from taskwheel_server.rpc.backend import ANONYMOUS, Backend, namespace_of
from taskwheel_server.rpc.backfill import read_backfill, slot_message
from taskwheel_server.rpc.dry_run import would_admit, would_create, would_update
from taskwheel_server.rpc.endpoint import Context
from taskwheel_server.rpc.listing import read_query
from taskwheel_server.rpc.masks import EVERYTHING, masked
from taskwheel_server.rpc.messages import (
    BackfillTaskRequest,
    BackfillTaskResponse,
    BatchRunTasksRequest,
    BatchRunTasksResponse,
    CreateTaskRequest,
    DeleteTaskRequest,
    Empty,
    GetTaskRequest,
    ListTasksRequest,
    ListTasksResponse,
    PauseTaskRequest,
    PreviewScheduleRequest,
    PreviewScheduleResponse,
    RenameTaskRequest,
    ResumeTaskRequest,
    RunTaskRequest,
    Task,
    TaskRun,
    UpdateTaskRequest,
)
from taskwheel_server.rpc.new_run import digest, read_new_run, read_new_runs
from taskwheel_server.rpc.preview import preview_schedule, preview_task
from taskwheel_server.rpc.run_message import RunWriter
from taskwheel_server.rpc.task_message import task_fields, task_message
from taskwheel_server.rpc.wire import field
from taskwheel_server.wheel import commands
from taskwheel_server.wheel.admit import find_task
from taskwheel_server.wheel.edits import check_etag

# How often a change is made anew because another one came between its read and its write.
MAX_TRIES = 5


class TaskService:
    """The rpcs of taskwheel.v1.TaskService."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._wheel = backend.wheel

    async def CreateTask(self, request: CreateTaskRequest, context: Context) -> Task:
        task = self._new_task(request)
        if request.validate_only:
            task.uid = ""
            return task_message(await self._backend.read(would_create, task, self._backend.now()))
        created = await self._wheel.submit(commands.CreateTask(task))
        # A repeated request is answered with what it made the first time, which may have runs by now.
        return task_message(created) if created.uid == task.uid else await self._answer(created)

    def _new_task(self, request: CreateTaskRequest) -> TaskRow:
        namespace = namespace_of(request.parent)
        task_id = check_task_id(request.task_id, "task_id")
        fields = task_fields(request.task, now=self._backend.now())
        task = TaskRow(uid=self._wheel.minter.mint(), namespace=namespace, task_id=task_id, **fields)
        task.creator_application = ANONYMOUS
        task.pause_actor = ANONYMOUS if task.paused else ""
        if request.request_id:
            task.request_id = request.request_id
            task.request_digest = digest(task_id, sorted(fields.items()))
        return task

    async def GetTask(self, request: GetTaskRequest, context: Context) -> Task:
        return await self._answer(await self._backend.read(find_task, parse_task(request.name)))

    async def ListTasks(self, request: ListTasksRequest, context: Context) -> ListTasksResponse:
        page = await self._backend.list(list_tasks, read_query(request))
        last = await self._backend.read(last_runs, [task.uid for task in page.rows], self._backend.horizon)
        return ListTasksResponse(
            tasks=[task_message(task, last.get(task.uid)) for task in page.rows],
            next_page_token=page.next_page_token,
            total_size=page.total_size,
        )

    async def UpdateTask(self, request: UpdateTaskRequest, context: Context) -> Task:
        for attempt in range(MAX_TRIES):
            command = await self._update(request)
            if request.validate_only:
                return await self._answer(await self._backend.read(would_update, command, self._backend.now()))
            try:
                return await self._answer(await self._wheel.submit(command))
            except Aborted:
                # Paths into a message are merged here, so the row must still be what they were merged with.
                if request.task.etag or attempt == MAX_TRIES - 1:
                    raise
        raise AssertionError

    async def _update(self, request: UpdateTaskRequest) -> commands.UpdateTask:
        task = await self._backend.read(find_task, parse_task(request.task.name, "task.name"))
        check_etag(task, request.task.etag)
        wanted = masked(task_message(task), request.task, request.update_mask.paths)
        fields = task_fields(wanted, now=self._backend.now(), known=task.schedules)
        changes = {name: value for name, value in fields.items() if value != getattr(task, name)}
        named = {path.partition(".")[0] for path in request.update_mask.paths}
        named = named or {field.name for field, _ in request.task.ListFields()}
        if EVERYTHING not in named:
            # What another version wrote is not shown, and must not be lost because of that.
            for name in {"schedules", "retry_policy"} - named:
                changes.pop(name, None)
        ref = TaskRef(task.namespace, uid=task.uid)
        return commands.UpdateTask(ref, changes, etag=task.etag, actor=ANONYMOUS)

    async def DeleteTask(self, request: DeleteTaskRequest, context: Context) -> Empty:
        ref = parse_task(request.name)
        await self._wheel.submit(commands.DeleteTask(ref, request.etag, request.allow_missing))
        return Empty()

    async def RenameTask(self, request: RenameTaskRequest, context: Context) -> Task:
        task_id = check_task_id(request.new_task_id, "new_task_id")
        return await self._answer(await self._wheel.submit(commands.RenameTask(parse_task(request.name), task_id)))

    async def PauseTask(self, request: PauseTaskRequest, context: Context) -> Task:
        command = commands.PauseTask(parse_task(request.name), request.reason, ANONYMOUS)
        return await self._answer(await self._wheel.submit(command))

    async def ResumeTask(self, request: ResumeTaskRequest, context: Context) -> Task:
        return await self._answer(await self._wheel.submit(commands.ResumeTask(parse_task(request.name))))

    async def _answer(self, task: TaskRow) -> Task:
        last = await self._backend.read(last_runs, [task.uid], self._backend.horizon)
        return task_message(task, last.get(task.uid))

    async def RunTask(self, request: RunTaskRequest, context: Context) -> TaskRun:
        message = self._backend.attendance.run_message
        if request.validate_only:
            run = await self._backend.read(would_admit, read_new_run(request, ""), self._backend.now())
            return message(run) if run.uid else _unnamed(message(run))
        new = read_new_run(request, self._wheel.minter.mint())
        [run] = await self._wheel.submit(commands.AdmitRuns([new]))
        return message(run)

    async def BatchRunTasks(self, request: BatchRunTasksRequest, context: Context) -> bytes:
        new = read_new_runs(request, namespace_of(request.parent), self._wheel.minter)
        runs = await self._wheel.submit(commands.AdmitRuns(new))
        response = self._batch(runs)
        if len(response) > MAX_PAGE_BYTES:
            for run in runs:
                run.tags = run.labels = ""
            response = self._batch(runs)
        return response

    def _batch(self, runs: list[Run]) -> bytes:
        """Return a serialized BatchRunTasksResponse, the runs without their payload."""
        writer = RunWriter(self._backend.attendance.run_message)
        return b"".join(field(BatchRunTasksResponse.TASK_RUNS_FIELD_NUMBER, writer.write(run)) for run in runs)

    async def PreviewSchedule(self, request: PreviewScheduleRequest, context: Context) -> PreviewScheduleResponse:
        if request.HasField("task"):
            task = await self._backend.read(find_task, parse_task(request.task, "task"))
            return await asyncio.to_thread(preview_task, request, task, self._backend.now())
        return await asyncio.to_thread(preview_schedule, request, self._backend.now())

    async def BackfillTask(self, request: BackfillTaskRequest, context: Context) -> BackfillTaskResponse:
        task = await self._backend.read(find_task, parse_task(request.name))
        response = BackfillTaskResponse()
        for part in await asyncio.to_thread(read_backfill, request, task, self._wheel.minter):
            response.task_runs.extend(map(slot_message, await self._wheel.submit(part)))
        return response


def _unnamed(message: TaskRun) -> TaskRun:
    """Return a run that is not admitted: its name and those that derive from it are unset."""
    for name in ("name", "root_run"):
        message.ClearField(name)
    return message
