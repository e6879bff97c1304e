"""The table: behaviours as data."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "behaviours"
_STEP = {"do", "runner", "args", "as", "ok", "error", "keep"}


@dataclass(frozen=True)
class Behaviour:
    """One row.

    Args:
        theme: the name of its file.
        name: what every caller sees, as a sentence.
        steps: what is done, and what comes of it.
    """

    theme: str
    name: str
    steps: list[dict[str, Any]]

    @property
    def alone(self) -> bool:
        """Whether it ends the server, so that no other language can be at it meanwhile."""
        return any(step.get("runner") in {"stop_server", "restart_server"} for step in self.steps)


def behaviours() -> list[Behaviour]:
    """All rows, in the order of their files.

    Raises:
        ValueError: a row is not as the README says.
    """
    rows = [
        Behaviour(path.stem, row["name"], row["steps"])
        for path in sorted(FOLDER.glob("*.json"))
        for row in json.loads(path.read_text("utf-8"))
    ]
    for row in rows:
        for number, step in enumerate(row.steps, 1):
            if set(step) - _STEP or ("do" in step) == ("runner" in step) or {"ok", "error"} <= set(step):
                raise ValueError(f"{row.theme}: {row.name}: step {number} is not a step")
    if len({row.name for row in rows}) < len(rows):
        raise ValueError("two behaviours of one name")
    return rows
