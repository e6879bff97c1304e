"""The server is killed under load, again and again, each time restarted on the same file."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.history import History
from tests.faults.processes import Server, until
from tests.faults.traffic import Traffic, judge

KILLS = 40
MIN_CALLS_PER_SECOND = 200
# Short, so that leases that no worker knows of end soon, and long enough that others live on.
LEASE = "2s"
SEED = 20260301


@pytest.mark.timeout(300)
async def test_forty_kills_under_load_lose_nothing_that_was_acknowledged(
    tmp_path: Path, history: History, figure: Callable[..., None]
) -> None:
    draw = random.Random(SEED)
    alive, ready = 0.0, []
    async with Server(tmp_path, lease=LEASE) as server, Traffic(server.target, history, SEED) as traffic:
        for kill in range(KILLS):
            began, had = time.monotonic(), traffic.acknowledged
            # Every eighth time at once, while it recovers and its clients come back.
            wanted = had + (0 if kill % 8 == 7 else draw.randint(50, 600))
            await until(lambda: traffic.acknowledged >= wanted, "the load goes on")  # noqa: B023 - awaited at once
            server.process.kill()
            alive += time.monotonic() - began
            traffic.check_alive()
            ready.append(await server.start())
        calls = traffic.acknowledged
        final = await judge(traffic, history)
    figure(kills=KILLS, seed=SEED, calls=calls, calls_per_second=round(calls / alive), runs=len(final.runs))
    figure(events=len(final.events), ready_again_median=sorted(ready)[KILLS // 2], ready_again_max=max(ready))
    assert calls / alive >= MIN_CALLS_PER_SECOND, "too little load: this was no test"
