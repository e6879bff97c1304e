from __future__ import annotations

import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.databases import OwnServer, PostgreSQLDatabases
from tests.faults.history import History


@pytest.fixture(scope="session")
def durable(testrun_uid: str, worker_id: str) -> Iterator[OwnServer]:
    """A PostgreSQL server that may be crashed, with the durability that users have."""
    with closing(OwnServer(f"faults-{testrun_uid}-{worker_id}", durable=True)) as own:
        yield own


@pytest.fixture
def database_url(durable: OwnServer) -> str:
    """An empty database of it."""
    databases = PostgreSQLDatabases(durable.url, f"faults_{secrets.token_hex(4)}")
    url = databases.empty()
    # Not kept: it would not outlive the first crash.
    databases._connection.close()
    return url


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    kept = History(tmp_path / "history.jsonl")
    yield kept
    kept.close()


@pytest.fixture
def figure(capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest) -> Callable[..., None]:
    """Tell what was measured, whether the test passes or not: `figure(kills=40)`."""

    def tell(**figures: Any) -> None:
        # Of a process of xdist, the standard error alone is that of the terminal.
        with capsys.disabled():
            for name, value in figures.items():
                shown = round(value, 3) if isinstance(value, float) else value
                print(f"{request.node.path.stem}: {name} = {shown}", file=sys.stderr)

    return tell
