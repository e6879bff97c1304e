"""`taskwheel events`."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Annotated

import typer

import taskwheel
from taskwheel.cli.options import Address, EventFilter, Format, Limit, Output
from taskwheel.cli.output import event_line, stream


def events(
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with events as they happen.")] = False,
    after: Annotated[int | None, typer.Option(min=0, help="Begin after this sequence; 0: with the oldest.")] = None,
    filter: EventFilter = "",
    limit: Limit = 50,
    address: Address = None,
    output: Output = Format.table,
) -> None:
    """Print what happened to tasks and runs: the last events, or with --follow what happens from now on."""
    with taskwheel.Client(address) as client:
        chosen: Iterable[taskwheel.Event]
        if follow:
            chosen = client.watch_events(filter=filter, after=after)
        elif after is None:
            newest = client.list_events(filter=filter, page_size=min(limit, 1000))
            chosen = reversed(list(islice(newest, limit)))
        else:
            later = f"sequence > {after}" + (f" AND ({filter})" if filter else "")
            chosen = islice(client.list_events(filter=later, order_by="sequence", page_size=min(limit, 1000)), limit)
        for event in chosen:
            stream(event, output, event.run or event.task if output is Format.name else event_line(event))
