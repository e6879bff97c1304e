"""What must hold after every turn, whatever was asked of the wheel: read from the database, judged row by row."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection

from taskwheel_server.db.dialect import fetch
from taskwheel_server.model.event import EventType
from taskwheel_server.model.run import Run
from taskwheel_server.model.state import LEASED, LEGAL_MOVES, State, StateReason, Trigger
from taskwheel_server.model.task import Task
from taskwheel_server.wheel.admit import owned_labels
from tests.wheel.handwheel import HandWheel, all_events, all_runs, all_tasks

# The life of a run as its events tell it: what may follow what. None is before the first.
_PENDING, _STARTED = EventType.RUN_PENDING, EventType.RUN_STARTED
_FOLLOWERS: dict[EventType | None, set[EventType]] = {
    None: {_PENDING, EventType.RUN_SKIPPED},
    _PENDING: {_STARTED, EventType.RUN_CANCELLED, EventType.RUN_FAILED},
    _STARTED: {
        _PENDING,
        EventType.RUN_CANCELLING,
        EventType.RUN_SUCCEEDED,
        EventType.RUN_FAILED,
        EventType.RUN_CANCELLED,
        EventType.RUN_RETRIED,
    },
    EventType.RUN_CANCELLING: {EventType.RUN_SUCCEEDED, EventType.RUN_CANCELLED},
    EventType.RUN_FAILED: {EventType.TASK_FAILED},
}
_LAST_EVENT = {
    State.WAITING: _PENDING,
    State.HELD: _PENDING,
    State.READY: _PENDING,
    State.RUNNING: _STARTED,
    State.CANCELLING: EventType.RUN_CANCELLING,
    State.SUCCEEDED: EventType.RUN_SUCCEEDED,
    State.FAILED: EventType.TASK_FAILED,
    State.CANCELLED: EventType.RUN_CANCELLED,
    State.RETRIED: EventType.RUN_RETRIED,
    State.SKIPPED: EventType.RUN_SKIPPED,
}


def _reachable() -> dict[State, set[State]]:
    """Return where a run may be found some legal moves later."""
    reach = {state: {state} for state in State}
    for _ in State:
        for state in State:
            reach[state] |= {later for known in reach[state] for later in LEGAL_MOVES[known]}
    return reach


_REACHABLE = _reachable()


@dataclass
class Snapshot:
    """All that is stored."""

    runs: dict[str, Run]
    tasks: dict[str, Task]
    events: list[tuple[int, EventType, int, str | None, str | None]]
    sequence: int
    compacted: int
    logs: dict[str, list[int]]
    labels: set[tuple[str, str, str]]


def _read(connection: Connection) -> Snapshot:
    logs: defaultdict[str, list[int]] = defaultdict(list)
    for uid, sequence in fetch(connection, "SELECT run_uid, sequence FROM logs ORDER BY sequence"):
        logs[uid].append(sequence)
    [(sequence, compacted)] = fetch(connection, "SELECT sequence, compacted_sequence FROM namespaces")
    return Snapshot(
        {run.uid: run for run in all_runs(connection)},
        {task.uid: task for task in all_tasks(connection)},
        all_events(connection),
        sequence,
        compacted,
        dict(logs),
        {(row[0], row[1], row[2]) for row in fetch(connection, "SELECT key, value, owner FROM labels")},
    )


def check(wheel: HandWheel, before: Snapshot | None = None) -> Snapshot:
    """Assert every invariant and return what is stored.

    Args:
        wheel: between two turns.
        before: what an earlier call returned: nothing may have moved from there as it must not.
    """
    stored = wheel.store.read(_read)
    # After a turn that failed the wheel's memory may be behind, and the wheel backs off: the next one makes sure.
    sure = not wheel.wheel._unsure
    problems = [
        *_run_problems(stored),
        *_event_problems(stored),
        *_chain_problems(stored),
        *_task_problems(stored),
        *_side_table_problems(stored),
        *(_registry_problems(wheel, stored) if sure else ()),
        *(_rest_problems(wheel, stored) if sure and not wheel.wheel.busy else ()),
        *(_history_problems(before, stored) if before else ()),
    ]
    assert not problems, "\n".join(problems)
    return stored


def _run_problems(stored: Snapshot) -> Iterator[str]:
    for run in stored.runs.values():
        for claim, holds in _claims_of(run):
            if not holds:
                yield f"{run.state.name} run must {claim}: {run}"


def _claims_of(run: Run) -> Iterator[tuple[str, bool]]:
    limit = max(run.schedule_time, run.create_time) + run.start_deadline if run.start_deadline else None
    yield "be in the order of its times", run.create_time <= run.state_change_time <= run.update_time
    yield "have an end time when done, only then", (run.end_time is not None) == run.state.done
    yield "be a retry if it is not the first attempt", (run.attempt > 1) == (run.trigger is Trigger.RETRY)
    yield "name its successor when RETRIED, only then", (run.retried_by_run is not None) == (run.state is State.RETRIED)
    yield "have a slot unless manual", run.trigger is not Trigger.MANUAL or run.scheduled_time is None
    if run.state in LEASED:
        ends = [run.lease_expire_time or 0]
        if run.run_timeout and run.start_time is not None:
            ends.append(run.start_time + run.run_timeout)
        yield "have a lease, a worker and a start", None not in (run.lease_token, run.worker, run.start_time)
        yield "be looked at when its lease or its time ends", run.deadline == min(ends)
        return
    yield "have no lease", run.lease_expire_time is None
    if run.state.done:
        yield "have no deadline", run.deadline is None
        yield "have an error when FAILED", run.state is not State.FAILED or bool(run.error_name)
        yield "have an error when RETRIED", run.state is not State.RETRIED or bool(run.error_name)
        if run.state is State.SKIPPED:
            yield "count itself", run.skipped_count >= 1 and run.start_time is None
        return
    yield "have no worker", (run.lease_token, run.worker, run.start_time) == (None, None, None)
    if run.state is State.WAITING:
        yield "be looked at when due", run.deadline == run.schedule_time
    else:
        yield "be looked at when its start deadline ends", run.deadline == limit
        yield (
            "say why it is held",
            run.state is not State.HELD
            or run.state_reason
            in {
                StateReason.CONCURRENCY_LIMIT,
                StateReason.OVERLAP_QUEUED,
            },
        )


def _event_problems(stored: Snapshot) -> Iterator[str]:
    sequences = [event[0] for event in stored.events]
    if sequences != list(range(stored.compacted + 1, stored.sequence + 1)):
        yield f"event sequences have holes between {stored.compacted + 1} and {stored.sequence}: {sequences}"
    times = [event[2] for event in stored.events]
    if times != sorted(times):
        yield "event times go backwards"
    last: dict[str, EventType] = {}
    for sequence, kind, _, uid, reason in stored.events:
        if uid is None:
            continue
        known = last.get(uid)
        if (known or not stored.compacted) and kind not in _FOLLOWERS.get(known, set()):
            yield f"event {sequence} of run {uid}: {kind.label} ({reason}) after {known.label if known else 'nothing'}"
        last[uid] = kind
    for run in stored.runs.values():
        if run.uid not in last and not stored.compacted:
            yield f"run without events: {run}"
        elif run.uid in last and last[run.uid] is not _LAST_EVENT[run.state]:
            yield f"the last event is {last[run.uid].label} of run {run}"


def _chain_problems(stored: Snapshot) -> Iterator[str]:
    for run in stored.runs.values():
        chain = json.loads(run.retry_for_runs) if run.retry_for_runs else []
        if len(chain) != run.attempt - 1 or run.root_run != (chain[0] if chain else None):
            yield f"attempt {run.attempt} has the chain {chain}: {run}"
        if run.retried_by_run:
            again = stored.runs.get(run.retried_by_run)
            if again is None:
                yield f"the next attempt is not there: {run}"
            elif json.loads(again.retry_for_runs) != [*chain, run.uid] or (
                (again.task_uid, again.payload, again.priority, again.tags, again.labels, again.scheduled_time)
                != (run.task_uid, run.payload, run.priority, run.tags, run.labels, run.scheduled_time)
            ):
                yield f"the next attempt is another's: {run} {again}"
    slots = Counter(
        (run.task_uid, run.scheduled_time, run.backfill)
        for run in stored.runs.values()
        if run.attempt == 1 and run.scheduled_time is not None
    )
    yield from (f"two runs of one slot: {slot}" for slot, count in slots.items() if count > 1)
    ids = Counter(run.request_id for run in stored.runs.values() if run.request_id is not None)
    yield from (f"two runs of one request: {request_id}" for request_id, count in ids.items() if count > 1)


def _task_problems(stored: Snapshot) -> Iterator[str]:
    leased = Counter(run.task_uid for run in stored.runs.values() if run.state in LEASED)
    for task in stored.tasks.values():
        if task.max_concurrent_runs and task.running != leased[task.uid]:
            yield f"counts {task.running} running, has {leased[task.uid]}: {task}"
        if task.next_time is not None and (task.paused or task.delete_time is not None or not task.schedules):
            yield f"has a next slot but no schedule at work: {task}"
    live = Counter(task.task_id for task in stored.tasks.values() if task.delete_time is None)
    yield from (f"two tasks have the id {task_id}" for task_id, count in live.items() if count > 1)


def _side_table_problems(stored: Snapshot) -> Iterator[str]:
    owners: list[Run | Task] = [*stored.runs.values(), *stored.tasks.values()]
    owned = {row for owner in owners for row in owned_labels(owner.uid, owner.tags, owner.labels)}
    if owned != stored.labels:
        yield f"labels differ from their owners': {owned ^ stored.labels}"
    for uid, lines in stored.logs.items():
        logged = stored.runs.get(uid)
        if logged is None or lines != list(range(1, logged.log_count + 1)):
            yield f"log lines {lines} of {logged}"
    for run in stored.runs.values():
        if run.log_count and run.uid not in stored.logs:
            yield f"log lines are gone: {run}"


def _registry_problems(wheel: HandWheel, stored: Snapshot) -> Iterator[str]:
    """What memory knows must be found again in the store: hints are supersets, held runs are leased."""
    registry = wheel.wheel._registry
    for run in stored.runs.values():
        if run.state is State.READY and (run.namespace, run.handler) not in registry.maybe_ready:
            yield f"nobody will look at this ready run: {run}"
    for session in registry.sessions:
        for uid in session.held:
            held = stored.runs.get(uid)
            if registry.holder(uid) is not session or held is None or held.state not in LEASED:
                yield f"{session.worker_id} takes up credit for {held}"


def _rest_problems(wheel: HandWheel, stored: Snapshot) -> Iterator[str]:
    """Nothing may be left undone when the wheel says it has nothing to do, and it must wake in time for the rest."""
    registry = wheel.wheel._registry
    takers = registry.takers(())
    wake = wheel.wheel._wake_time
    for instant, what in [
        *((run.deadline, run) for run in stored.runs.values()),
        *((task.next_time, task) for task in stored.tasks.values()),
        *((demand.deadline, demand) for demand in registry.demands),
    ]:
        # After a tick that failed timers back off for a while.
        if instant is not None and wake > max(instant, wheel.wheel._next_tick):
            yield f"the wheel sleeps past {instant} (until {wake}): {what}"
    open_runs: defaultdict[str, list[Run]] = defaultdict(list)
    for run in stored.runs.values():
        if not run.state.done:
            open_runs[run.task_uid].append(run)
    for run in stored.runs.values():
        task = stored.tasks.get(run.task_uid)
        if run.state is State.READY and any(run.handler in taker.handlers for taker, _ in takers):
            yield f"ready, and there is credit for it: {run}"
        if run.state is not State.HELD:
            continue
        others = [other for other in open_runs[run.task_uid] if other.state is not State.HELD]
        limited = [other for other in open_runs[run.task_uid] if other.state_reason != StateReason.OVERLAP_QUEUED]
        if run.state_reason == StateReason.OVERLAP_QUEUED:
            if not limited:
                yield f"queued behind nothing: {run}"
        elif task is None or not task.max_concurrent_runs:
            yield f"held by a limit that is gone: {run}"
        elif task.running < task.max_concurrent_runs and not any(other.state is State.READY for other in others):
            yield f"held though its task has room: {run} {task}"


def _history_problems(before: Snapshot, after: Snapshot) -> Iterator[str]:
    kept = {event[0]: event for event in after.events}
    for event in before.events:
        if event[0] > after.compacted and kept.get(event[0]) != event:
            yield f"event {event} became {kept.get(event[0])}"
    for uid, run in before.runs.items():
        now = after.runs.get(uid)
        if now is None:
            if not run.state.done:
                yield f"a run that had not ended is gone: {run}"
        elif now.state not in _REACHABLE[run.state]:
            yield f"{run.state.name} became {now.state.name}: {run}"
        elif run.state.done and now != run:
            yield f"an ended run changed: {run} {now}"
