"""What `taskwheel dev` shows: the tasks of the sample are made and run, and all that happens is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime

from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from taskwheel import AlreadyExists, AsyncClient, Event, RunFailed, TaskRun
from taskwheel.cli.output import compact, console
from taskwheel.sample import tasks

SCHEDULED = "report-every-minute"
ON_DEMAND = ("report", "second-try")

# By level, and by the end of an event's type.
_STYLES = {
    "WARNING": "yellow",
    "ERROR": "red",
    "succeeded": "green",
    "failed": "red",
    "retried": "yellow",
    "skipped": "yellow",
    "cancelled": "yellow",
}
_INTERVAL = 0.1


class Tour:
    """Runs the sample on a server and tells what happens.

    Args:
        client: the connection.
    """

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def run(self) -> AsyncIterator[Event]:
        """Make the tasks, run those on demand to their end, and answer the events that follow.

        Raises:
            RunFailed: a run ended otherwise than SUCCEEDED.
        """
        for name, fields in tasks().items():
            try:
                await self._client.create_task(name, **fields)
                tell(f"task     {name} is made")
            except AlreadyExists:
                tell(f"task     {name} is there")
        tell()
        events = await self._client.watch_events()
        runs = [await self._client.task(name).run() for name in ON_DEMAND]
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tell_logs(runs[0]))
            group.create_task(self._tell_progress(runs[0]))
            await _tell_until_done(events, {run.name for run in runs})
        for run in runs:
            _tell_result(await self._client.get_run(run, follow_retries=True))
        preview = await self._client.task(SCHEDULED).preview(count=3)
        tell(f"\n{SCHEDULED} runs by itself: {preview.description}", style="bold")
        tell(f"  next at           {', '.join(_clock(slot.time, 'seconds') for slot in preview.slots)}")
        return events

    async def _tell_logs(self, run: TaskRun) -> None:
        async for entry in self._client.follow_logs(run):
            fields = "".join(f"  {name}={value}" for name, value in (entry.fields or {}).items())
            line = f"{_clock(entry.time)}  log    {entry.level:<7} {entry.message}{fields}"
            tell(line, style=_STYLES.get(entry.level, ""))

    async def _tell_progress(self, run: TaskRun) -> None:
        if not console().is_terminal:
            return
        columns = (TextColumn("{task.fields[name]}"), BarColumn(), TextColumn("{task.description}"))
        with Progress(*columns, console=console(), transient=True) as bars:
            bar = bars.add_task("", total=1, name=run.task_id)
            while not run.done:
                await asyncio.sleep(_INTERVAL)
                run = await self._client.get_run(run)
                if run.progress:
                    bars.update(bar, completed=run.progress.ratio, description=run.progress.message)


def tell(line: str = "", *, style: str = "") -> None:
    """Print one line, as it stands."""
    console().print(Text(line, style))


def tell_event(event: Event) -> None:
    """Print an event, with what its run has to say."""
    run = event.run_snapshot
    task, uid = (name.rpartition("/")[2] for name in (event.task, event.run))
    parts = [f"{event.type:<14}", task, _about(run) if run else "", uid]
    line = f"{_clock(event.time)}  event  #{event.sequence:<4} {'  '.join(filter(None, parts))}"
    tell(line, style=_STYLES.get(event.type.rpartition("_")[2], "cyan"))


async def _tell_until_done(events: AsyncIterator[Event], names: set[str]) -> None:
    async for event in events:
        tell_event(event)
        run = event.run_snapshot
        if event.run in names and run and run.done:
            names.discard(event.run)
            if run.retried_by_run:
                names.add(run.retried_by_run)
        if not names:
            return


def _tell_result(run: TaskRun) -> None:
    if run.state != "SUCCEEDED":
        raise RunFailed(run)
    tell(f"\n{run.task_id} {run.state} at attempt {run.attempt}, in {_seconds(run)}", style="bold green")
    for key, value in sorted((run.result or {}).items()):
        line = f"  {key:<18}{value if isinstance(value, str) else compact(value)}"
        console().print(line, markup=False, soft_wrap=key == "report", no_wrap=True, overflow="ellipsis")


def _about(run: TaskRun) -> str:
    if run.error:
        return f"{run.error.name}: {run.error.message}"
    if run.state == "PENDING":
        return f"{run.trigger} {run.state_reason}".rstrip()
    if run.state == "RUNNING":
        return f"attempt {run.attempt}, {run.worker}"
    return f"in {_seconds(run)}" if run.state == "SUCCEEDED" else run.state_reason


def _seconds(run: TaskRun) -> str:
    return f"{(run.end_time - run.start_time).total_seconds():.3f} s" if run.end_time and run.start_time else ""


def _clock(time: datetime | None, precision: str = "milliseconds") -> str:
    return time.astimezone().time().isoformat(precision) if time else ""
