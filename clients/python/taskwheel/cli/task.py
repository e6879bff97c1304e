"""`taskwheel task get|list|rename|pause|resume|delete|preview|backfill`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer

import taskwheel
from taskwheel.cli.connection import Connection, connected
from taskwheel.cli.options import Format, Instant, Limit, Output, TaskFilter, TaskName, TaskOrder, option
from taskwheel.cli.output import RUN_COLUMNS, TASK_COLUMNS, console, moment, show, show_all


def register(tasks: typer.Typer) -> None:
    """Add the commands."""
    for command in (get, list_, rename, pause, resume, delete, preview, backfill):
        tasks.command(command.__name__.rstrip("_"))(connected(command))


def get(name: TaskName, *, connection: Connection, output: Output = Format.table) -> None:
    """Show a task."""
    with connection.client() as client:
        show(client.task(name).get(), output)


def list_(
    *,
    filter: TaskFilter = "",
    order_by: TaskOrder = "",
    limit: Limit = 50,
    connection: Connection,
    output: Output = Format.table,
) -> None:
    """List tasks."""
    with connection.client() as client:
        tasks = client.list_tasks(filter=filter, order_by=order_by, page_size=min(limit, 1000))
        show_all(islice(tasks, limit), output, TASK_COLUMNS, lambda task: task.name)


def rename(
    name: TaskName,
    new_id: Annotated[str, typer.Argument(metavar="NEW_ID", help="Letters, digits, _ and -.")],
    *,
    connection: Connection,
    output: Output = Format.table,
) -> None:
    """Give a task another id."""
    with connection.client() as client:
        show(client.task(name).rename(new_id), output)


def pause(
    name: TaskName,
    *,
    reason: Annotated[str, option(metavar="TEXT", help="Why, for people.")] = "",
    connection: Connection,
    output: Output = Format.table,
) -> None:
    """Stop the schedules of a task. Its runs go on."""
    with connection.client() as client:
        show(client.task(name).pause(reason), output)


def resume(name: TaskName, *, connection: Connection, output: Output = Format.table) -> None:
    """Start the schedules of a task again, from now."""
    with connection.client() as client:
        show(client.task(name).resume(), output)


def delete(
    name: TaskName,
    *,
    etag: Annotated[str, option(metavar="ETAG", help="Only if the task still has it.")] = "",
    allow_missing: Annotated[bool, option("--allow-missing", help="Succeed if there is none.")] = False,
    connection: Connection,
) -> None:
    """Delete a task and cancel its PENDING runs."""
    with connection.client() as client:
        client.task(name).delete(etag=etag, allow_missing=allow_missing)


def preview(
    name: Annotated[
        str | None, typer.Argument(metavar="TASK", help="Its id, full name or uid; or give --cron.")
    ] = None,
    *,
    cron: Annotated[str, option(metavar="EXPRESSION", help="An expression, in the place of a task.")] = "",
    time_zone: Annotated[str, option(metavar="ZONE", help="Of --cron, such as Europe/Berlin.")] = "UTC",
    after: Instant = None,
    count: Annotated[int, option(min=1, max=1000, metavar="N", help="How many, up to 1000.")] = 10,
    connection: Connection,
    output: Output = Format.table,
) -> None:
    """Show when a task, or a cron expression, is due next."""
    if (name is None) == (not cron):
        raise typer.BadParameter("give either a task or --cron")
    with connection.client() as client:
        if name is None:
            schedules = [taskwheel.cron(cron, time_zone=time_zone)]
            answer = client.preview(schedules[0], count=count, after=after)
        else:
            schedules = client.task(name).get().schedules
            answer = client.task(name).preview(count=count, after=after)
    if output is Format.table:
        console().print(answer.description, style="bold", markup=False)
    columns = {
        "TIME": lambda slot: moment(slot.time),
        **_local_columns(schedules),
        "CLOCK CHANGE": lambda slot: slot.dst.replace("NONE", ""),
    }
    show_all(answer.slots, output, columns, lambda slot: moment(slot.time))


def _local_columns(schedules: list[Any]) -> dict[str, Callable[[taskwheel.Slot], str]]:
    """A column for each zone that schedules go by."""
    columns: dict[str, Callable[[taskwheel.Slot], str]] = {}
    for name in sorted({schedule.time_zone for schedule in schedules} - {"", "UTC"}):
        with suppress(ZoneInfoNotFoundError):  # a machine without zone files
            columns[name] = partial(_local, zone=ZoneInfo(name))
    return columns


def _local(slot: taskwheel.Slot, zone: ZoneInfo) -> str:
    """The slot as the clocks of a zone show it. The offset tells the two passes of an hour that comes twice apart."""
    return slot.time.astimezone(zone).isoformat(timespec="seconds") if slot.time else ""


def backfill(
    name: TaskName,
    start: Annotated[str, typer.Argument(metavar="START", help="Such as 2026-01-31T08:00:00Z.")],
    end: Annotated[str, typer.Argument(metavar="END", help="Not part of the range itself.")],
    *,
    request_id: Annotated[str, option(metavar="ID", help="Repeated with it, it starts nothing twice.")] = "",
    connection: Connection,
    output: Output = Format.table,
) -> None:
    """Start a run for each slot from START to END."""
    from taskwheel.cli.values import instant

    with connection.client() as client:
        runs = client.task(name).backfill(instant(start), instant(end), request_id=request_id)
    columns = {"SLOT": lambda run: moment(run.scheduled_time)} | {head: RUN_COLUMNS[head] for head in ("RUN", "STATE")}
    show_all(runs, output, columns, lambda run: run.name)
