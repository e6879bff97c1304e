"""The load of the Python client itself: callers of one process that start a run a call, and what that costs it."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import taskwheel


async def run_async(target: str, task: str, payload: dict[str, Any], callers: int, runs: int, *, coalesce: bool) -> Any:
    """Start `runs` runs through an AsyncClient, each caller its next one when the last is answered."""
    async with taskwheel.AsyncClient(target, coalesce=coalesce) as client:
        run = client.task(task).run
        await run(payload)
        numbers = iter(range(runs))

        async def caller() -> None:
            for _ in numbers:
                await run(payload)

        cpu, began = time.process_time(), time.perf_counter()
        await asyncio.gather(*(caller() for _ in range(callers)))
        return {"seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu}


async def run_threads(
    target: str, task: str, payload: dict[str, Any], callers: int, runs: int, *, coalesce: bool
) -> Any:
    """Do the same through a Client, each caller a thread."""

    def work() -> Any:
        with taskwheel.Client(target, coalesce=coalesce) as client, ThreadPoolExecutor(callers) as threads:
            run = client.task(task).run
            run(payload)

            def caller(share: int) -> None:
                for _ in range(share):
                    run(payload)

            cpu, began = time.process_time(), time.perf_counter()
            list(threads.map(caller, [runs // callers] * callers))
            return {"seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu}

    return await asyncio.to_thread(work)
