"""The connection to PostgreSQL breaks between a COMMIT and its answer: what was asked for happens once all the same."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from tests.faults.cluster import Cluster
from tests.faults.database_proxy import DatabaseProxy
from tests.faults.history import History
from tests.faults.processes import until
from tests.faults.size import size
from tests.faults.traffic import Traffic
from tests.faults.verdict import judge

REPLICAS = 2
CUTS = size(100, 5000)
SEED = 20260312


@pytest.mark.timeout(size(240, 3600))
async def test_a_commit_whose_answer_was_lost_has_one_effect(
    tmp_path: Path, database_url: str, history: History, figure: Callable[..., None]
) -> None:
    with ExitStack() as stack:
        proxies = [stack.enter_context(DatabaseProxy(make_url(database_url))) for _ in range(REPLICAS)]
        async with (
            Cluster(tmp_path, [proxy.url for proxy in proxies]) as cluster,
            Traffic(cluster.targets, history, SEED) as traffic,
        ):
            for number in range(CUTS):
                proxy = proxies[number % REPLICAS]
                had = proxy.cuts
                proxy.cut()
                await until(lambda: proxy.cuts > had, "a commit is cut")  # noqa: B023 - awaited at once
                await traffic.goes_on(20)
            assert [proxy.cuts for proxy in proxies] == [CUTS // REPLICAS] * REPLICAS
            final = await judge(traffic, history)
    figure(cuts=CUTS, seed=SEED, runs=len(final.runs), events=len(final.events), **traffic.figures)
