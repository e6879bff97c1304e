"""The server is killed under load, again and again, each time restarted on the same file."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.history import History
from tests.faults.processes import Server
from tests.faults.size import size
from tests.faults.traffic import Traffic
from tests.faults.verdict import judge

KILLS = size(40, 1000)
# Short, so that leases that no worker knows of end soon, and long enough that others live on.
LEASE = "2s"
SEED = 20260301


@pytest.mark.timeout(size(300, 4 * 3600))
async def test_kills_under_load_lose_nothing_that_was_acknowledged(
    tmp_path: Path, history: History, figure: Callable[..., None]
) -> None:
    draw = random.Random(SEED)
    ready = []
    async with Server(tmp_path, lease=LEASE) as server, Traffic([server.target], history, SEED) as traffic:
        for kill in range(KILLS):
            # Every eighth time at once, while it recovers and its clients come back.
            await traffic.goes_on(0 if kill % 8 == 7 else draw.randint(50, 600))
            server.process.kill()
            ready.append(await server.start())
        final = await judge(traffic, history)
    figure(kills=KILLS, seed=SEED, runs=len(final.runs), events=len(final.events), **traffic.figures)
    figure(ready_again_median=sorted(ready)[KILLS // 2], ready_again_max=max(ready))
