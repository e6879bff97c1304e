"""Three servers on one PostgreSQL are restarted one after the other, each drained, while everybody goes on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

import taskwheel
from tests.faults.cluster import Cluster
from tests.faults.history import History
from tests.faults.processes import all_of, until
from tests.faults.size import size
from tests.faults.traffic import Traffic
from tests.faults.verdict import judge

REPLICAS = 3
ROUNDS = size(1, 20)
CALLERS = 16
SEED = 20260314


@pytest.mark.timeout(size(240, 3600))
async def test_no_call_fails_twice(
    tmp_path: Path, database_url: str, history: History, figure: Callable[..., None]
) -> None:
    async with (
        Cluster(tmp_path, [database_url] * REPLICAS) as cluster,
        Traffic(cluster.targets, history, SEED) as traffic,
    ):
        for server in cluster.servers * ROUNDS:
            await traffic.goes_on(200)
            assert await server.stop() == 0
            await server.start()
            await cluster.healthy_again()
        await traffic.goes_on(200)
        tries = traffic.most_tries
        final = await judge(traffic, history)
    figure(restarts=REPLICAS * ROUNDS, seed=SEED, runs=len(final.runs), events=len(final.events), **traffic.figures)
    assert tries <= 2


@contextmanager
def _workers(targets: Sequence[str]) -> Iterator[None]:
    """Work with the library: a worker for each server, which it tries first."""
    workers = [taskwheel.Worker(all_of(targets, first), grace=5) for first in range(len(targets))]
    for worker in workers:
        worker.handler("echo")(lambda run: run.payload)
    threads = [threading.Thread(target=worker.run) for worker in workers]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for worker in workers:
            worker.stop()
        for thread in threads:
            thread.join()


@pytest.mark.timeout(size(120, 3600))
async def test_callers_watches_and_workers_of_the_library_go_on_by_themselves(
    tmp_path: Path, database_url: str, figure: Callable[..., None]
) -> None:
    numbers = count()
    results: list[bool] = []
    seen: list[int] = []
    async with (
        Cluster(tmp_path, [database_url] * REPLICAS) as cluster,
        taskwheel.AsyncClient(all_of(cluster.targets)) as client,
    ):
        await client.create_task("t", handler="echo")

        async def call_on() -> None:
            while True:
                payload = {"n": next(numbers)}
                results.append(await client.run_with_result("t", payload, timeout=30) == payload)

        async def watch() -> None:
            async for event in await client.watch_events(after=0):
                seen.append(event.sequence)  # noqa: PERF401 - what was seen must be there while it goes on

        async def more(runs: int) -> None:
            wanted = len(results) + runs
            await until(lambda: len(results) >= wanted or any(task.done() for task in tasks), "runs end")
            for task in tasks:
                assert not task.done(), task.exception()

        with _workers(cluster.targets):
            tasks = [asyncio.create_task(each) for each in (watch(), *(call_on() for _ in range(CALLERS)))]
            for server in cluster.servers * ROUNDS:
                await more(200)
                assert await server.stop() == 0
                await server.start()
                await cluster.healthy_again()
            await more(200)
            for task in tasks[1:]:
                task.cancel()
            await asyncio.gather(*tasks[1:], return_exceptions=True)
            newest = (await anext(client.list_events())).sequence
            await until(lambda: seen[-1] >= newest, "the watch arrives at the end")
            tasks[0].cancel()
    figure(restarts=REPLICAS * ROUNDS, runs=len(results), events=len(seen))
    assert all(results)
    assert seen == list(range(1, len(seen) + 1))
