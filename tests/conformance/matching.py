"""What a step says with variables and patterns, and what an answer must be like. The README lists them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any


def _later(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def _nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


_MADE: dict[str, Callable[[Any], Any]] = {
    "$in": _later,
    "$text": lambda said: said[0] * said[1],
    "$nest": _nested,
    "$each": lambda said: [filled(said[1], {"n": number}) for number in range(said[0])],
}


def filled(template: Any, variables: Mapping[str, Any]) -> Any:
    """The value that a template stands for; names that are not among the variables are left."""
    match template:
        case str():
            if template.startswith("$") and template[1:] in variables:
                return variables[template[1:]]
            return re.sub(r"\$(\w+)", lambda name: str(variables.get(name[1], name[0])), template)
        case list():
            return [filled(item, variables) for item in template]
        case dict():
            value = {filled(name, variables): filled(item, variables) for name, item in template.items()}
            [(name, said), *others] = value.items() or [("", None)]
            return _MADE[name](said) if name in _MADE and not others else value
        case _:
            return template


def differences(expected: Any, found: Any, path: str = "answer") -> Iterator[str]:
    """Yields how an answer is not what it must be."""
    match expected:
        case {"$any": True}:
            wrong = found is None
        case {"$like": pattern}:
            wrong = not isinstance(found, str) or not re.search(pattern, found)
        case {"$size": size}:
            wrong = not isinstance(found, str | list) or len(found) != size
        case dict() if isinstance(found, dict):
            for name, item in expected.items():
                yield from differences(item, found.get(name), f"{path}.{name}")
            return
        case list() if isinstance(found, list) and len(found) == len(expected):
            for index, (item, one) in enumerate(zip(expected, found, strict=True)):
                yield from differences(item, one, f"{path}[{index}]")
            return
        case _:
            wrong = isinstance(expected, bool) != isinstance(found, bool) or expected != found
    if wrong:
        yield f"{path} is {clipped(found)}, not {clipped(expected)}"


def at(path: str, value: Any) -> Any:
    """The part of an answer at a path such as `0.uid`."""
    for part in path.split(".") if path else ():
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value


def clipped(value: Any, size: int = 300) -> str:
    """A value as a line shows it."""
    text = repr(value)
    return text if len(text) <= size else f"{text[:size]}… ({len(text):,} characters)"
