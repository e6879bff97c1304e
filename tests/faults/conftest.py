from __future__ import annotations

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
def figure(record_property: Callable[[str, Any], None]) -> Callable[..., None]:
    """Report what was measured: `figure(kills=40)`."""

    def report(**figures: Any) -> None:
        for name, value in figures.items():
            shown = round(value, 3) if isinstance(value, float) else value
            record_property(name, shown)
            print(f"{name} = {shown}")

    return report
