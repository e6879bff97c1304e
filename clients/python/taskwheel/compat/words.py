"""What the other systems' shapes have in common."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any


def instant(time: datetime | None) -> str | None:
    """A time as those systems write it: UTC, to the millisecond."""
    return None if time is None else f"{time:%Y-%m-%dT%H:%M:%S}.{time.microsecond // 1000:03}Z"


def given(**fields: Any) -> dict[str, Any]:
    """The fields that have a value."""
    return {name: value for name, value in fields.items() if value is not None}


def word(words: Mapping[str, str], state: str) -> str:
    """The word for a state; the state itself where there is none, as for those of a later server."""
    return words.get(state, state)


def uid(run: str) -> str:
    """The uid in the name of a run."""
    return run.rpartition("/")[2]
