"""The scheduled tasks of Agnost's client and server libraries, and of Altogic's client library."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from taskwheel._client import Client
from taskwheel._errors import InvalidArgument, NotFound, RpcError
from taskwheel._views import TaskRun
from taskwheel.compat.words import given, instant, word

_Told = dict[str, Any]

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
            run = self._client.task(task_name_or_id).run()
        except RpcError as error:
            return {"info": None, "errors": _errors(error)}
        return {"info": _info(run, run), "errors": None}

    def get_task_status(self, task_id: str) -> dict[str, Any]:
        """The latest status of what was run, by its task_id or, for the latest run, by that of its scheduled task.

        `info` is None, without errors, for what was triggered more than seven days ago or never.
        """
        try:
            info = _latest(self._client, self._client.get_task_status(task_id), _info)
        except RpcError as error:
            return {"info": None, "errors": _errors(error)}
        return {"info": info, "errors": None}


class ScheduledTask:
    """One task, as the server library has it."""

    def __init__(self, client: Client, name: str) -> None:
        self._client = client
        self._task = client.task(name)

    def run(self) -> dict[str, Any]:
        """Run it now."""
        run = self._task.run()
        return _tracking(run, run)

    def get_task_status(self, tracking_id: str) -> dict[str, Any] | None:
        """The latest status of one of its runs; None for one of more than seven days ago, or of another task."""
        return _latest(self._client, self._task.get_task_status(tracking_id), _tracking)


def _latest(client: Client, run: TaskRun | None, tell: Callable[[TaskRun, TaskRun], _Told]) -> _Told | None:
    """What there is to tell of the last attempt; the caller knows the first. None if that is no longer kept."""
    if run is None:
        return None
    try:
        return tell(run, run if run.attempt == 1 else client.get_run(run.root_run))
    except NotFound:
        return None


def _info(last: TaskRun, first: TaskRun) -> _Told:
    return given(
        taskId=first.uid, scheduledTaskId=last.task_uid, scheduledTaskName=last.task_id, **_course(last, first)
    )


def _tracking(last: TaskRun, first: TaskRun) -> _Told:
    return given(trackingId=first.uid, cronJobId=last.task_uid, cronJobName=last.task_id, **_course(last, first))


def _course(last: TaskRun, first: TaskRun) -> _Told:
    return {
        "triggeredAt": instant(first.create_time),
        "status": word(_STATUSES, last.state),
        "startedAt": instant(last.start_time),
        "completedAt": instant(last.end_time),
    }


def _errors(error: RpcError) -> list[dict[str, str]]:
    code = error.reason or error.code.name
    if isinstance(error, InvalidArgument) and error.fields:
        return [{"code": code, "field": field, "message": message} for field, message in error.fields.items()]
    return [{"code": code, "message": error.message}]
