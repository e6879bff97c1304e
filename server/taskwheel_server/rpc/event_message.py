"""Events as messages.

The snapshot of a run is its row, masked by what was known at the event: rows of runs live on, events do not change.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any
from uuid import UUID

from taskwheel_server.db import tasks
from taskwheel_server.feed import Codec
from taskwheel_server.model.event import Event, EventType
from taskwheel_server.model.names import run_name, task_name
from taskwheel_server.model.run import Run
from taskwheel_server.model.state import State
from taskwheel_server.rpc.messages import WatchEventsResponse
from taskwheel_server.rpc.run_message import put_run
from taskwheel_server.rpc.task_message import task_message
from taskwheel_server.rpc.times import put

_LIVE_STATES = {
    EventType.RUN_PENDING: State.READY,
    EventType.RUN_STARTED: State.RUNNING,
    EventType.RUN_CANCELLING: State.CANCELLING,
}
_VERSION_7 = 0x7 << 76
_VARIANT = 0x2 << 62


def event_uid(namespace: str, sequence: int, time: int) -> str:
    """Return the uid of an event: a UUIDv7 of its time whose other bits are a hash of namespace and sequence.

    Thus it is the same whoever reads it, and need not be stored.
    """
    digest = int.from_bytes(blake2b(f"{namespace}/{sequence}".encode(), digest_size=10).digest())
    high, low = digest >> 62 & 0xFFF, digest & ((1 << 62) - 1)
    return str(UUID(int=time // 1000 << 80 | _VERSION_7 | high << 64 | _VARIANT | low))


def put_event(message: Any, event: Event) -> None:
    """Set an Event message to an event as read back; its run is masked in place."""
    message.sequence = event.sequence
    message.uid = event_uid(event.namespace, event.sequence, event.time)
    message.type = event.type.label
    put(message.time, event.time)
    if event.detail is not None:
        task = tasks.load(event.detail)
        event.task_id = task.task_id
        message.task_snapshot.CopyFrom(task_message(task))
    if event.task_id:
        message.task = task_name(event.namespace, event.task_id)
    if event.run_uid is not None:
        message.run = run_name(event.namespace, event.run_uid)
    if event.run is None:
        return
    if event.type is EventType.TASK_FAILED:
        _put_failure(message.task_failed, event.run)
    else:
        _mask(event, event.run)
        put_run(message.run_snapshot, event.run, full=False)


def _put_failure(message: Any, run: Run) -> None:
    message.id = run.uid
    message.function_name = run.task_id
    message.error.type = run.error_type or ""
    message.error.name = run.error_name or ""
    message.error.message = run.error_message or ""


def _mask(event: Event, run: Run) -> None:
    """Turn a run's row back to what it was at the event; at the end of the run, that is the row."""
    if event.type not in _LIVE_STATES:
        return
    if event.type is EventType.RUN_PENDING:
        run.start_time = None
    elif event.type is EventType.RUN_STARTED:
        run.start_time = event.time
    run.state = _LIVE_STATES[event.type]
    run.state_reason = event.reason
    run.state_change_time = run.update_time = event.time
    run.worker = event.worker
    run.end_time = run.progress_ratio = run.progress_message = None
    run.log_count = 0


def _encode(event: Event) -> bytes:
    response = WatchEventsResponse()
    put_event(response.events.add(), event)
    encoded: bytes = response.SerializeToString()
    return encoded


def mark(sequence: int) -> bytes:
    """Return a response that tells up to which sequence the stream is complete."""
    encoded: bytes = WatchEventsResponse(sequence=sequence).SerializeToString()
    return encoded


# Serialized messages of one type, joined, are one: repeated fields follow each other, of other fields the last counts.
EVENT_CODEC = Codec(event=_encode, mark=mark)
