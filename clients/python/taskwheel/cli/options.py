"""Options that several commands have."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import typer

from taskwheel.cli import values


class Format(StrEnum):
    """How results are printed."""

    table = "table"
    json = "json"
    name = "name"


Address = Annotated[
    str | None,
    typer.Option(envvar="TASKWHEEL_ADDRESS", help="Host and port of the server.  [default: localhost:7420]"),
]
Output = Annotated[
    Format,
    typer.Option("--output", "-o", envvar="TASKWHEEL_OUTPUT", help="Print for people, for programs, or names."),
]
TaskName = Annotated[str, typer.Argument(metavar="TASK", help="Id, full name or uid of the task.")]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="Uid or full name of the run.")]
Payload = Annotated[
    dict[str, Any] | None,
    typer.Option(parser=values.payload, metavar="JSON|@FILE|-", help="What the handler is given: a JSON object."),
]
Tags = Annotated[list[str] | None, typer.Option("--tag", help="A tag; may be repeated.")]
Labels = Annotated[list[str] | None, typer.Option("--label", metavar="KEY=VALUE", help="A label; may be repeated.")]
RunFilter = Annotated[str, typer.Option(help="An AIP-160 filter, such as: state = FAILED AND task = nightly")]
TaskFilter = Annotated[str, typer.Option(help='An AIP-160 filter, such as: state = PAUSED AND tags:"reports"')]
EventFilter = Annotated[str, typer.Option(help="An AIP-160 filter, such as: type = run_failed AND task = nightly")]
RunOrder = Annotated[str, typer.Option(help="Fields to order by, such as: end_time desc")]
TaskOrder = Annotated[str, typer.Option(help="Fields to order by, such as: next_run_time")]
Limit = Annotated[int, typer.Option(min=1, help="How many to print at most.")]
Instant = Annotated[
    datetime | None, typer.Option(parser=values.instant, metavar="TIME", help="ISO 8601 with a zone, or +10m.")
]
