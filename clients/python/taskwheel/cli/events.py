"""`taskwheel events`."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Annotated

import taskwheel
from taskwheel.cli.connection import Connection
from taskwheel.cli.options import EventFilter, Format, Limit, Output, option
from taskwheel.cli.output import event_line, stream


def events(
    *,
    follow: Annotated[bool, option("--follow", "-f", help="Go on as they happen; --limit has no part.")] = False,
    after: Annotated[int | None, option(min=0, metavar="N", help="Begin after event N; 0: with the oldest.")] = None,
    filter: EventFilter = "",
    limit: Limit = 50,
    connection: Connection,
    output: Output = Format.table,
) -> None:
    """Print events: the last ones, or with --follow those to come."""
    with connection.client() as client:
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
