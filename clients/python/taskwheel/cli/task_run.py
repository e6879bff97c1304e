"""`taskwheel task run`: start a run and, if wanted, look on until it is done."""

from __future__ import annotations

from typing import Annotated

import typer

from taskwheel.cli import values, waiting
from taskwheel.cli.connection import Connection, connected
from taskwheel.cli.options import Format, Instant, Labels, Output, Payload, Tags, TaskName, Timeout, option
from taskwheel.cli.output import show
from taskwheel.cli.waiting import finish, hint


def register(tasks: typer.Typer) -> None:
    """Add the command."""
    tasks.command()(connected(run))


def run(
    name: TaskName,
    *,
    payload: Payload = None,
    priority: Annotated[int | None, option(metavar="N", help="Higher goes first.  [default: that of the task]")] = None,
    schedule_time: Instant = None,
    tag: Tags = None,
    label: Labels = None,
    request_id: Annotated[str, option(metavar="ID", help="Makes the command safe to repeat.")] = "",
    wait: Annotated[bool, option("--wait", help="Wait for it and its retries; print the result.")] = False,
    follow: Annotated[bool, option("--follow", "-f", help="As --wait, and show its log and progress.")] = False,
    timeout: Timeout = None,
    connection: Connection,
    output: Output = Format.table,
) -> None:
    """Start a run of a task. With --wait or --follow, exits with 1 unless it SUCCEEDED."""
    with connection.client() as client:
        started = client.task(name).run(
            payload,
            priority=priority,
            schedule_time=schedule_time,
            tags=tag or (),
            labels=values.labels(label),
            request_id=request_id,
        )
        if follow:
            finish(waiting.look_on(connection, started, output, timeout), output)
        elif wait:
            finish(waiting.wait(client, started, timeout, follow_retries=True), output)
        else:
            show(started, output)
            hint(started)
