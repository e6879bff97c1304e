"""`taskwheel worker`."""

from __future__ import annotations

import logging
import sys
from importlib import import_module
from typing import Annotated

import typer

import taskwheel
from taskwheel.cli.options import Address


def worker(
    target: Annotated[str, typer.Argument(metavar="MODULE:WORKER", help="Where it stands, such as jobs:worker.")],
    *,
    address: Address = None,
    max_concurrent_runs: Annotated[int | None, typer.Option(min=1, help="How many runs at a time.")] = None,
    grace: Annotated[float | None, typer.Option(min=0, help="Seconds that runs may take after SIGTERM.")] = None,
) -> None:
    """Work runs with the handlers of a taskwheel.Worker, until SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    found = _find(target)
    found.address = address or found.address
    found.max_concurrent_runs = max_concurrent_runs or found.max_concurrent_runs
    found.grace = found.grace if grace is None else grace
    found.run()


def _find(target: str) -> taskwheel.Worker:
    module, _, name = target.partition(":")
    sys.path.insert(0, "")
    try:
        found = getattr(import_module(module), name or "worker")
    except (ImportError, AttributeError, ValueError) as error:
        raise typer.BadParameter(f"{target}: {error}", param_hint="MODULE:WORKER") from error
    if not isinstance(found, taskwheel.Worker):
        raise typer.BadParameter(f"{target} is not a taskwheel.Worker", param_hint="MODULE:WORKER")
    return found
