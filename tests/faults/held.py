"""Runs that their workers hold until they are told to end them."""

from __future__ import annotations

from collections.abc import Sequence

from taskwheel.v1.task_service_pb2 import BatchRunTasksRequest
from tests.faults.api import Api
from tests.faults.history import Begun, Call, History, read
from tests.faults.processes import now


async def start_held_runs(api: Api, history: History, tasks: Sequence[str]) -> list[str]:
    """Start a run of each task, all of which hold, and return their names."""
    batch = BatchRunTasksRequest()
    asked = []
    for n, task in enumerate(tasks, 1):
        request = batch.requests.add(name=task, request_id=f"{task}-{n}")
        request.payload.update({"n": n, "do": "hold"})
        asked.append({"task": task, "request_id": request.request_id, "n": n})
    began = now()
    names = [run.name for run in (await api.tasks.BatchRunTasks(batch)).task_runs]
    call = Call(
        method="BatchRunTasks",
        request={"runs": asked},
        status="OK",
        began=began,
        ended=now(),
        answer={"runs": names},
    )
    history.add(call)
    return names


def begun(history: History) -> set[str]:
    """Return the runs that a worker has begun."""
    return {record.run for record in read(history.path) if isinstance(record, Begun)}
