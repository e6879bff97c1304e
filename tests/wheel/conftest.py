from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from taskwheel_server.clock import ManualClock
from tests.wheel.handwheel import START, HandWheel
from tests.wheel.invariants import check

# Every case of this folder runs on each of these.
DATABASES: Mapping[str, Callable[[Path], str]] = {
    "sqlite": lambda folder: f"sqlite:///{folder}/taskwheel.db",
}


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Keep the tracebacks of provoked failures to ourselves: to print them takes longer than all else."""
    with capture_logs():
        yield


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return DATABASES[request.param](tmp_path)


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
