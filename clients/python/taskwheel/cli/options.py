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
    option("--output", "-o", envvar="TASKWHEEL_OUTPUT", help="For people, for programs, or names alone."),
]
Timeout = Annotated[
    timedelta | None,
    option(help="Wait at most so long, such as 30s.  [default: no end]", **LENGTH),
]
TaskName = Annotated[str, typer.Argument(metavar="TASK", help="Its id, full name or uid.")]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="Its uid or full name.")]
Payload = Annotated[
    dict[str, Any] | None,
    option(parser=values.payload, metavar="JSON|@FILE|-", help="A JSON object for the handler."),
]
Tags = Annotated[list[str] | None, option("--tag", metavar="TAG", help="May be repeated.")]
Labels = Annotated[list[str] | None, option("--label", metavar="KEY=VALUE", help="May be repeated.")]
RunFilter = Annotated[str, option(metavar="FILTER", help="Such as: state = FAILED AND task = nightly")]
TaskFilter = Annotated[str, option(metavar="FILTER", help='Such as: state = PAUSED AND tags:"reports"')]
EventFilter = Annotated[str, option(metavar="FILTER", help="Such as: type = run_failed AND task = nightly")]
RunOrder = Annotated[str, option(metavar="FIELDS", help="Such as: end_time desc  [default: newest first]")]
TaskOrder = Annotated[str, option(metavar="FIELDS", help="Such as: next_run_time  [default: newest first]")]
Limit = Annotated[int, option(min=1, metavar="N", help="Print at most N.")]
Instant = Annotated[
    datetime | None,
    option(parser=values.instant, metavar="TIME", help="Such as 2026-01-31T08:00:00Z or +10m.  [default: now]"),
]
