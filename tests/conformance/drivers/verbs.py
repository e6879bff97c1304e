"""The verbs of the driver: each one call of the client's public API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from datetime import datetime
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.json_format import ParseDict

import taskwheel
from taskwheel.v1 import schedule_pb2, task_pb2
from tests.conformance.drivers.answers import error_of, json_of
from tests.conformance.drivers.handlers import Gates, built_in
from tests.conformance.drivers.streams import Stream


class Unsupported(Exception):
    """The client has no such thing, by design; the message says why."""


def _task_fields(task: dict[str, Any]) -> dict[str, Any]:
    message = ParseDict({name: value for name, value in task.items() if value is not None}, task_pb2.Task())
    fields: dict[str, Any] = {}
    for name, value in task.items():
        field = task_pb2.Task.DESCRIPTOR.fields_by_camelcase_name[name].name
        match field:
            case "worker":
                fields["handler"] = message.worker.handler
            case "schedules":
                fields[field] = list(message.schedules)
            case "retry_policy" | "misfire_policy":
                fields[field] = None if value is None else getattr(message, field)
            case "run_timeout" | "start_deadline":
                fields[field] = None if value is None else getattr(message, field).ToTimedelta()
            case _:
                fields[field] = value
    return fields


def _timed(args: dict[str, Any]) -> dict[str, Any]:
    return {name: datetime.fromisoformat(value) if name.endswith("_time") else value for name, value in args.items()}


async def _all(items: AsyncIterator[Any], limit: int | None) -> list[Any]:
    found: list[Any] = []
    async for item in items:
        found.append(item)
        if len(found) == limit:
            break
    return found


class Verbs:
    """The state of the driver: a client, streams, background steps and a worker."""

    def __init__(self) -> None:
        self._streams: dict[str, Stream] = {}
        self._background: dict[str, asyncio.Task[dict[str, Any]]] = {}
        self._workers: list[tuple[taskwheel.Worker, asyncio.Task[None]]] = []
        self._gates = Gates()

    def begin(self, name: str, answer: Coroutine[Any, Any, dict[str, Any]]) -> None:
        """Let a step go on beside the others."""
        self._background[name] = asyncio.create_task(answer)

    async def ended(self, of: str, timeout: float = 20) -> dict[str, Any]:
        """The answer of a step that began so."""
        try:
            return await asyncio.wait_for(asyncio.shield(self._background[of]), timeout)
        except TimeoutError:
            return {"error": {"unexpected": f"{of} has not ended"}}

    async def connect(
        self,
        target: str,
        timeout: float = 10.0,
        metadata: dict[str, str] | None = None,
        ca: str = "",
        server_name: str | None = None,
    ) -> None:
        self._target = target
        self._client = taskwheel.AsyncClient(
            target,
            timeout=timeout,
            metadata=list((metadata or {}).items()),
            credentials=grpc.ssl_channel_credentials(Path(ca).read_bytes()) if ca else None,  # noqa: ASYNC240  # a driver may block
            server_name=server_name,
        )

    async def create_task(self, task_id: str, task: dict[str, Any], **args: Any) -> Any:
        return await self._client.create_task(task_id, **args, **_task_fields(task))

    async def get_task(self, task: str) -> Any:
        return await self._client.task(task).get()

    async def list_tasks(self, limit: int | None = None, **args: Any) -> Any:
        return await _all(self._client.list_tasks(**args), limit)

    async def update_task(self, task: str, set: dict[str, Any], **args: Any) -> Any:  # the table's word
        return await self._client.task(task).update(**args, **_task_fields(set))

    async def rename_task(self, task: str, new_task_id: str) -> Any:
        return await self._client.task(task).rename(new_task_id)

    async def pause_task(self, task: str, reason: str = "") -> Any:
        return await self._client.task(task).pause(reason)

    async def resume_task(self, task: str) -> Any:
        return await self._client.task(task).resume()

    async def delete_task(self, task: str, **args: Any) -> Any:
        return await self._client.task(task).delete(**args)

    async def preview(self, task: str = "", schedule: dict[str, Any] | None = None, **args: Any) -> Any:
        if "after" in args:
            args["after"] = datetime.fromisoformat(args["after"])
        if schedule is None:
            return await self._client.task(task).preview(**args)
        return await self._client.preview(ParseDict(schedule, schedule_pb2.Schedule()), **args)

    async def backfill(self, task: str, **args: Any) -> Any:
        return await self._client.task(task).backfill(**_timed(args))

    async def run(self, task: str, **args: Any) -> Any:
        return await self._client.task(task).run(**_timed(args))

    async def run_many(self, runs: list[dict[str, Any]]) -> Any:
        return await self._client.run_many([taskwheel.RunRequest(**_timed(run)) for run in runs])

    async def run_together(self, runs: list[dict[str, Any]]) -> Any:
        answers = await asyncio.gather(*(self.run(**run) for run in runs), return_exceptions=True)
        return [
            {"error": error_of(answer)} if isinstance(answer, BaseException) else json_of(answer) for answer in answers
        ]

    async def run_with_result(self, task: str, payload: dict[str, Any] | None = None, **args: Any) -> Any:
        return await self._client.run_with_result(task, payload, **args)

    async def get_run(self, run: str, **args: Any) -> Any:
        return await self._client.get_run(run, **args)

    async def wait(self, run: str, **args: Any) -> Any:
        return await self._client.wait(run, **args)

    async def cancel(self, run: str, **args: Any) -> Any:
        return await self._client.cancel(run, **args)

    async def get_task_status(self, id: str, **args: Any) -> Any:  # the table's word
        return await self._client.get_task_status(id, **args)

    async def list_runs(self, limit: int | None = None, **args: Any) -> Any:
        return await _all(self._client.list_runs(**args), limit)

    async def list_events(self, limit: int | None = None, **args: Any) -> Any:
        return await _all(self._client.list_events(**args), limit)

    async def watch(self, stream: str, after: str | None = None, filter: str = "") -> None:
        events = await self._client.watch_events(filter=filter, after=None if after is None else int(after))
        self._streams[stream] = Stream(events)

    async def follow_logs(self, stream: str, run: str, after: str = "0", **args: Any) -> None:
        self._streams[stream] = Stream(self._client.follow_logs(run, after=int(after), **args))

    async def next(self, stream: str, count: int | None = None, timeout: float = 10) -> Any:
        return await self._streams[stream].take(count, timeout)

    async def close(self, stream: str) -> None:
        await self._streams.pop(stream).close()

    async def server_info(self) -> Any:
        return await self._client.server_info()

    async def start_worker(
        self,
        handlers: dict[str, str],
        max_concurrent_runs: int = 10,
        grace: float = 5,
        worker_id: str | None = None,
        target: str | None = None,
    ) -> None:
        worker = taskwheel.Worker(
            target or self._target, max_concurrent_runs=max_concurrent_runs, grace=grace, worker_id=worker_id
        )
        for name, kind in handlers.items():
            worker.handler(name)(built_in(kind, self._gates))
        self._workers.append((worker, asyncio.create_task(worker.serve())))

    async def stop_worker(self) -> None:
        worker, serving = self._workers.pop()
        worker.stop()
        await serving

    async def open_gate(self, name: str) -> None:
        self._gates.open(name)

    async def reset(self) -> None:
        self._gates.open_all()
        for step in self._background.values():
            step.cancel()
        for stream in self._streams.values():
            await stream.close()
        for worker, serving in self._workers:
            worker.stop()
            await asyncio.wait((serving,))
        self.__dict__ |= {"_streams": {}, "_background": {}, "_workers": [], "_gates": Gates()}
