"""Options that several commands have."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Annotated, Any

import typer

from taskwheel.cli import values

# The variables are told once, in the help of `taskwheel` itself.
option = partial(typer.Option, show_envvar=False)

LENGTH: Any = {"parser": values.duration, "metavar": "DURATION"}


class Format(StrEnum):
    """How results are printed."""

    table = "table"
    json = "json"
    name = "name"


Output = Annotated[
    Format,
    option("--output", "-o", envvar="TASKWHEEL_OUTPUT", help="Print for people, for programs, or names."),
]
Timeout = Annotated[
    timedelta | None,
    option(help="How long to wait, such as 30s.  [default: no end]", **LENGTH),
]
TaskName = Annotated[str, typer.Argument(metavar="TASK", help="Id, full name or uid of the task.")]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="Uid or full name of the run.")]
Payload = Annotated[
    dict[str, Any] | None,
    option(parser=values.payload, metavar="JSON|@FILE|-", help="What the handler is given: a JSON object."),
]
Tags = Annotated[list[str] | None, option("--tag", help="A tag; may be repeated.")]
Labels = Annotated[list[str] | None, option("--label", metavar="KEY=VALUE", help="A label; may be repeated.")]
RunFilter = Annotated[str, option(help="An AIP-160 filter, such as: state = FAILED AND task = nightly")]
TaskFilter = Annotated[str, option(help='An AIP-160 filter, such as: state = PAUSED AND tags:"reports"')]
EventFilter = Annotated[str, option(help="An AIP-160 filter, such as: type = run_failed AND task = nightly")]
RunOrder = Annotated[str, option(help="Fields to order by, such as: end_time desc")]
TaskOrder = Annotated[str, option(help="Fields to order by, such as: next_run_time")]
Limit = Annotated[int, option(min=1, help="How many to print at most.")]
Instant = Annotated[
    datetime | None, option(parser=values.instant, metavar="TIME", help="ISO 8601 with a zone, or +10m.")
]
