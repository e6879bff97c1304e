"""Requests for runs as commands."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any

from taskwheel_server.errors import InvalidArgument
from taskwheel_server.model.names import TaskRef, parse_task
from taskwheel_server.model.uid import Minter
from taskwheel_server.rpc.backend import ANONYMOUS
from taskwheel_server.rpc.opaque import struct_of
from taskwheel_server.rpc.times import optional_microseconds
from taskwheel_server.wheel.commands import NewRun


def read_new_run(request: Any, uid: str, path: str = "") -> NewRun:
    """Return the run that a RunTaskRequest asks for.

    Args:
        request: valid by the contract's rules.
        uid: minted for it.
        path: of the request, with a dot behind it, to name its fields in errors.

    Raises:
        InvalidArgument: a field is at fault.
    """
    new = NewRun(
        uid,
        _task_ref(request.name, path),
        payload=struct_of(request, "payload", path),
        priority=request.priority if request.HasField("priority") else None,
        schedule_time=optional_microseconds(request, "schedule_time", path),
        tags=tuple(request.tags) if request.tags else (),
        labels=dict(request.labels) if request.labels else {},
        request_id=request.request_id or None,
        creator_application=ANONYMOUS,
    )
    if new.request_id:
        labels = sorted(new.labels.items())
        new.request_digest = digest(
            new.payload is None, new.priority, new.schedule_time, new.tags, labels, payload=new.payload or b""
        )
    return new


def _task_ref(name: str, path: str) -> TaskRef:
    try:
        return _cached_ref(name)
    except InvalidArgument as error:
        raise InvalidArgument(f"{path}name", error.description) from None


# Callers start runs of the same few tasks over and over.
_cached_ref = lru_cache(maxsize=4096)(parse_task)


def read_new_runs(request: Any, namespace: str, minter: Minter) -> list[NewRun]:
    """Return the runs that a BatchRunTasksRequest asks for.

    Raises:
        InvalidArgument: a field is at fault, an item of another namespace, or to be validated only.
    """
    runs = []
    items = request.requests
    for index, (item, uid) in enumerate(zip(items, minter.mint_many(len(items)), strict=True)):
        path = f"requests[{index}]."
        if item.validate_only:
            raise InvalidArgument(f"{path}validate_only", "is not allowed in a batch")
        run = read_new_run(item, uid, path)
        if run.task.namespace != namespace:
            raise InvalidArgument(f"{path}name", "must be of the namespace in parent")
        runs.append(run)
    return runs


def digest(*intent: object, payload: bytes = b"") -> bytes:
    """Return a digest of what a request asks for, to tell its repetition from a reuse of its request_id."""
    hashed = hashlib.blake2b(repr(intent).encode(), digest_size=16)
    # By itself: as text it would be four times its size.
    hashed.update(payload)
    return hashed.digest()
