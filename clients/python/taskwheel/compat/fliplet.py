"""The app tasks of Fliplet: screens that run by schedule or on demand."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any, TypedDict, Unpack

from taskwheel._client import Client
from taskwheel._schedules import cron
from taskwheel._views import Task, TaskRun
from taskwheel._worker.run import Run
from taskwheel._worker.worker import Worker
from taskwheel.compat.words import given, instant

_SCREEN = "page-"
_TYPES = {"app.task.completed": "SUCCEEDED", "app.task.failed": "FAILED"}
_LOGS = 50


class Changes(TypedDict, total=False):
    """What of an app task can be set. A `frequency` of None leaves it to be run on demand."""

    name: str
    page_id: int
    frequency: str | None
    active: bool


class Fliplet:
    """Fliplet's JS APIs.

    Args:
        client: the connection.

    Attributes:
        app: with `app.tasks`.
    """

    def __init__(self, client: Client) -> None:
        self.app = App(client)

    def page(self, worker: Worker, page_id: int) -> Page:
        """The screen of this id, whose code the worker runs."""
        return Page(worker, page_id)


class Page:
    """A screen: the handler `page-ID` of a worker."""

    def __init__(self, worker: Worker, page_id: int) -> None:
        self._worker = worker
        self._handler = f"{_SCREEN}{page_id}"

    def on_remote_execution(self, function: Callable[[dict[str, Any]], Any]) -> None:
        """Let a function, plain or async, work on the payload whenever a task runs the screen."""
        if inspect.iscoroutinefunction(function):

            async def handle(run: Run) -> Any:
                return await function(run.payload)

            self._worker.handler(self._handler)(handle)
        else:
            self._worker.handler(self._handler)(lambda run: function(run.payload))


class App:
    """An app."""

    def __init__(self, client: Client) -> None:
        self.tasks = AppTasks(client)


class AppTasks:
    """The tasks of an app."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def create(self, *, name: str, page_id: int, frequency: str | None = None, active: bool = True) -> dict[str, Any]:
        """Create a task.

        Args:
            name: numbers, letters, dashes and underscores.
            page_id: the screen to run.
            frequency: five fields of cron; None: on demand only.
            active: whether the schedule is followed.
        """
        fields = _fields({"page_id": page_id, "frequency": frequency, "active": active})
        return _task(self._client.create_task(name, **fields))

    def get(self) -> list[dict[str, Any]]:
        """All tasks, the newest first."""
        return [_task(task) for task in self._client.list_tasks()]

    def run(self, id_or_name: str, payload: Mapping[str, Any] | None = None) -> None:
        """Queue a task for processing."""
        self._client.task(id_or_name).run(payload)

    def run_with_result(self, id_or_name: str, payload: Mapping[str, Any] | None = None) -> Any:
        """Run a task and answer its result. Raises RunFailed."""
        return self._client.run_with_result(id_or_name, payload)

    def get_logs(self, *, id: str = "", limit: int = _LOGS, where: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The last results of all tasks or one.

        Args:
            id: the id or name of the task; default all.
            limit: how many at most.
            where: its `type` is app.task.completed or app.task.failed; default both.

        Returns:
            `logs`, the latest first, and `count`, how many they are.
        """
        kinds = [_TYPES[where["type"]]] if where and "type" in where else list(_TYPES.values())
        wanted = "(" + " OR ".join(f"state = {state}" for state in kinds) + ")"
        if id:
            wanted += f' AND task = "{id}"'
        runs = self._client.list_runs(filter=wanted, order_by="end_time desc", page_size=limit, full=True)
        logs = [_log(run) for run in islice(runs, limit)]
        return {"count": len(logs), "logs": logs}

    def update(self, id_or_name: str, **changes: Unpack[Changes]) -> dict[str, Any]:
        """Change any of name, page_id, frequency and active. A new name is given last."""
        task = self._client.task(id_or_name)
        fields = _fields(changes)
        answer = task.update(**fields) if fields else None
        if name := changes.get("name"):
            answer = task.rename(name)
        return _task(answer or task.get())

    def remove(self, id_or_name: str) -> None:
        """Delete a task."""
        self._client.task(id_or_name).delete()


def _fields(changes: Mapping[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if "page_id" in changes:
        fields["handler"] = f"{_SCREEN}{changes['page_id']}"
    if "frequency" in changes:
        fields["schedules"] = [cron(changes["frequency"])] if changes["frequency"] else []
    if "active" in changes:
        fields["paused"] = not changes["active"]
    return fields


def _task(task: Task) -> dict[str, Any]:
    screen = task.handler.removeprefix(_SCREEN)
    return {
        "id": task.uid,
        "name": task.task_id,
        "pageId": int(screen) if screen.isdecimal() else screen,
        "frequency": task.schedules[0].cron if task.schedules else None,
        "active": not task.paused,
        "lastRunAt": instant(task.last_run_time),
        "nextRunAt": instant(task.next_run_time),
    }


def _log(run: TaskRun) -> dict[str, Any]:
    return given(
        id=run.uid,
        taskId=run.task_uid,
        taskName=run.task_id,
        type=next((kind for kind, state in _TYPES.items() if state == run.state), run.state),
        payload=run.payload,
        result=run.result,
        error=run.error and given(name=run.error.name, message=run.error.message),
        createdAt=instant(run.create_time),
        completedAt=instant(run.end_time),
    )
