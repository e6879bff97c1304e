"""Admit: new runs into the table, each request id once, each command whole or not at all."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING

from taskwheel_server.db import runs, tasks
from taskwheel_server.errors import AlreadyExists, NotFound, TaskwheelError, clip
from taskwheel_server.model.event import EventType
from taskwheel_server.model.names import TaskRef
from taskwheel_server.model.run import Run
from taskwheel_server.model.state import OverlapPolicy, State, StateReason, Trigger

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskwheel_server.db import Connection
    from taskwheel_server.model.task import Task
    from taskwheel_server.wheel.commands import AdmitRuns, NewRun
    from taskwheel_server.wheel.turn import Turn

_EVENT_OF_NEW = {
    State.WAITING: EventType.RUN_PENDING,
    State.HELD: EventType.RUN_PENDING,
    State.READY: EventType.RUN_PENDING,
    State.SKIPPED: EventType.RUN_SKIPPED,
}


def admit(turn: Turn, commands: list[AdmitRuns]) -> None:
    """Admit the runs of `commands` and answer each with its runs, or with the error of the first that is at fault."""
    book = _Book(turn, commands)
    fresh: list[Run] = []
    for command in commands:
        try:
            admitted, new = book.enter(command)
        except TaskwheelError as error:
            turn.answer(command, error)
        else:
            fresh += new
            turn.answer(command, admitted)
    enter(turn, fresh, book.independent)


def enter(turn: Turn, fresh: list[Run], independent: set[str]) -> None:
    """Store new runs; a ready one of an `independent` task (uid) waits for a worker to take it on in the same write."""
    if turn.replay:
        store(turn, fresh)
        return
    _announce(turn, fresh)
    turn.fresh += [run for run in fresh if run.state is State.READY and run.task_uid in independent]
    _insert(turn, [run for run in fresh if run.state is not State.READY or run.task_uid not in independent])


def is_independent(task: Task) -> bool:
    """Tell whether a task's runs are not judged by each other: no limit, no overlap policy."""
    return task.overlap_policy is OverlapPolicy.ALLOW and not task.max_concurrent_runs


class _Book:
    """What the commands of a turn refer to: their tasks, and the runs that their request ids have brought about."""

    def __init__(self, turn: Turn, commands: list[AdmitRuns]) -> None:
        self._turn = turn
        self._tasks: dict[TaskRef, Task] = {}
        self._requests: dict[tuple[str, str], Run] = {}
        self.independent: set[str] = set()
        # Few request ids come twice: they are looked up when the insert has met one.
        asked: dict[str, set[str]] = {}
        for command in commands if turn.replay else ():
            for new in command.runs:
                if new.request_id is not None:
                    asked.setdefault(new.task.namespace, set()).add(new.request_id)
        self._lock_limited({new.task for command in commands for new in command.runs})
        for namespace, ids in asked.items():
            for request_id, run in runs.by_request(turn.connection, namespace, ids).items():
                self._requests[namespace, request_id] = run

    def enter(self, command: AdmitRuns) -> tuple[list[Run], list[Run]]:
        """Return a command's runs, and those of them that are new; raise what is wrong with it, nothing changed."""
        staged: dict[tuple[str, str], Run] = {}
        admitted: list[Run] = []
        new: list[Run] = []
        for request in command.runs:
            task = self._task(request.task)
            key = (task.namespace, request.request_id or "")
            known = (self._requests.get(key) or staged.get(key)) if request.request_id is not None else None
            if known is None:
                run = new_run(task, request, self._turn.now)
                new.append(run)
                if request.request_id is not None:
                    staged[key] = run
            elif known.task_uid == task.uid and known.request_digest == request.request_digest:
                run = known
            else:
                raise reused(request.request_id or "")
            admitted.append(run)
        self._requests |= staged
        return admitted, new

    def _lock_limited(self, refs: set[TaskRef]) -> None:
        """Keep the tasks that have a limit as they are, in the order in which every server locks them."""
        found = self._turn.foresight.tasks(self._turn, refs)
        limited = {task.uid for task in found.values() if task.max_concurrent_runs}
        locked = tasks.lock(self._turn.connection, limited) if limited else {}
        for ref, task in found.items():
            current = locked.get(task.uid, task)
            if current.delete_time is None:
                self._tasks[ref] = current
                if is_independent(current):
                    self.independent.add(current.uid)

    def _task(self, ref: TaskRef) -> Task:
        return self._tasks.get(ref) or find_task(self._turn.connection, ref, lock=True)


def find_task(connection: Connection, ref: TaskRef, *, lock: bool = False) -> Task:
    """Return the task that a caller points at, as it is and, if locked, stays for every server until the turn's end.

    Raises:
        NotFound: TASK_NOT_FOUND; the message names a task that differs in case only.
    """
    if task := tasks.find(connection, ref, lock=lock):
        return task
    near = tasks.near_match(connection, ref)
    hint = f"; task ids are case-sensitive: did you mean '{near}'?" if near else ""
    raise NotFound("TASK_NOT_FOUND", f"task '{clip(ref)}' does not exist{hint}", task=clip(ref))


