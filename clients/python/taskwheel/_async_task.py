"""One task, to act on, for asyncio."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Unpack

from taskwheel._requests import (
    OverlapPolicy,
    RunRequest,
    TaskFields,
    mint_request_id,
    task_message,
)
from taskwheel._transport import AsyncTransport, Transport
from taskwheel._values import to_timestamp
from taskwheel._views import SchedulePreview, Task, TaskRun
from taskwheel.v1 import task_service_pb2

if TYPE_CHECKING:
    from taskwheel._async_client import AsyncClient

# A backfill inserts up to 10,000 runs before it answers.
_BACKFILL_TIMEOUT = 60.0


class AsyncTaskHandle:
    """One task of a server. Made by AsyncClient.task; every method raises NotFound when there is no such task.

    Args:
        client: the connection.
        name: the id, full name or uid of the task.
    """

    def __init__(self, client: AsyncClient, name: str) -> None:
        self._client = client
        self.name = name

    @property
    def _transport(self) -> Transport | AsyncTransport:
        return self._client._transport  # noqa: SLF001  # one package

    async def _call(self, rpc: Any, request: Any) -> Task:
        return Task(await self._transport.call(rpc, request))

    async def run(
        self,
        payload: Mapping[str, Any] | None = None,
        *,
        priority: int | None = None,
        schedule_time: datetime | None = None,
        tags: Sequence[str] = (),
        labels: Mapping[str, str] | None = None,
        request_id: str = "",
    ) -> TaskRun:
        """Start a run, and answer it as it was admitted. The arguments are those of RunRequest.

        Runs with a payload that concurrent callers start share a call of the server, see `coalesce` of AsyncClient.

        Raises:
            UnsupportedValue: the payload is not JSON, or schedule_time has no zone.
            AlreadyExists: request_id was used with another task or payload.
        """
        request = RunRequest(
            task=self.name,
            payload=payload,
            priority=priority,
            schedule_time=schedule_time,
            tags=tags,
            labels=labels or {},
            request_id=request_id,
        )
        return await self._client._run(request.to_message())  # noqa: SLF001  # one package

    async def get(self) -> Task:
        """The task as it is now."""
        return await self._call(self._transport.tasks.GetTask, task_service_pb2.GetTaskRequest(name=self.name))

    async def update(self, *, etag: str = "", validate_only: bool = False, **fields: Unpack[TaskFields]) -> Task:
        """Set the fields that are given, and no others. Later runs have them; runs there already do not.

        Args:
            etag: of the task as the caller knows it.
            validate_only: check alone, and answer the task as it would be.
            fields: see TaskFields.

        Raises:
            Aborted: etag is not current any more.
        """
        task, mask = task_message(fields)
        task.name, task.etag = self.name, etag
        request = task_service_pb2.UpdateTaskRequest(task=task, update_mask=mask, validate_only=validate_only)
        return await self._call(self._transport.tasks.UpdateTask, request)

    async def pause(self, reason: str = "") -> Task:
        """Stop its schedules; its runs go on. `reason` is for people."""
        request = task_service_pb2.PauseTaskRequest(name=self.name, reason=reason)
        return await self._call(self._transport.tasks.PauseTask, request)

    async def resume(self) -> Task:
        """Start its schedules again, from now on."""
        return await self._call(self._transport.tasks.ResumeTask, task_service_pb2.ResumeTaskRequest(name=self.name))

    async def delete(self, *, etag: str = "", allow_missing: bool = False) -> None:
        """Delete it. Its PENDING runs are cancelled; the others are kept as long as any.

        Args:
            etag: of the task as the caller knows it.
            allow_missing: whether it is fine that there is no such task.

        Raises:
            Aborted: etag is not current any more.
        """
        request = task_service_pb2.DeleteTaskRequest(name=self.name, etag=etag, allow_missing=allow_missing)
        await self._transport.call(self._transport.tasks.DeleteTask, request)

    async def rename(self, new_task_id: str) -> Task:
        """Give it another id, by which this handle then knows it.

        Raises:
            AlreadyExists: there is a task of that id.
        """
        request = task_service_pb2.RenameTaskRequest(name=self.name, new_task_id=new_task_id)
        task = await self._call(self._transport.tasks.RenameTask, request)
        self.name = task.name
        return task

    async def preview(self, *, count: int = 0, after: datetime | None = None) -> SchedulePreview:
        """Its next slots, and what its schedules mean in English; 10 slots unless `count` is given."""
        request = task_service_pb2.PreviewScheduleRequest(
            task=self.name, count=count, after=None if after is None else to_timestamp(after)
        )
        return SchedulePreview(await self._transport.call(self._transport.tasks.PreviewSchedule, request))

    async def backfill(
        self,
        start_time: datetime,
        end_time: datetime,
        *,
        overlap_policy: OverlapPolicy | None = None,
        request_id: str = "",
    ) -> list[TaskRun]:
        """Start the runs of all slots from start_time until before end_time, as if they were due now.

        Args:
            start_time: the begin of the range.
            end_time: its end; a slot at this instant is not part of it.
            overlap_policy: what a slot does while an earlier run is not done; default the policy of the task.
            request_id: names the backfill: a slot has one run for each; one is made when none is given.

        Returns:
            The runs, with name, uid, state, state_reason, trigger and scheduled_time alone.

        Raises:
            InvalidArgument: the range has more than 10,000 slots.
            FailedPrecondition: the task has no schedules.
        """
        request = task_service_pb2.BackfillTaskRequest(
            name=self.name,
            start_time=to_timestamp(start_time),
            end_time=to_timestamp(end_time),
            overlap_policy=overlap_policy,
            request_id=request_id or mint_request_id(),
        )
        answer = await self._transport.call(self._transport.tasks.BackfillTask, request, _BACKFILL_TIMEOUT)
        return [TaskRun(run) for run in answer.task_runs]

    async def runs(
        self, *, filter: str = "", order_by: str = "", page_size: int = 0, full: bool = False
    ) -> AsyncGenerator[TaskRun, None]:
        """Its runs; the arguments are those of AsyncClient.list_runs."""
        own = f'task = "{self.name}"' + (f" AND ({filter})" if filter else "")
        async for run in self._client.list_runs(filter=own, order_by=order_by, page_size=page_size, full=full):
            yield run

    async def run_with_result(self, payload: Mapping[str, Any] | None = None, *, timeout: float | None = 60.0) -> Any:
        """Run it and answer what the handler returned; see AsyncClient.run_with_result."""
        return await self._client.run_with_result(self.name, payload, timeout=timeout)

    async def get_task_status(self, run: str) -> TaskRun | None:
        """The latest status of one of its runs; None when it has no such run, or it is too old."""
        return await self._client.get_task_status(run, task=self.name)
