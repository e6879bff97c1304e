"""The client of taskwheel: a task scheduler and run queue behind one gRPC API.

    client = taskwheel.Client("localhost:7420")
    client.create_task("send-report", handler="send-report", schedules=[taskwheel.cron("0 5 * * *")])
    run = client.task("send-report").run({"to": "ann@example.org"})

    worker = taskwheel.Worker("localhost:7420")
    @worker.handler("send-report")
    def send(run: taskwheel.Run): run.log.info("sent"); return {"sent": 3}
    worker.run()

Names are imported when they are first used, so that the import itself costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from taskwheel._async_client import AsyncClient
    from taskwheel._async_task import AsyncTaskHandle
    from taskwheel._client import Client, TaskHandle
    from taskwheel._errors import (
        Aborted,
        AlreadyExists,
        DeadlineExceeded,
        Error,
        FailedPrecondition,
        InvalidArgument,
        NotFound,
        OutOfRange,
        PermissionDenied,
        RequestTooLarge,
        ResourceExhausted,
        RpcError,
        RunCancelled,
        RunFailed,
        RunNotDone,
        Unauthenticated,
        Unavailable,
        Unimplemented,
        UnsupportedValue,
    )
    from taskwheel._requests import RunRequest, TaskFields
    from taskwheel._schedules import at, cron, every, misfire, retry
    from taskwheel._views import (
        Event,
        LogEntry,
        Pause,
        Principal,
        Progress,
        RunError,
        SchedulePreview,
        ServerInfo,
        Slot,
        Task,
        TaskFailed,
        TaskRun,
    )
    from taskwheel._worker.run import Run, RunLog
    from taskwheel._worker.worker import Worker

__all__ = [
    "Aborted",
    "AlreadyExists",
    "AsyncClient",
    "AsyncTaskHandle",
    "Client",
    "DeadlineExceeded",
    "Error",
    "Event",
    "FailedPrecondition",
    "InvalidArgument",
    "LogEntry",
    "NotFound",
    "OutOfRange",
    "Pause",
    "PermissionDenied",
    "Principal",
    "Progress",
    "RequestTooLarge",
    "ResourceExhausted",
    "RpcError",
    "Run",
    "RunCancelled",
    "RunError",
    "RunFailed",
    "RunLog",
    "RunNotDone",
    "RunRequest",
    "SchedulePreview",
    "ServerInfo",
    "Slot",
    "Task",
    "TaskFailed",
    "TaskFields",
    "TaskHandle",
    "TaskRun",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
    "UnsupportedValue",
    "Worker",
    "at",
    "cron",
    "every",
    "misfire",
    "retry",
]

_HOMES = (
    "_errors",
    "_views",
    "_schedules",
    "_requests",
    "_async_task",
    "_async_client",
    "_client",
    "_worker.run",
    "_worker.worker",
)


def __getattr__(name: str) -> Any:
    if name in __all__:
        for home in _HOMES:
            module = import_module(f"{__name__}.{home}")
            if name in vars(module):
                value = globals()[name] = vars(module)[name]
                return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
