"""The handlers that a driver's worker can register."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import taskwheel

# How often one that waits looks whether its run was cancelled, s.
_LOOK = 0.01


class Gates:
    """What handlers wait for, by name."""

    def __init__(self) -> None:
        self._all_open = threading.Event()
        self._gates: dict[str, threading.Event] = defaultdict(threading.Event)

    def open(self, name: str) -> None:
        """Let through who waits here, now and later."""
        self._gates[name].set()

    def open_all(self) -> None:
        """Let everybody through."""
        self._all_open.set()

    def wait(self, name: str, look: Callable[[], None]) -> None:
        """Return once the gate is open; `look` is called meanwhile."""
        while not self._gates[name].wait(_LOOK) and not self._all_open.is_set():
            look()


def built_in(kind: str, gates: Gates) -> Callable[[taskwheel.Run], Any]:
    """The built-in handler of this name."""
    if kind in {"progress", "gate", "stubborn"}:
        return lambda run: globals()[f"_{kind}"](run, gates)
    handler: Callable[[taskwheel.Run], Any] = globals()[f"_{kind}"]
    return handler


def _echo(run: taskwheel.Run) -> Any:
    return run.payload


def _add(run: taskwheel.Run) -> Any:
    return run.payload["a"] + run.payload["b"]


def _inspect(run: taskwheel.Run) -> Any:
    return {name: getattr(run, name) for name in ("uid", "task", "handler", "attempt", "tags", "labels", "payload")}


def _fail(run: taskwheel.Run) -> Any:
    raise type(run.payload["name"], (Exception,), {})(run.payload["message"])


def _fail_twice(run: taskwheel.Run) -> Any:
    return _fail(run) if run.attempt < 3 else {"attempt": run.attempt}


def _crash(run: taskwheel.Run) -> Any:
    return [][len(run.name)]


def _unsupported(_: taskwheel.Run) -> Any:
    return object()


def _big(run: taskwheel.Run) -> Any:
    return "x" * run.payload["bytes"]


def _log(run: taskwheel.Run) -> Any:
    for entry in run.payload["entries"]:
        getattr(run.log, entry["level"].lower())(entry["message"], **entry.get("fields", {}))
    return len(run.payload["entries"])


def _progress(run: taskwheel.Run, gates: Gates) -> Any:
    for ratio in run.payload["ratios"]:
        run.progress(ratio, run.payload["message"])
    gates.wait(run.payload["gate"], run.raise_if_cancelled)
    return run.payload["ratios"][-1]


def _gate(run: taskwheel.Run, gates: Gates) -> Any:
    run.log.info("begun")
    gates.wait(run.payload["gate"], run.raise_if_cancelled)
    return run.payload


def _stubborn(run: taskwheel.Run, gates: Gates) -> Any:
    run.log.info("begun")
    gates.wait(run.payload["gate"], lambda: None)
    return run.payload
