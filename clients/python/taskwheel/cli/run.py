"""`taskwheel run get|list|wait|cancel|logs`."""

from __future__ import annotations

from enum import StrEnum
from itertools import islice
from typing import Annotated

import typer

from taskwheel.cli import waiting
from taskwheel.cli.connection import Connection, connected
from taskwheel.cli.options import Format, Limit, Output, RunFilter, RunName, RunOrder, Timeout, option
from taskwheel.cli.output import RUN_COLUMNS, log_line, show, show_all, stream
from taskwheel.cli.waiting import finish, hint

FollowRetries = Annotated[bool, option("--follow-retries", help="The last attempt in its place.")]


class State(StrEnum):
    """Where a run stands."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    CANCELLING = "CANCELLING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    RETRIED = "RETRIED"
    SKIPPED = "SKIPPED"


class Level(StrEnum):
    """How much a log entry matters."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


def register(runs: typer.Typer) -> None:
    """Add the commands."""
    for command in (get, list_, wait, cancel, logs):
        runs.command(command.__name__.rstrip("_"))(connected(command))


def get(
    name: RunName, *, follow_retries: FollowRetries = False, connection: Connection, output: Output = Format.table
) -> None:
    """Show a run."""
    with connection.client() as client:
        run = client.get_run(name, follow_retries=follow_retries)
    show(run, output)
    hint(run)


def list_(
    *,
    task: Annotated[str, option(metavar="TASK", help="Only runs of this task.")] = "",
    state: Annotated[State | None, option(help="Only runs in this state.")] = None,
    filter: RunFilter = "",
    order_by: RunOrder = "",
    limit: Limit = 50,
    connection: Connection,
    output: Output = Format.table,
) -> None:
    """List runs."""
    parts = [f'task = "{task}"' if task else "", f"state = {state}" if state else "", f"({filter})" if filter else ""]
    with connection.client() as client:
        whole = " AND ".join(filter_ for filter_ in parts if filter_)
        runs = client.list_runs(filter=whole, order_by=order_by, page_size=min(limit, 1000))
        show_all(islice(runs, limit), output, RUN_COLUMNS, lambda run: run.name)


def wait(
    name: RunName,
    *,
    timeout: Timeout = None,
    follow_retries: FollowRetries = False,
    connection: Connection,
    output: Output = Format.table,
) -> None:
    """Wait until a run is done, and print its result. Exits with 1 unless it SUCCEEDED."""
    with connection.client() as client:
        finish(waiting.wait(client, name, timeout, follow_retries=follow_retries), output)


def cancel(
    name: RunName,
    *,
    reason: Annotated[str, option(metavar="TEXT", help="Why, for people.")] = "",
    pending_only: Annotated[bool, option("--pending-only", help="Only if it has not started.")] = False,
    connection: Connection,
    output: Output = Format.table,
) -> None:
    """Cancel a run: at once if it is PENDING, else by asking its worker."""
    with connection.client() as client:
        show(client.cancel(name, reason=reason, pending_only=pending_only), output)


def logs(
    name: RunName,
    *,
    follow: Annotated[bool, option("--follow", "-f", help="Go on until it is done.")] = False,
    follow_retries: FollowRetries = False,
    after: Annotated[int, option(min=0, metavar="N", help="Begin after entry N.")] = 0,
    level: Annotated[Level, option(help="Leave out entries below it.")] = Level.DEBUG,
    connection: Connection,
    output: Output = Format.table,
) -> None:
    """Print the log of a run."""
    with connection.client() as client:
        for entry in client.follow_logs(
            name, after=after, follow=follow, follow_retries=follow_retries, min_level=level.value
        ):
            stream(entry, output, log_line(entry), entry.level)
