from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from taskwheel_server.clock import ManualClock
from taskwheel_server.db import Connection, dialect
from tests.databases import Databases
from tests.wheel.handwheel import START, HandWheel
from tests.wheel.invariants import check


@pytest.fixture
def fresh_database(databases: Databases) -> Callable[[], str]:
    """Gives the URL of an empty database at each call, once nobody is connected to those before."""
    return databases.fresh


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def wheel(database_url: str, clock: ManualClock) -> Iterator[HandWheel]:
    """A wheel to turn by hand; whatever a test did to it, what is stored must make sense at its end."""
    wheel = HandWheel(database_url, clock)
    try:
        yield wheel
        check(wheel)
    finally:
        wheel.close()


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[Connection]:
    """A connection for each transaction that has begun: a turn that meets another one begins anew."""
    begin = dialect._begin
    begun: list[Connection] = []

    def noted(connection: Connection, *questions: Any) -> Any:
        begun.append(connection)
        return begin(connection, *questions)

    monkeypatch.setattr(dialect, "_begin", noted)
    return begun


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Keep the tracebacks of provoked failures to ourselves: to print them takes longer than all else."""
    with capture_logs():
        yield
