"""PostgreSQL crashes, drops its sessions and goes away under three servers, which are never restarted."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from tests.databases import OwnServer
from tests.faults.cluster import Cluster
from tests.faults.history import History
from tests.faults.size import size
from tests.faults.traffic import Traffic
from tests.faults.verdict import judge

REPLICAS = 3
RESTARTS = size(2, 100)
TERMINATIONS = size(3, 100)
OUTAGES = size(1, 5)
# Seconds.
OUTAGE = size(5, 30)
HEALTHY_WITHIN = 3.0
SEED = 20260311


@pytest.mark.timeout(size(240, 3600))
async def test_nothing_is_lost_when_the_database_fails_and_all_is_well_soon_after(
    tmp_path: Path, durable: OwnServer, database_url: str, history: History, figure: Callable[..., None]
) -> None:
    draw = random.Random(SEED)
    healthy: dict[str, list[float]] = {}
    name = make_url(database_url).database
    assert name

    async with (
        Cluster(tmp_path, [database_url] * REPLICAS) as cluster,
        Traffic(cluster.targets, history, SEED) as traffic,
    ):

        async def restart() -> None:
            await asyncio.to_thread(durable.restart)

        async def terminate() -> None:
            assert await asyncio.to_thread(durable.terminate, name) >= 2 * REPLICAS

        async def outage() -> None:
            await asyncio.to_thread(durable.crash)
            until = time.monotonic() + OUTAGE
            while time.monotonic() < until:
                assert set(await cluster.refusals()) == {("UNAVAILABLE", "STORE_UNAVAILABLE", True)}
                await asyncio.sleep(1)
            await asyncio.to_thread(durable.start)

        faults: list[Callable[[], Awaitable[None]]] = [
            *[restart] * RESTARTS,
            *[terminate] * TERMINATIONS,
            *[outage] * OUTAGES,
        ]
        draw.shuffle(faults)
        for fault in faults:
            await traffic.goes_on(draw.randint(50, 400))
            await fault()
            healthy.setdefault(fault.__name__, []).append(await cluster.healthy_again())
        await traffic.goes_on(400)
        final = await judge(traffic, history)
    figure(restarts=RESTARTS, terminations=TERMINATIONS, outages=OUTAGES, outage_seconds=OUTAGE, seed=SEED)
    figure(runs=len(final.runs), events=len(final.events), **traffic.figures)
    figure(**{f"healthy_after_{fault}_max": max(times) for fault, times in healthy.items()})
    assert traffic.refusals["STORE_UNAVAILABLE"], "no fault was felt: this was no test"
    assert max(max(times) for times in healthy.values()) <= HEALTHY_WITHIN
