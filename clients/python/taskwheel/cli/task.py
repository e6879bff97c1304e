"""`taskwheel task get|list|rename|pause|resume|delete|preview|backfill`."""

from __future__ import annotations

from itertools import islice
from typing import Annotated

import typer

import taskwheel
from taskwheel.cli.options import Address, Format, Instant, Limit, Output, TaskFilter, TaskName, TaskOrder
from taskwheel.cli.output import RUN_COLUMNS, TASK_COLUMNS, console, moment, show, show_all


def register(tasks: typer.Typer) -> None:
    """Add the commands."""
    for command in (get, list_, rename, pause, resume, delete, preview, backfill):
        tasks.command(command.__name__.rstrip("_"))(command)


def get(name: TaskName, *, address: Address = None, output: Output = Format.table) -> None:
    """Show a task."""
    with taskwheel.Client(address) as client:
        show(client.task(name).get(), output)


def list_(
    *,
    filter: TaskFilter = "",
    order_by: TaskOrder = "",
    limit: Limit = 50,
    address: Address = None,
    output: Output = Format.table,
) -> None:
    """List tasks, newest first."""
    with taskwheel.Client(address) as client:
        tasks = client.list_tasks(filter=filter, order_by=order_by, page_size=min(limit, 1000))
        show_all(islice(tasks, limit), output, TASK_COLUMNS, lambda task: task.name)


def rename(
    name: TaskName,
    new_id: Annotated[str, typer.Argument(metavar="NEW_ID", help="The new id.")],
    *,
    address: Address = None,
    output: Output = Format.table,
) -> None:
    """Give a task another id."""
    with taskwheel.Client(address) as client:
        show(client.task(name).rename(new_id), output)


def pause(
    name: TaskName,
    *,
    reason: Annotated[str, typer.Option(help="Why, for people.")] = "",
    address: Address = None,
    output: Output = Format.table,
) -> None:
    """Stop the schedules of a task; its runs go on."""
    with taskwheel.Client(address) as client:
        show(client.task(name).pause(reason), output)


def resume(name: TaskName, *, address: Address = None, output: Output = Format.table) -> None:
    """Start the schedules of a paused task again, from now on."""
    with taskwheel.Client(address) as client:
        show(client.task(name).resume(), output)


def delete(
    name: TaskName,
    *,
    etag: Annotated[str, typer.Option(help="Only if the task still has this etag.")] = "",
    allow_missing: Annotated[bool, typer.Option("--allow-missing", help="Fine if there is no such task.")] = False,
    address: Address = None,
) -> None:
    """Delete a task; its pending runs are cancelled."""
    with taskwheel.Client(address) as client:
        client.task(name).delete(etag=etag, allow_missing=allow_missing)


def preview(
    name: Annotated[str | None, typer.Argument(metavar="[TASK]", help="The task; or give --cron.")] = None,
    *,
    cron: Annotated[str, typer.Option(metavar="EXPRESSION", help="A cron expression that is not stored.")] = "",
    time_zone: Annotated[str, typer.Option(metavar="ZONE", help="The IANA zone of the expression.")] = "UTC",
    after: Instant = None,
    count: Annotated[int, typer.Option(min=1, max=1000, help="How many slots.")] = 10,
    address: Address = None,
    output: Output = Format.table,
) -> None:
    """Show the next times at which a task is due, or a cron expression."""
    if (name is None) == (not cron):
        raise typer.BadParameter("give either a task or --cron")
    with taskwheel.Client(address) as client:
        answer = (
            client.preview(taskwheel.cron(cron, time_zone=time_zone), count=count, after=after)
            if name is None
            else client.task(name).preview(count=count, after=after)
        )
    if output is Format.table:
        console().print(answer.description, style="bold", markup=False)
    columns = {"TIME": lambda slot: moment(slot.time), "CLOCK CHANGE": lambda slot: slot.dst.replace("NONE", "")}
    show_all(answer.slots, output, columns, lambda slot: moment(slot.time))


def backfill(
    name: TaskName,
    start: Annotated[str, typer.Argument(help="The first instant of the range.")],
    end: Annotated[str, typer.Argument(help="The end of the range, which is not part of it.")],
    *,
    request_id: Annotated[str, typer.Option(help="Names the backfill: repeated, it starts nothing twice.")] = "",
    address: Address = None,
    output: Output = Format.table,
) -> None:
    """Start the runs of all slots in a range of time."""
    from taskwheel.cli.values import instant

    with taskwheel.Client(address) as client:
        runs = client.task(name).backfill(instant(start), instant(end), request_id=request_id)
    columns = {"SLOT": lambda run: moment(run.scheduled_time)} | {head: RUN_COLUMNS[head] for head in ("RUN", "STATE")}
    show_all(runs, output, columns, lambda run: run.name)
