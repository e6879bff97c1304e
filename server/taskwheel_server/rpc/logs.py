"""StreamTaskRunLogs: what runs wrote, read from the store as fast as the caller takes it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from taskwheel_server.db import logs, runs
from taskwheel_server.errors import Unavailable
from taskwheel_server.feed import Feed
from taskwheel_server.model.event import LogEntry
from taskwheel_server.model.names import RunRef, parse_run, run_name
from taskwheel_server.rpc.backend import Backend
from taskwheel_server.rpc.lookup import find_run
from taskwheel_server.rpc.messages import StreamTaskRunLogsRequest, StreamTaskRunLogsResponse
from taskwheel_server.rpc.times import put

if TYPE_CHECKING:
    from taskwheel_server.db import Connection

PAGE_ENTRIES = 1_000
PAGE_BYTES = 3 * 1024 * 1024
# Of an entry without its text and fields.
_ENTRY_BYTES = 128


@dataclass(frozen=True, slots=True)
class _Page:
    """Entries of a run, and how it stood before they were read: if it was done then, no more will come."""

    response: StreamTaskRunLogsResponse
    log_count: int
    done: bool
    retried_by_run: str | None


async def stream_task_run_logs(
    backend: Backend, feed: Feed, request: StreamTaskRunLogsRequest
) -> AsyncIterator[StreamTaskRunLogsResponse]:
    """Yield the entries of a run, and of its later attempts if asked to.

    Raises:
        NotFound: RUN_EXPIRED or RUN_NOT_FOUND.
        Unavailable: SHUTTING_DOWN with the `run` and `after_sequence` to resume with, or the store cannot be read.
    """
    ref = parse_run(request.name)
    after = request.after_sequence
    while True:
        await backend.read(find_run, ref, backend.horizon)
        # The signal comes before each read, so that what is written between the two is not missed.
        with feed.signal(ref.uid) as signal:
            while (page := await backend.read(_read, ref, after, request.min_level)).response.entries or (
                request.follow and not page.done
            ):
                if page.response.entries:
                    after = page.response.entries[-1].sequence
                    yield page.response
                    continue
                # What lies below the least level is not looked through again.
                after = max(after, page.log_count)
                try:
                    await signal.wait()
                except Unavailable as error:
                    error.metadata |= {"run": str(ref), "after_sequence": str(after)}
                    raise
        if not (request.follow_retries and page.retried_by_run):
            return
        ref, after = RunRef(ref.namespace, page.retried_by_run), 0


def _read(connection: Connection, ref: RunRef, after: int, min_level: int) -> _Page:
    run = runs.by_uid(connection, [ref.uid]).get(ref.uid)
    response = StreamTaskRunLogsResponse()
    size = 0
    for entry in logs.after(connection, ref.uid, after, min_level, PAGE_ENTRIES):
        size += _ENTRY_BYTES + len(entry.message.encode()) + len(entry.fields or b"")
        if response.entries and size > PAGE_BYTES:
            break
        _put_entry(response.entries.add(), entry, ref.namespace)
    # A run whose time of retention has come meanwhile is as good as done.
    return _Page(
        response,
        run.log_count if run else 0,
        run is None or run.state.done,
        run.retried_by_run if run else None,
    )


def _put_entry(message: Any, entry: LogEntry, namespace: str) -> None:
    message.sequence = entry.sequence
    message.run = run_name(namespace, entry.run_uid)
    put(message.time, entry.time)
    message.level = entry.level
    message.stream = entry.stream
    message.message = entry.message
    if entry.fields is not None:
        message.fields = entry.fields