def reused(request_id: str) -> AlreadyExists:
    """Return the error for a request id that stands for something else."""
    shown = clip(request_id)
    return AlreadyExists(
        "REQUEST_ID_REUSED", f"request id '{shown}' was used for a different request", request_id=shown
    )


def new_run(task: Task, request: NewRun, now: int) -> Run:
    """Return the run that `request` asks of `task`, as it is admitted at `now` (µs)."""
    when = request.schedule_time if request.schedule_time is not None else now
    run = Run(
        request.uid,
        task.namespace,
        task.uid,
        task.task_id,
        task.handler,
        State.READY,
        schedule_time=when,
        payload=request.payload if request.payload is not None else task.payload,
        priority=request.priority if request.priority is not None else task.priority,
        tags=_merged_tags(task.tags, request.tags) if request.tags else task.tags,
        labels=_merged_labels(task.labels, request.labels) if request.labels else task.labels,
        creator_application=request.creator_application,
        creator_user=request.creator_user,
        request_id=request.request_id,
        request_digest=request.request_digest,
        run_timeout=task.run_timeout,
        start_deadline=task.start_deadline,
        retry_policy=task.retry_policy,
    )
    place(run, task, now)
    return run


def place(run: Run, task: Task, now: int) -> None:
    """Put a new run where it belongs: waiting until its time, held at its task's limit, or ready."""
    stamp(run, now)
    if run.schedule_time > now:
        run.state, run.state_reason, run.deadline = State.WAITING, StateReason.NOT_DUE, run.schedule_time
        return
    if task.full():
        run.state, run.state_reason = State.HELD, StateReason.CONCURRENCY_LIMIT
    else:
        run.state, run.state_reason = State.READY, None
    run.deadline = start_limit(run)


def stamp(run: Run, now: int) -> None:
    """Give a new run its times, µs."""
    run.create_time = run.update_time = run.state_change_time = now


def start_limit(run: Run) -> int | None:
    """Return when a run that is due must have started, µs; None without a start deadline."""
    return max(run.schedule_time, run.create_time) + run.start_deadline if run.start_deadline else None


def store(turn: Turn, fresh: list[Run]) -> list[Run]:
    """Insert new runs with their labels and first event; return those that went in.

    All do, or the turn is stale. In a replay those are passed over whose uid or slot is taken; a request id that has
    been taken since makes that stale, too, and the next one finds it.
    """
    if turn.replay and fresh:
        known = runs.by_uid(turn.connection, [run.uid for run in fresh])
        fresh = [run for run in fresh if run.uid not in known]
    if not turn.replay:
        runs.insert(turn.connection, fresh)
    elif runs.insert_new(turn.connection, fresh) != len(fresh):
        stored = runs.by_uid(turn.connection, [run.uid for run in fresh])
        fresh = [run for run in fresh if run.uid in stored]
    _index(turn, fresh)
    _announce(turn, fresh)
    return fresh


def store_fresh(turn: Turn, batch: list[Run]) -> None:
    """Insert the runs of `turn.fresh`, announced before, some of them started meanwhile."""
    _insert(turn, batch)
    turn.fresh = []


def _insert(turn: Turn, batch: list[Run]) -> None:
    runs.insert(turn.connection, batch)
    _index(turn, batch)


def _index(turn: Turn, fresh: list[Run]) -> None:
    owned = (row for run in fresh for row in owned_labels(run.uid, run.tags, run.labels))
    runs.index_labels(turn.connection, owned)
    for run in fresh:
        turn.look_at(run.deadline)
        if run.state is State.READY:
            turn.ready(run)


def _announce(turn: Turn, fresh: list[Run]) -> None:
    for run in fresh:
        turn.emit_run(_EVENT_OF_NEW[run.state], run)


def owned_labels(uid: str, tags: str, labels: str) -> Iterable[tuple[str, str, str]]:
    """Yield the (key, value, owner) rows of a row's tags and labels (JSON text)."""
    if tags:
        for tag in json.loads(tags):
            yield "", tag, uid
    if labels:
        for key, value in json.loads(labels).items():
            yield key, value, uid


@lru_cache(maxsize=4096)
def _merged_tags(tags: str, more: tuple[str, ...]) -> str:
    return json.dumps(list(dict.fromkeys([*(json.loads(tags) if tags else ()), *more])))


def _merged_labels(labels: str, more: dict[str, str]) -> str:
    return json.dumps((json.loads(labels) if labels else {}) | more)


def retry_of(run: Run, uid: str, when: int) -> Run:
    """Return the next attempt of a failed run, due at `when` (µs), still without its payload and its place."""
    chain = [*(json.loads(run.retry_for_runs) if run.retry_for_runs else ()), run.uid]
    return Run(
        uid,
        run.namespace,
        run.task_uid,
        run.task_id,
        run.handler,
        State.READY,
        trigger=Trigger.RETRY,
        scheduled_time=run.scheduled_time,
        backfill=run.backfill,
        schedule_time=when,
        priority=run.priority,
        attempt=run.attempt + 1,
        root_run=chain[0],
        retry_for_runs=json.dumps(chain),
        tags=run.tags,
        labels=run.labels,
        creator_application=run.creator_application,
        creator_user=run.creator_user,
        run_timeout=run.run_timeout,
        start_deadline=run.start_deadline,
        retry_policy=run.retry_policy,
    )
