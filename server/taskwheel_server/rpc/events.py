"""EventService."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from taskwheel_server.db.event_reads import event_filter, list_events
from taskwheel_server.db.listing import Query
from taskwheel_server.feed import Feed
from taskwheel_server.filters import EVERYTHING, Filter, matches
from taskwheel_server.model.event import Event
from taskwheel_server.rpc.backend import Backend, namespace_of
from taskwheel_server.rpc.endpoint import Context
from taskwheel_server.rpc.event_message import put_event
from taskwheel_server.rpc.listing import read_query
from taskwheel_server.rpc.messages import ListEventsRequest, ListEventsResponse, WatchEventsRequest

if TYPE_CHECKING:
    from taskwheel_server.db import Connection

_VALUES: Mapping[str, Callable[[Event], Any]] = {
    "sequence": attrgetter("sequence"),
    "type": attrgetter("type"),
    "time": attrgetter("time"),
    "task": attrgetter("task_uid"),
    "task_uid": attrgetter("task_uid"),
    "task_id": attrgetter("task_id"),
    "run": attrgetter("run_uid"),
    "state_reason": attrgetter("reason"),
    "worker": attrgetter("worker"),
}


class EventService:
    """The rpcs of taskwheel.v1.EventService."""

    def __init__(self, backend: Backend, feed: Feed) -> None:
        self._backend = backend
        self._feed = feed

    async def WatchEvents(self, request: WatchEventsRequest, context: Context) -> None:
        namespace = namespace_of(request.parent)
        after = request.after_sequence if request.HasField("after_sequence") else None
        where = await self._backend.read(event_filter, namespace, request.filter)
        await self._feed.watch(namespace, after, self._backend.horizon, _matcher(where), context.write)

    async def ListEvents(self, request: ListEventsRequest, context: Context) -> ListEventsResponse:
        return await self._backend.list(_list, read_query(request), self._backend.horizon)


def _matcher(where: Filter) -> Callable[[Event], bool] | None:
    """Return the filter as a function; None when it lets everything through."""
    if where == EVERYTHING:
        return None
    return lambda event: matches(where, lambda field: _VALUES[field](event))


def _list(connection: Connection, query: Query, horizon: int) -> ListEventsResponse:
    """Return a page as a message: snapshots take a while to make, so it is done off the event loop."""
    page = list_events(connection, query, horizon)
    response = ListEventsResponse(next_page_token=page.next_page_token, total_size=page.total_size)
    for event in page.rows:
        put_event(response.events.add(), event)
    return response
