"""`taskwheel worker`."""

from __future__ import annotations

import logging
import sys
from datetime import timedelta
from importlib import import_module
from typing import Annotated

import typer

import taskwheel
from taskwheel.cli.connection import Connection
from taskwheel.cli.options import LENGTH, option


def worker(
    target: Annotated[str, typer.Argument(metavar="MODULE:WORKER", help="Such as jobs:worker, in jobs.py.")],
    *,
    connection: Connection,
    max_concurrent_runs: Annotated[int | None, option(min=1, metavar="N", help="Up to N runs at a time.")] = None,
    grace: Annotated[timedelta | None, option(help="Let runs go on so long after SIGTERM.", **LENGTH)] = None,
) -> None:
    """Run the handlers of a taskwheel.Worker until SIGTERM or Ctrl-C."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    found = _find(target)
    found.address = connection.address or found.address
    if security := connection.security():
        found.credentials, found.server_name = security["credentials"], security["server_name"]
    found.max_concurrent_runs = max_concurrent_runs or found.max_concurrent_runs
    found.grace = found.grace if grace is None else grace.total_seconds()
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
