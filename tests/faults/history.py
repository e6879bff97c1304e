"""What clients saw, a line of JSON a record, in files that survive whoever wrote them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Call:
    """A unary call. `request` and `answer` hold what the checker asks for; no answer unless the status is OK.

    RunTask, BatchRunTasks   request: runs [{task, request_id, n}]    answer: runs [name]
    CreateTask               request: task_id                        answer: uid
    CancelTaskRun            request: run                             answer: state
    GetTaskRun               request: run                             answer: state, done
    AppendLogs               request: run, token, lines               answer: nothing
    """

    method: str
    request: dict[str, Any]
    status: str
    began: float
    ended: float
    answer: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Begun:
    """A worker began to execute a run."""

    worker: str
    run: str
    attempt: int
    token: str
    at: float


@dataclass(frozen=True, kw_only=True)
class Reported:
    """A worker is about to report a run for the first time: `outcome` is result, error or cancelled."""

    worker: str
    run: str
    token: str
    outcome: str
    at: float


@dataclass(frozen=True, kw_only=True)
class Acknowledged:
    """The server answered a report: `status` is ACCEPTED or LEASE_LOST."""

    worker: str
    run: str
    token: str
    status: str
    at: float


@dataclass(frozen=True, kw_only=True)
class Told:
    """The server told a worker something: `what` is GOAWAY, CANCEL_REQUESTED or LEASE_LOST."""

    worker: str
    what: str
    run: str
    at: float


@dataclass(frozen=True, kw_only=True)
class Resumed:
    """A subscriber opened a stream after an event."""

    subscriber: str
    after: int
    at: float


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A subscriber saw an event."""

    subscriber: str
    sequence: int
    type: str
    run: str
    at: float


Record = Call | Begun | Reported | Acknowledged | Told | Resumed | Seen
_KINDS: dict[str, type[Record]] = {
    kind.__name__: kind for kind in (Call, Begun, Reported, Acknowledged, Told, Resumed, Seen)
}


class History:
    """A file of records; each is with the kernel before `add` returns, so that kill -9 does not take it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def add(self, record: Record) -> None:
        """Append a record."""
        line = json.dumps({"kind": type(record).__name__, **vars(record)})
        os.write(self._file, line.encode() + b"\n")

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def read(*paths: Path) -> list[Record]:
    """Return the records of all files that exist."""
    return [_record(json.loads(line)) for path in paths if path.exists() for line in path.read_text().splitlines()]


def _record(fields: dict[str, Any]) -> Record:
    return _KINDS[fields.pop("kind")](**fields)


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run as it is stored at the end. `mark` is the token that its result or its error carries."""

    name: str
    task_id: str
    state: str
    trigger: str = "MANUAL"
    attempt: int = 1
    request_id: str = ""
    n: int = 0
    mark: str = ""
    error_name: str = ""
    state_reason: str = ""
    retried_by_run: str = ""
    retry_for_runs: tuple[str, ...] = ()
    root_run: str = ""
    scheduled_time: float = 0.0
    start_time: float = 0.0
    end_time: float = 0.0
    done: bool = True


@dataclass(frozen=True, kw_only=True)
class Event:
    """An event as it is stored at the end."""

    sequence: int
    type: str
    run: str = ""


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What a task promises of its runs."""

    max_attempts: int = 1
    retry_on_lost: bool = False
    interval: float = 0.0
    max_concurrent_runs: int = 0


@dataclass(kw_only=True)
class Final:
    """All that the API tells when everything has ended."""

    runs: dict[str, Run]
    events: list[Event]
    tasks: dict[str, str]
    logs: dict[str, list[str]] = field(default_factory=dict)


def by_name(runs: Iterable[Run]) -> dict[str, Run]:
    """Return runs by their names."""
    return {run.name: run for run in runs}
