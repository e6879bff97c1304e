"""Servers behind PgBouncer in transaction mode, which gives each transaction whatever connection is free."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from taskwheel_server.clock import SystemClock
from taskwheel_server.db.dialect import fetch_value
from taskwheel_server.db.hints import Hint
from taskwheel_server.db.store import Store
from tests.faults.cluster import Cluster
from tests.faults.history import History
from tests.faults.processes import until
from tests.faults.traffic import Traffic
from tests.faults.verdict import judge
from tests.ha.answers import statuses
from tests.ha.pgbouncer import PgBouncer

CALLS = 3000
REPLICAS = 2
SEED = 20260321


@pytest.fixture
async def pooled_url(database_url: str) -> AsyncIterator[str]:
    async with PgBouncer(make_url(database_url)) as pooler:
        yield pooler.url.render_as_string(hide_password=False)


async def test_what_is_told_through_the_pooler_is_heard_past_it(pooled_url: str, database_url: str) -> None:
    heard: list[Hint] = []
    with ExitStack() as stack:
        teller, hearer = (
            stack.enter_context(closing(Store(pooled_url, SystemClock(), database_url))) for _ in range(2)
        )
        teller.listen(lambda _: None)
        hearer.listen(heard.append)
        await until(lambda: teller.hears and hearer.hears and not teller._hearing.alone, "they know each other")  # type: ignore[union-attr]
        with teller.write() as connection:
            teller.tell(connection, Hint(ended={"some-run"}))
        await until(lambda: any(hint.ended for hint in heard), "the hint arrives")


def test_no_transaction_finds_what_another_has_left(pooled_url: str, database_url: str) -> None:
    def settings(connection: object) -> list[str]:
        names = ("lock_timeout", "statement_timeout", "enable_seqscan", "transaction_read_only")
        return [fetch_value(connection, "SELECT current_setting(?)", name) for name in names]  # type: ignore[arg-type]

    with closing(Store(pooled_url, SystemClock(), database_url)) as store:
        for _ in range(20):
            with store.write() as connection:
                assert settings(connection) == ["5s", "10s", "off", "off"]
            assert store.read(settings) == ["0", "30s", "on", "on"]


@pytest.mark.timeout(120)
async def test_servers_behind_a_pooler_keep_every_promise_under_load(
    tmp_path: Path,
    pooled_url: str,
    database_url: str,
    history: History,
    figure: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TASKWHEEL_DIRECT_DATABASE_URL", database_url)
    async with (
        Cluster(tmp_path, [pooled_url] * REPLICAS) as cluster,
        Traffic(cluster.targets, history, SEED) as traffic,
    ):
        await traffic.goes_on(CALLS)
        calls = traffic.acknowledged
        final = await judge(traffic, history)
    figure(calls=calls, seed=SEED, calls_per_second=round(traffic.load), runs=len(final.runs))
    assert set(statuses(history)) == {"OK"}
