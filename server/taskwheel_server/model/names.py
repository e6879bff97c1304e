"""Resource names and the short forms that requests may use (AIP-122, with the departures of the proto's comments)."""

from __future__ import annotations

import re
from typing import NamedTuple

from taskwheel_server.errors import InvalidArgument, clip
from taskwheel_server.model.uid import UID

DEFAULT_NAMESPACE = "default"

_TASK_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_ANY_UID = re.compile(r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")
_NAMESPACE = "namespaces/([a-z](?:[a-z0-9-]{0,61}[a-z0-9])?)"
_PARENT = re.compile(_NAMESPACE)
_TASK = re.compile(f"(?:(?:{_NAMESPACE}/)?tasks/)?({_TASK_ID.pattern})")
_RUN = re.compile(f"(?:(?:{_NAMESPACE}/)?runs/)?({UID.pattern.replace('a-f', 'a-fA-F')})")


class TaskRef(NamedTuple):
    """How a caller points at a task: exactly one of `uid` and `task_id` is set."""

    namespace: str
    task_id: str = ""
    uid: str = ""

    def __str__(self) -> str:
        """Return the name to say in messages."""
        return f"namespaces/{self.namespace}/tasks/{self.uid or self.task_id}"


class RunRef(NamedTuple):
    """How a caller points at a run."""

    namespace: str
    uid: str

    def __str__(self) -> str:
        """Return the full name."""
        return run_name(self.namespace, self.uid)


def task_name(namespace: str, task_id: str) -> str:
    """Return a task's full name."""
    return f"namespaces/{namespace}/tasks/{task_id}"


def run_name(namespace: str, uid: str) -> str:
    """Return a run's full name."""
    return f"namespaces/{namespace}/runs/{uid}"


def check_task_id(task_id: str, field: str) -> str:
    """Return a new task's id, or raise InvalidArgument: `[A-Za-z0-9_-]{1,128}`, not `-` and not like a uid."""
    if not _TASK_ID.fullmatch(task_id) or task_id == "-":
        raise InvalidArgument(field, f"must be 1 to 128 letters, digits, '-' or '_', and not '-': {clip(task_id)!r}")
    if _ANY_UID.fullmatch(task_id):
        raise InvalidArgument(field, "must not look like a uid, which names tasks too")
    return task_id


def parse_parent(parent: str, field: str = "parent") -> str:
    """Return the namespace of `namespaces/{namespace}`; empty means the default one. Raises InvalidArgument."""
    if not parent:
        return DEFAULT_NAMESPACE
    if not (match := _PARENT.fullmatch(parent)):
        raise InvalidArgument(field, f"must be 'namespaces/{{namespace}}': {clip(parent)!r}")
    return match[1]


def parse_task(name: str, field: str = "name") -> TaskRef:
    """Read `namespaces/n/tasks/nightly`, `tasks/nightly`, `nightly` or a uid. Raises InvalidArgument."""
    match = _TASK.fullmatch(name)
    if not match or match[2] == "-":
        raise InvalidArgument(field, f"must be a task's name, id or uid: {clip(name)!r}")
    namespace, rest = match[1] or DEFAULT_NAMESPACE, match[2]
    if UID.fullmatch(rest.lower()):
        return TaskRef(namespace, uid=rest.lower())
    return TaskRef(namespace, task_id=rest)


def parse_run(name: str, field: str = "name") -> RunRef:
    """Read `namespaces/n/runs/uid`, `runs/uid` or a uid. Raises InvalidArgument."""
    if not (match := _RUN.fullmatch(name)):
        raise InvalidArgument(field, f"must be a run's name or uid: {clip(name)!r}")
    return RunRef(match[1] or DEFAULT_NAMESPACE, match[2].lower())
