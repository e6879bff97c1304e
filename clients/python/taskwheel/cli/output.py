"""Printing: tables for people, JSON for programs, names for shells."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

import typer

from taskwheel.cli.options import Format

if TYPE_CHECKING:
    from rich.console import Console

    from taskwheel._views import Event, LogEntry, Task, TaskRun, View

_STYLES = {
    "SUCCEEDED": "green",
    "FAILED": "red",
    "CANCELLED": "yellow",
    "CANCELLING": "yellow",
    "RETRIED": "magenta",
    "SKIPPED": "dim",
    "RUNNING": "cyan",
    "PAUSED": "yellow",
    "ERROR": "red",
    "WARNING": "yellow",
    "DEBUG": "dim",
}


@cache
def console() -> Console:
    """The terminal. Elsewhere lines are as long as they are; NO_COLOR is honoured."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 10_000)


def moment(instant: datetime | None) -> str:
    """An instant to the millisecond, in UTC."""
    return f"{instant.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{instant.microsecond // 1000:03}Z" if instant else ""


def compact(value: Any) -> str:
    """A JSON value on one line."""
    return json.dumps(value, ensure_ascii=False)


def show(view: View, form: Format) -> None:
    """Print one thing: all that is set of it."""
    if form is Format.json:
        typer.echo(json.dumps(view.to_dict(), indent=2, ensure_ascii=False))
    elif form is Format.name:
        typer.echo(view.raw.name)
    else:
        rows = [(name, _told(getattr(view, name))) for name in _attributes(view)]
        _table(("", ""), [row for row in rows if row[1]], header=False)


def show_all(
    views: Iterable[View], form: Format, columns: dict[str, Callable[[Any], str]], name: Callable[[Any], str]
) -> None:
    """Print a list. `columns` gives the cells of a table by their heads, `name` what stands for the thing."""
    if form is Format.json:
        typer.echo(json.dumps([view.to_dict() for view in views], indent=2, ensure_ascii=False))
    elif form is Format.name:
        for view in views:
            typer.echo(name(view))
    else:
        _table(columns, [[cell(view) for cell in columns.values()] for view in views])


TASK_COLUMNS: dict[str, Callable[[Task], str]] = {
    "TASK": lambda task: task.task_id,
    "STATE": lambda task: task.state,
    "HANDLER": lambda task: task.handler,
    "SCHEDULES": lambda task: "; ".join(schedule_text(schedule) for schedule in task.schedules),
    "NEXT RUN": lambda task: moment(task.next_run_time),
    "LAST RUN": lambda task: moment(task.last_run_time),
}

RUN_COLUMNS: dict[str, Callable[[TaskRun], str]] = {
    "RUN": lambda run: run.uid,
    "TASK": lambda run: run.task_id,
    "STATE": lambda run: run.state,
    "TRIGGER": lambda run: run.trigger,
    "ATTEMPT": lambda run: str(run.attempt),
    "CREATED": lambda run: moment(run.create_time),
    "TOOK": lambda run: (
        f"{(run.end_time - run.start_time).total_seconds():.3f} s" if run.start_time and run.end_time else ""
    ),
    "REASON": lambda run: run.error.name if run.error else run.state_reason,
}


def schedule_text(schedule: Any) -> str:
    """A schedule on one line."""
    kind = schedule.WhichOneof("spec")
    if kind == "cron":
        return f"{schedule.cron} {schedule.time_zone}".rstrip()
    if kind == "interval":
        return f"every {schedule.interval.ToTimedelta()}"
    return f"at {moment(schedule.at.ToDatetime(tzinfo=UTC))}"


def event_line(event: Event) -> str:
    """An event on one line."""
    about = (event.run or event.task).partition("/")[2].partition("/")[2]
    task = f"  {event.run_snapshot.task_id}" if event.run_snapshot else ""
    return f"{event.sequence:>8}  {moment(event.time)}  {event.type:<16} {about}{task}"


def log_line(entry: LogEntry) -> str:
    """A log entry on one line."""
    fields = f"  {compact(entry.fields)}" if entry.fields else ""
    return f"{moment(entry.time)}  {entry.level:<7}  {entry.message}{fields}"


def stream(view: View, form: Format, line: str, style: str = "") -> None:
    """Print one item of a stream at once; JSON is one object a line."""
    if form is Format.json:
        typer.echo(compact(view.to_dict()))
    else:
        console().print(line, style=_STYLES.get(style, ""), markup=False)


def _attributes(view: View) -> list[str]:
    return [name for name, value in vars(type(view)).items() if hasattr(value, "__get__") and not name.startswith("_")]


def _told(value: Any) -> str:
    from google.protobuf.json_format import MessageToDict

    from taskwheel._views import View

    if value is None or value is False or value in ("", [], {}):
        return ""
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, View):
        return "  ".join(filter(None, (_told(getattr(value, name)) for name in _attributes(value))))
    if isinstance(value, list):
        return "; ".join(schedule_text(item) if hasattr(item, "cron") else str(item) for item in value)
    if isinstance(value, str | timedelta | bool):
        return str(value)
    if isinstance(value, float):
        value = round(value, 4)
    return compact(MessageToDict(value) if hasattr(value, "DESCRIPTOR") else value)


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]], *, header: bool = True) -> None:
    """Columns as wide as what is in them, whatever the terminal's width: a name that is cut is no name."""
    from rich.cells import cell_len
    from rich.text import Text

    lines = [[Text(head, style="bold") for head in heads]] if header else []
    lines += [[Text(cell, style=_STYLES.get(cell, "")) for cell in row] for row in rows]
    widths = [max(cell_len(cell.plain) for cell in column) for column in zip(*lines, strict=True)]
    for line in lines:
        whole = Text("  ").join(
            cell + Text(" " * (width - cell_len(cell.plain))) for cell, width in zip(line, widths, strict=True)
        )
        whole.rstrip()
        console().print(whole)
