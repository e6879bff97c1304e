from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from taskwheel_server.clock import ManualClock
from taskwheel_server.db.store import Store
from tests.wheel.handwheel import START, HandWheel
from tests.wheel.invariants import check


def _sqlite(folder: Path) -> Callable[[], str]:
    """Copy one prepared file again and again: to create the schema costs more than most cases."""
    template = folder / "template.db"
    Store(f"sqlite:///{template}", ManualClock(START)).close()
    numbers = count()

    def fresh() -> str:
        path = folder / f"{next(numbers)}.db"
        shutil.copy(template, path)
        return f"sqlite:///{path}"

    return fresh


# Every case of this folder runs on each of these: given a folder, they give the URL of an empty database at each call.
DATABASES: Mapping[str, Callable[[Path], Callable[[], str]]] = {"sqlite": _sqlite}


@pytest.fixture(scope="session", params=DATABASES)
def fresh_database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], str]:
    return DATABASES[request.param](tmp_path_factory.mktemp(request.param))


@pytest.fixture
def database_url(fresh_database: Callable[[], str]) -> str:
    return fresh_database()


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


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Keep the tracebacks of provoked failures to ourselves: to print them takes longer than all else."""
    with capture_logs():
        yield
