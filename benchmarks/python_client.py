"""The load of the Python client itself, as the other languages have it: `python_client.py MODE ADDRESS RUNS`.

drain: a worker, from its start to the last acknowledgement. call: 32 callers that start a run a call. It prints one
line of JSON: what was done, in how many seconds and CPU seconds.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import TYPE_CHECKING

import uvloop

import taskwheel

if TYPE_CHECKING:
    from collections.abc import Awaitable

_TASK = "python-bench"
_PAYLOAD = {"to": "ann@example.org", "subject": "Your report is ready", "report": 4711, "urgent": False}
_CALLERS = 32
_ROOM = 1000


async def _drain(target: str, runs: int) -> None:
    worker = taskwheel.Worker(target, max_concurrent_runs=_ROOM)
    left = iter(range(runs - 1))

    async def handler(_: taskwheel.Run) -> None:
        if next(left, None) is None:
            worker.stop()

    worker.handler(_TASK)(handler)
    await worker.serve()


async def _call(client: taskwheel.AsyncClient, runs: int) -> None:
    run, numbers = client.task(_TASK).run, iter(range(runs))

    async def caller() -> None:
        for _ in numbers:
            await run(_PAYLOAD)

    await asyncio.gather(*(caller() for _ in range(_CALLERS)))


async def _measure(runs: int, work: Awaitable[None]) -> None:
    cpu, began = time.process_time(), time.perf_counter()
    await work
    seconds = time.perf_counter() - began
    print(json.dumps({"runs": runs, "seconds": seconds, "cpu_seconds": time.process_time() - cpu}))


async def main(mode: str, target: str, amount: str) -> None:
    """Do so."""
    runs = int(amount)
    async with taskwheel.AsyncClient(target) as client:
        await client.create_task(_TASK, handler=_TASK)
        if mode == "drain":
            await client.run_many([taskwheel.RunRequest(task=_TASK, payload=_PAYLOAD)] * runs)
            await _measure(runs, _drain(target, runs))
        else:
            await _call(client, _CALLERS)
            await _measure(runs, _call(client, runs))


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
