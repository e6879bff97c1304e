"""The tasks of Extra Horizon's SDK: planned runs of functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from taskwheel._client import Client
from taskwheel._views import TaskRun
from taskwheel.compat.words import given, instant, uid, word

_STATUSES = {
    "PENDING": "new",
    "RUNNING": "inProgress",
    "CANCELLING": "inProgress",
    "SUCCEEDED": "complete",
    "FAILED": "failed",
    "CANCELLED": "canceled",
    "SKIPPED": "canceled",
    "RETRIED": "retried",
}


class ExtraHorizon:
    """Extra Horizon's SDK.

    Args:
        client: the connection.

    Attributes:
        tasks: the tasks.
    """

    def __init__(self, client: Client) -> None:
        self.tasks = Tasks(client)


class Tasks:
    """Plans functions, which are the tasks of the server, and finds what was planned."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def create(
        self,
        function_name: str,
        *,
        data: Mapping[str, Any] | None = None,
        priority: int | None = None,
        start_timestamp: datetime | None = None,
        tags: Sequence[str] = (),
    ) -> dict[str, Any]:
        """Plan a function.

        Args:
            function_name: the name of the task.
            data: its input.
            priority: higher ones take precedence.
            start_timestamp: when it starts; default now.
            tags: to find it by.
        """
        function = self._client.task(function_name)
        return _task(function.run(data, priority=priority, schedule_time=start_timestamp, tags=tags))

    def find(self, *, filter: str = "", order_by: str = "", limit: int = 50) -> list[dict[str, Any]]:
        """What was planned, the newest first; `filter` and `order_by` are those of Client.list_runs."""
        runs = self._client.list_runs(filter=filter, order_by=order_by, page_size=limit, full=True)
        return [_task(run) for run in islice(runs, limit)]

    def cancel(self, task_id: str) -> dict[str, Any]:
        """Revoke a task that is new. Raises FailedPrecondition for one in progress, which cannot be halted."""
        return _task(self._client.cancel(task_id, pending_only=True))


def _task(run: TaskRun) -> dict[str, Any]:
    return given(
        id=run.uid,
        functionName=run.task_id,
        status=word(_STATUSES, run.state),
        statusChangedTimestamp=instant(run.state_change_time),
        data=run.payload,
        tags=run.tags,
        startTimestamp=instant(run.schedule_time),
        priority=run.priority,
        createdByApplicationId=(run.creator and run.creator.application) or None,
        createdByUserId=(run.creator and run.creator.user) or None,
        creationTimestamp=instant(run.create_time),
        updateTimestamp=instant(run.update_time),
        retryForTaskIds=[uid(name) for name in run.retry_for_runs] or None,
        retriedByTaskId=uid(run.retried_by_run) or None,
        error=run.error and given(type=run.error.type, name=run.error.name, message=run.error.message),
    )
