"""Values as they are written on a command line. Each parser raises typer.BadParameter and says what it takes."""

from __future__ import annotations

import json
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import typer

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


def duration(text: str) -> timedelta:
    """A duration such as `90s`, `1h30m` or `500ms`; a bare number is seconds."""
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return timedelta(seconds=float(text))
    if not text or _PART.sub("", text):
        raise typer.BadParameter(f"{text!r} is not a duration such as 90s, 1h30m or 500ms")
    return timedelta(seconds=sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text)))


def instant(text: str) -> datetime:
    """An instant: ISO 8601 with a zone, or `now`, `+10m`, `-1h`."""
    if text == "now":
        return datetime.now(UTC)
    if text[:1] in ("+", "-"):
        length = duration(text[1:])
        return datetime.now(UTC) + (length if text[0] == "+" else -length)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a time such as 2026-01-31T08:00:00Z or +10m") from None
    if moment.utcoffset() is None:
        raise typer.BadParameter(f"{text!r} has no zone; add Z or an offset such as +01:00")
    return moment


def payload(text: str) -> dict[str, Any]:
    """A JSON object: as it stands, from `@FILE`, or from stdin with `-`."""
    try:
        source = _source(text)
    except OSError as error:
        raise typer.BadParameter(f"{text[1:]}: {error.strerror}") from None
    try:
        value = json.loads(source)
    except ValueError as error:
        raise typer.BadParameter(f"not JSON: {error}") from None
    if not isinstance(value, dict):
        raise typer.BadParameter('must be a JSON object, such as {"to": "ann"}')
    return value


def _source(text: str) -> str:
    if text == "-":
        return sys.stdin.read()
    return Path(text[1:]).read_text(encoding="utf-8") if text.startswith("@") else text


def labels(pairs: list[str] | None) -> dict[str, str]:
    """Labels, each as KEY=VALUE."""
    parts = [pair.partition("=") for pair in pairs or ()]
    wrong = next((key for key, equals, _ in parts if not equals), None)
    if wrong is not None:
        raise typer.BadParameter(f"{wrong!r} is not KEY=VALUE")
    return {key: value for key, _, value in parts}
