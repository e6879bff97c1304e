"""Servers on one PostgreSQL whose own clocks are off by an hour: the database's counts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from taskwheel.v1.task_service_pb2 import CreateTaskRequest
from tests.faults.api import Api, task_of
from tests.faults.checker import ZOMBIE
from tests.faults.cluster import SHIFTED, Cluster
from tests.faults.history import History, Policy
from tests.faults.processes import Server, connect, now
from tests.faults.size import size
from tests.faults.traffic import Traffic
from tests.faults.verdict import judge

HOUR = 3600
HELD = 30
SECONDS = size(6, 600)
SEED = 20260313


async def test_a_server_with_a_database_that_has_no_clock_goes_by_its_own(tmp_path: Path) -> None:
    async with (
        Server(tmp_path, program=(*SHIFTED, str(HOUR))) as server,
        connect(server.target) as channel,
    ):
        task = await Api(channel).tasks.CreateTask(CreateTaskRequest(task_id="t", task=task_of("h", Policy())))
    assert abs(task.create_time.ToMicroseconds() / 1e6 - now() - HOUR) < HOUR / 2


@pytest.mark.timeout(size(240, 3600))
async def test_servers_an_hour_off_fire_each_slot_once_in_time_and_end_no_lease(
    tmp_path: Path, database_url: str, history: History, figure: Callable[..., None]
) -> None:
    began = now()
    async with (
        Cluster(tmp_path, [database_url] * 3, lease="10s", shifts=[0, HOUR, -HOUR]) as cluster,
        Traffic(cluster.targets, history, SEED) as traffic,
    ):
        held = await traffic.hold("plain", HELD)
        since = now()
        while now() < since + SECONDS:
            await traffic.goes_on(100)
        traffic.release()
        final = await judge(traffic, history)
    slots = [run.scheduled_time for run in final.runs.values() if run.scheduled_time and run.attempt == 1]
    figure(seconds=SECONDS, seed=SEED, slots=len(slots), held=len(held), runs=len(final.runs), **traffic.figures)
    assert len(slots) >= SECONDS - 1
    assert began <= min(slots) <= max(slots) <= now()
    assert {final.runs[name].state for name in held} == {"SUCCEEDED"}
    # The calls that work by hand are cut short at the end.
    assert ZOMBIE not in {run.error_name for run in final.runs.values() if run.task_id != "by-hand"}
