"""Looking on until a run is done: what it waits for, what it writes, and how it ended."""

from __future__ import annotations

import asyncio
import time
from contextlib import nullcontext, suppress
from datetime import timedelta
from typing import Any

import typer

import taskwheel
from taskwheel.cli.connection import Connection
from taskwheel.cli.options import Format
from taskwheel.cli.output import compact, console, log_line, moment, show, stream

# How often the progress of a run is asked for.
_INTERVAL = 0.5

# Until a run that waits is looked at, and then again: a worker that has just gone may come back.
_LOOK_AFTER = 2.0


def hint(run: taskwheel.TaskRun) -> bool:
    """Say on stderr if no worker can take the run, and whether it was said."""
    if run.state_reason != "NO_WORKER":
        return False
    typer.echo(f"{run.uid} waits: no worker is connected for handler {run.handler!r}", err=True)
    return True


def wait(
    client: taskwheel.Client, run: taskwheel.TaskRun | str, timeout: timedelta | None, *, follow_retries: bool
) -> taskwheel.TaskRun:
    """The run once it is done; meanwhile hint, once. Raises RunNotDone."""
    deadline = None if timeout is None else time.monotonic() + timeout.total_seconds()
    hinted = False
    while True:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        last = hinted if left is None else hinted or left <= _LOOK_AFTER
        try:
            return client.wait(run, timeout=left if last else _LOOK_AFTER, follow_retries=follow_retries)
        except taskwheel.RunNotDone as error:
            hinted = hinted or hint(error.run)
            if last:
                raise


def finish(run: taskwheel.TaskRun, output: Format) -> None:
    """Print a run that is done, and exit with 1 unless it succeeded."""
    if output is not Format.table:
        show(run, output)
    elif run.state == "SUCCEEDED":
        typer.echo(compact(run.result))
    if run.state != "SUCCEEDED":
        raise taskwheel.RunFailed(run)


def look_on(
    connection: Connection, run: taskwheel.TaskRun, output: Format, timeout: timedelta | None
) -> taskwheel.TaskRun:
    """The last attempt of a run once it is done. Meanwhile print what is written, with a bar for its progress."""

    async def main() -> taskwheel.TaskRun:
        async with connection.async_client() as client:
            attempt = run
            while True:
                with _bars(output) as bars:
                    watching = asyncio.create_task(_watch(client, attempt, bars))
                    async for entry in client.follow_logs(attempt):
                        stream(entry, output, log_line(entry), entry.level)
                    watching.cancel()
                done = await client.wait(attempt)
                if not done.retried_by_run:
                    return done
                attempt = await client.get_run(done.retried_by_run)
                _tell_retry(done, attempt)

    try:
        return asyncio.run(asyncio.wait_for(main(), timeout.total_seconds() if timeout is not None else None))
    except TimeoutError:
        with connection.client() as client:
            raise taskwheel.RunNotDone(client.get_run(run, follow_retries=True)) from None


async def _watch(client: taskwheel.AsyncClient, run: taskwheel.TaskRun, bars: Any) -> None:
    """Show the progress of an attempt, and hint once if it waits in vain."""
    bar, hinted, began = None, False, time.monotonic()
    while True:
        with suppress(taskwheel.RpcError):  # who follows the log tells of an outage
            now = await client.get_run(run)
            if now.progress and bars:
                bar = bars.add_task("", total=1.0) if bar is None else bar
                bars.update(bar, completed=now.progress.ratio, description=now.progress.message)
            hinted = hinted or (time.monotonic() - began > _LOOK_AFTER and hint(now))
        await asyncio.sleep(_INTERVAL)


def _tell_retry(failed: taskwheel.TaskRun, following: taskwheel.TaskRun) -> None:
    why = f"{failed.error.name}: {failed.error.message}" if failed.error else failed.state_reason
    line = f"attempt {failed.attempt} failed: {why}; attempt {following.attempt} at {moment(following.schedule_time)}"
    typer.echo(line, err=True)


def _bars(output: Format) -> Any:
    if output is not Format.table or not console().is_terminal:
        return nullcontext()
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    return Progress(*columns, console=console(), transient=True)
