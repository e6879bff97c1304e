"""Two servers on a PostgreSQL that fails over, under load: its leader is killed, again and again."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.cluster import Cluster
from tests.faults.history import History
from tests.faults.processes import until
from tests.faults.traffic import Traffic
from tests.faults.verdict import judge
from tests.ha.answers import statuses
from tests.ha.patroni import PATIENCE, PatroniCluster

FAILOVERS = 6
REPLICAS = 2
# Seconds, once there is a leader.
HEALTHY_WITHIN = 3.0
SEED = 20260320


@pytest.mark.timeout(1200)
async def test_a_leader_killed_under_load_loses_nothing_that_was_acknowledged(
    tmp_path: Path, history: History, figure: Callable[..., None]
) -> None:
    draw = random.Random(SEED)
    writable, healthy = [], []
    async with PatroniCluster() as patroni:
        url = await patroni.create_database("taskwheel")
        async with (
            Cluster(tmp_path, [url] * REPLICAS, lease="5s") as cluster,
            Traffic(cluster.targets, history, SEED) as traffic,
        ):
            for failover in range(FAILOVERS):
                await patroni.ready()
                leader = await until(patroni.leader, "there is a leader")
                await traffic.goes_on(draw.randint(500, 1500))
                # The database alone, or all of its machine: that its lock must run out takes longer.
                await (leader.kill() if failover % 2 else leader.crash())
                writable.append(await patroni.writable())
                healthy.append(await cluster.healthy_again())
                traffic.check_alive()
                leader.revive()
                await until(lambda: _led_by_another(patroni, leader), "another leads", PATIENCE)  # noqa: B023 - awaited at once
            calls = traffic.acknowledged
            final = await judge(traffic, history)
    figure(failovers=FAILOVERS, seed=SEED, calls=calls, calls_per_second=round(traffic.load), runs=len(final.runs))
    figure(events=len(final.events), writable_again=sorted(round(each, 1) for each in writable))
    figure(healthy_after_that=sorted(round(each, 2) for each in healthy))
    ended = statuses(history)
    figure(refused=ended["UNAVAILABLE"])
    assert set(ended) <= {"OK", "UNAVAILABLE"}
    assert max(healthy) <= HEALTHY_WITHIN


async def _led_by_another(patroni: PatroniCluster, before: object) -> bool:
    leader = await patroni.leader()
    return leader is not None and leader is not before
