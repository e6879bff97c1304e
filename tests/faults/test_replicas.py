"""Three servers on one PostgreSQL, and their workers, are killed and stopped under load, each in turn."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Callable, Collection
from pathlib import Path

import pytest

from tests.faults.cluster import Cluster
from tests.faults.history import Begun, History, read
from tests.faults.processes import Process, all_of, until, workers
from tests.faults.size import size
from tests.faults.traffic import Traffic
from tests.faults.verdict import judge

REPLICAS = 3
ROUNDS = size(2, 250)
# Seconds that something stopped sleeps: past the lease, and past the time after which PostgreSQL gives up on a turn.
NAPS = (6.5, 3.0)
SEED = 20260310


def _at_work(history: History, ids: Collection[str]) -> bool:
    return {record.worker for record in read(history.path) if isinstance(record, Begun)} >= set(ids)


@pytest.mark.timeout(size(240, 6 * 3600))
async def test_servers_and_workers_killed_and_stopped_lose_nothing(
    tmp_path: Path, database_url: str, history: History, figure: Callable[..., None]
) -> None:
    draw = random.Random(SEED)
    healthy: list[float] = []

    async def nap(process: Process, seconds: float) -> None:
        process.send(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        process.send(signal.SIGCONT)

    async with (
        Cluster(tmp_path, [database_url] * REPLICAS) as cluster,
        Traffic(cluster.targets, history, SEED) as traffic,
    ):
        for turn in range(ROUNDS):
            victims = {f"victim-{turn}-{number}": ["work"] for number in range(2)}
            async with workers(all_of(cluster.targets, turn % REPLICAS), history.path, victims) as processes:
                killed, stopped = draw.sample(cluster.servers, 2)
                await traffic.goes_on(draw.randint(100, 400))
                killed.process.kill()
                await traffic.goes_on(draw.randint(0, 200))
                await killed.start()
                healthy.append(await cluster.healthy_again())
                worker, sleeper = processes.values()
                await until(lambda: _at_work(history, victims), "the victims work")  # noqa: B023 - awaited at once
                worker.kill()
                seconds = NAPS[turn % len(NAPS)]
                await asyncio.gather(nap(stopped.process, seconds), nap(sleeper, seconds))
                healthy.append(await cluster.healthy_again())
                await traffic.goes_on(draw.randint(100, 400))
        final = await judge(traffic, history)
    figure(kills=ROUNDS, stops=ROUNDS, killed_workers=ROUNDS, stopped_workers=ROUNDS, seed=SEED)
    figure(runs=len(final.runs), events=len(final.events), **traffic.figures)
    figure(healthy_again_median=sorted(healthy)[len(healthy) // 2], healthy_again_max=max(healthy))
