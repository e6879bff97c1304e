from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.history import History


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
