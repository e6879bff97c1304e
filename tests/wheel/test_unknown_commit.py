"""A COMMIT that PostgreSQL gets to hear only after the connection broke, while its turn is being replayed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy.engine import make_url

from taskwheel_server.clock import ManualClock
from taskwheel_server.wheel.commands import AdmitRuns
from tests.databases import PostgreSQLDatabases
from tests.faults.database_proxy import DatabaseProxy
from tests.wheel.handwheel import HandWheel
from tests.wheel.invariants import check


@pytest.fixture
def url(postgresql: PostgreSQLDatabases) -> str:
    return postgresql.fresh()


@pytest.fixture
def proxy(url: str) -> Iterator[DatabaseProxy]:
    with DatabaseProxy(make_url(url)) as proxy:
        yield proxy


@pytest.fixture
def broken(proxy: DatabaseProxy, clock: ManualClock) -> Iterator[HandWheel]:
    """A wheel whose connection can break."""
    wheel = HandWheel(proxy.url, clock)
    yield wheel
    check(wheel)
    wheel.close()


def test_what_a_late_commit_did_is_not_done_again(broken: HandWheel, proxy: DatabaseProxy) -> None:
    broken.task()
    worker = broken.worker()
    waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"

    def somebody_waits() -> None:
        while not broken.store.read(lambda connection: connection.exec_driver_sql(waiting).first()):
            pass

    admission = broken.send(AdmitRuns(runs=[broken.new_run(request_id="r", request_digest=b"d")]))
    proxy.cut(before=somebody_waits)
    broken.turn()
    broken.settle()
    assert proxy.cuts == 1
    [run] = admission.result()
    assert [stored.uid for stored in broken.runs()] == [run.uid]
    # Nobody was told of the first claim: it was handed back.
    assert broken.events(run) == ["run_pending", "run_started", "run_pending", "run_started"]
    assert broken.succeed(worker.take_one())
