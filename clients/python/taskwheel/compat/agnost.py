"""The scheduled tasks of Agnost's client and server libraries, and of Altogic's client library."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from taskwheel._client import Client
from taskwheel._errors import InvalidArgument, RpcError
from taskwheel._views import TaskRun
from taskwheel.compat.words import given, instant, uid, word

_STATUSES = {
    "PENDING": "pending",
    "RUNNING": "processing",
    "CANCELLING": "processing",
    "SUCCEEDED": "completed",
    "FAILED": "failed",
    "CANCELLED": "canceled",
    "SKIPPED": "skipped",
}


class Agnost:
    """Agnost's libraries, or Altogic's.

    Args:
        client: the connection.

    Attributes:
        task: `task.run_once(…)` and `task.get_task_status(…)` of the client libraries; called with the name of a task,
            `task(name).run()` and `task(name).get_task_status(…)` of the server library.
    """

    def __init__(self, client: Client) -> None:
        self.task = TaskManager(client)


class TaskManager:
    """Runs scheduled tasks ahead of their schedule, and tells how they fared."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def __call__(self, name: str) -> ScheduledTask:
        """The task of this name, as the server library has it."""
        return ScheduledTask(self._client, name)

    def run_once(self, task_name_or_id: str) -> dict[str, Any]:
        """Run a task now. `info` is None when there are `errors`, and the other way round; nothing is raised."""
        try:
            return {"info": _info(self._client.task(task_name_or_id).run()), "errors": None}
        except RpcError as error:
            return {"info": None, "errors": _errors(error)}

    def get_task_status(self, task_id: str) -> dict[str, Any]:
        """The latest status of what was run, by its task_id or, for the latest run, by that of its scheduled task.

        `info` is None, without errors, for what was triggered more than seven days ago or never.
        """
        try:
            run = self._client.get_task_status(task_id)
        except RpcError as error:
            return {"info": None, "errors": _errors(error)}
        return {"info": _info(run) if run else None, "errors": None}


class ScheduledTask:
    """One task, as the server library has it."""

    def __init__(self, client: Client, name: str) -> None:
        self._task = client.task(name)

    def run(self) -> dict[str, Any]:
        """Run it now."""
        return _tracking(self._task.run())

    def get_task_status(self, tracking_id: str) -> dict[str, Any] | None:
        """The latest status of one of its runs; None for one of more than seven days ago, or of another task."""
        run = self._task.get_task_status(tracking_id)
        return _tracking(run) if run else None


def _info(run: TaskRun) -> dict[str, Any]:
    return given(taskId=_first(run), scheduledTaskId=run.task_uid, scheduledTaskName=run.task_id, **_course(run))


def _tracking(run: TaskRun) -> dict[str, Any]:
    return given(trackingId=_first(run), cronJobId=run.task_uid, cronJobName=run.task_id, **_course(run))


def _course(run: TaskRun) -> dict[str, Any]:
    return {
        "triggeredAt": instant(_triggered(run)),
        "status": word(_STATUSES, run.state),
        "startedAt": instant(run.start_time),
        "completedAt": instant(run.end_time),
    }


def _first(run: TaskRun) -> str:
    """The id by which the caller knows the run: that of the first attempt, also of a later one."""
    return uid(run.root_run or run.name)


def _triggered(run: TaskRun) -> datetime | None:
    """When the first attempt was made. Of a later one its uid tells, which begins with the milliseconds since 1970."""
    if run.attempt == 1:
        return run.create_time
    return datetime.fromtimestamp((UUID(_first(run)).int >> 80) / 1000, UTC)


def _errors(error: RpcError) -> list[dict[str, str]]:
    code = error.reason or error.code.name
    if isinstance(error, InvalidArgument) and error.fields:
        return [{"code": code, "field": field, "message": message} for field, message in error.fields.items()]
    return [{"code": code, "message": error.message}]
