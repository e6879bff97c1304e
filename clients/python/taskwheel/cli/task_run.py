"""`taskwheel task run`: start a run and, if wanted, look on until it is done."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Annotated, Any

import typer

import taskwheel
from taskwheel.cli import values
from taskwheel.cli.options import Address, Format, Instant, Labels, Output, Payload, Tags, TaskName
from taskwheel.cli.output import compact, console, log_line, show, stream

# How often the progress of a run is asked for.
_INTERVAL = 0.5


def register(tasks: typer.Typer) -> None:
    """Add the command."""
    tasks.command()(run)


def run(
    name: TaskName,
    *,
    payload: Payload = None,
    priority: Annotated[int | None, typer.Option(help="Higher goes first.  [default: that of the task]")] = None,
    schedule_time: Instant = None,
    tag: Tags = None,
    label: Labels = None,
    request_id: Annotated[str, typer.Option(help="Makes the command safe to repeat.")] = "",
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it is done, its retries too.")] = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Show its log and progress until it is done.")] = False,
    timeout: Annotated[float | None, typer.Option(help="Seconds to wait.  [default: no end]")] = None,
    address: Address = None,
    output: Output = Format.table,
) -> None:
    """Start a run of a task."""
    with taskwheel.Client(address) as client:
        started = client.task(name).run(
            payload,
            priority=priority,
            schedule_time=schedule_time,
            tags=tag or (),
            labels=values.labels(label),
            request_id=request_id,
        )
        if follow:
            look_on(address, started, output, timeout)
        elif not wait:
            show(started, output)
            return
        finish(client.wait(started, timeout=timeout, follow_retries=True), output)


def finish(run: taskwheel.TaskRun, output: Format) -> None:
    """Print a run that is done, and exit with 1 unless it succeeded."""
    if output is not Format.table:
        show(run, output)
    elif run.state == "SUCCEEDED":
        typer.echo(compact(run.result))
    if run.state != "SUCCEEDED":
        raise taskwheel.RunFailed(run)


def look_on(address: str | None, run: taskwheel.TaskRun, output: Format, timeout: float | None) -> None:
    """Print what a run and its retries write until they are done, with a bar where they report progress."""
    import asyncio

    async def show_progress(client: taskwheel.AsyncClient, bars: Any) -> None:
        bar = None
        while True:
            now = await client.get_run(run, follow_retries=True)
            if now.progress:
                bar = bars.add_task("", total=1.0) if bar is None else bar
                bars.update(bar, completed=now.progress.ratio, description=now.progress.message)
            await asyncio.sleep(_INTERVAL)

    async def main() -> None:
        async with taskwheel.AsyncClient(address) as client:
            with _bars(output) as bars:
                showing = asyncio.create_task(show_progress(client, bars)) if bars else None
                async for entry in client.follow_logs(run, follow_retries=True):
                    stream(entry, output, log_line(entry), entry.level)
                if showing:
                    showing.cancel()

    try:
        asyncio.run(asyncio.wait_for(main(), timeout))
    except TimeoutError:
        raise taskwheel.RunNotDone(run) from None


def _bars(output: Format) -> Any:
    if output is not Format.table or not console().is_terminal:
        return nullcontext()
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    return Progress(*columns, console=console(), transient=True)
