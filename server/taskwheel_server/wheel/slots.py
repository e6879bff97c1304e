"""Slots: tasks whose time has come, missed slots, overlap, backfill. No slot goes by without a row that says why."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from taskwheel_server import schedule
from taskwheel_server.clock import MINUTE
from taskwheel_server.db import runs, tasks
from taskwheel_server.errors import TaskwheelError
from taskwheel_server.model.event import EventType
from taskwheel_server.model.run import Run
from taskwheel_server.model.state import MisfireMode, OverlapPolicy, State, StateReason, Trigger
from taskwheel_server.wheel.admit import enter, find_task, is_independent, place, reused, stamp, start_limit, store
from taskwheel_server.wheel.ending import Endings
from taskwheel_server.wheel.settle import ask_to_stop
from taskwheel_server.wheel.turn import SLICE

if TYPE_CHECKING:
    from collections.abc import Hashable

    from taskwheel_server.model.task import Task
    from taskwheel_server.wheel.commands import AdmitSlots
    from taskwheel_server.wheel.turn import Turn

# A slot met later than this was missed (design: the misfire policy then decides).
MISSED_AFTER = MINUTE
# The slots that 64 schedules of one second each can have in that time.
MAX_TIMELY = 64 * 61
# How many runs one turn starts, but for the last task's: the other tasks follow in the next one.
MAX_FRESH = 2_000


def next_time(task: Task, after: int) -> int | None:
    """Return the first slot of a task later than `after` (µs), None when it has none or is paused."""
    if task.paused or not task.schedules:
        return None
    return schedule.next_slot_of(load_schedules(task.schedules), after, anchor=task.anchor_time, seed=task.uid)


@lru_cache(maxsize=4096)
def load_schedules(text: str) -> tuple[schedule.Schedule, ...]:
    """Return the schedules of a task's column, which may have been written by a version that knew more, or less.

    Raises:
        InvalidSchedule: they cannot be read, or are impossible.
    """
    schedules = schedule.load(text)
    for item in schedules:
        schedule.check(item, now=None)
    return schedules


def tick_tasks(turn: Turn, limit: int) -> None:
    """Turn the due slots of at most `limit` tasks into runs and move the tasks on to their next slot."""
    due = tasks.due(turn.connection, turn.now, limit)
    if not due:
        return
    turn.unfinished |= len(due) == limit
    fresh: list[Run] = []
    advanced: list[tuple[int | None, str]] = []
    moments = Moments(turn.now)
    for task in due:
        if len(fresh) >= MAX_FRESH:
            turn.unfinished = True
            break
        try:
            fresh += _due_runs(turn, task, moments)
            advanced.append((moments.following(task), task.uid))
        except MoreToStop:
            # What was stopped so far stays so; the slot is due again in the next turn.
            turn.unfinished = True
        except schedule.InvalidSchedule as error:
            # It must not stop the wheel, nor be silent.
            pause(turn, task, f"taskwheel: the schedule cannot be kept: {error}")
    enter(turn, fresh, {task.uid for task in due if is_independent(task)})
    tasks.advance(turn.connection, advanced)


def pause(turn: Turn, task: Task, reason: str) -> None:
    """Pause a task whose slots cannot be kept."""
    task.paused, task.pause_reason, task.pause_actor, task.pause_time = True, reason, "taskwheel", turn.now
    task.next_time, task.update_time = None, turn.now
    task.version += 1
    tasks.update(turn.connection, [task])
    turn.emit_task(EventType.TASK_PAUSED, task, tasks.dump(task))


class Moments:
    """When tasks are due. Many have the same schedules: what is the same for all of them is worked out once.

    Args:
        now: of the turn, µs.
    """

    def __init__(self, now: int) -> None:
        self._now = now
        self._timely: dict[Hashable, list[int]] = {}
        self._following: dict[Hashable, int | None] = {}

    def timely(self, task: Task, after: int) -> list[int]:
        """Return a task's slots later than `after` (µs) that have come."""
        key = self._key(task), after
        if key not in self._timely:
            schedules = load_schedules(task.schedules)
            self._timely[key] = schedule.slots_between(
                schedules, after, self._now, anchor=task.anchor_time, seed=task.uid, limit=MAX_TIMELY
            )
        return self._timely[key]

    def following(self, task: Task) -> int | None:
        """Return a task's next slot, if it has one."""
        key = self._key(task)
        if key not in self._following:
            self._following[key] = next_time(task, self._now)
        return self._following[key]

    def _key(self, task: Task) -> Hashable:
        own = () if _alike(task.schedules) else (task.anchor_time, task.uid)
        return task.schedules, task.paused, own


@lru_cache(maxsize=4096)
def _alike(text: str) -> bool:
    return schedule.alike(load_schedules(text))


def _due_runs(turn: Turn, task: Task, moments: Moments) -> list[Run]:
    first = task.next_time if task.next_time is not None else turn.now
    on_time = turn.now - MISSED_AFTER
    overlap = Overlap(turn, task, task.overlap_policy)
    fresh = _missed(turn, task, overlap, first, on_time - 1) if first < on_time else []
    timely = moments.timely(task, max(first, on_time) - 1)
    return fresh + [overlap.enter(slot_run(turn, task, slot, Trigger.SCHEDULE)) for slot in timely]


def _missed(turn: Turn, task: Task, overlap: Overlap, first: int, last: int) -> list[Run]:
    """Return what the misfire policy makes of the slots in [first, last]: one SKIPPED run, then catch-up runs."""
    schedules = load_schedules(task.schedules)
    anchor, seed = task.anchor_time, task.uid
    limit = {MisfireMode.RUN_ONCE: 1, MisfireMode.RUN_ALL: task.max_catchup_runs, MisfireMode.SKIP: 0}
    wanted = limit[task.misfire_mode]
    since = max(first, turn.now - task.catchup_window)
    caught_up = (
        schedule.newest_slots(schedules, since - 1, last, anchor=anchor, seed=seed, limit=wanted) if wanted else []
    )
    until = caught_up[0] - 1 if caught_up else last
    fresh: list[Run] = []
    if skipped := schedule.count_slots(schedules, first - 1, until, anchor=anchor, seed=seed):
        [newest] = schedule.newest_slots(schedules, first - 1, until, anchor=anchor, seed=seed, limit=1)
        run = slot_run(turn, task, newest, Trigger.SCHEDULE)
        run.first_scheduled_time, run.skipped_count = first if skipped > 1 else None, skipped
        fresh.append(_skip(run, StateReason.MISSED, turn.now))
    return fresh + [overlap.enter(slot_run(turn, task, slot, Trigger.CATCH_UP)) for slot in caught_up]


def slot_run(turn: Turn, task: Task, slot: int, trigger: Trigger, uid: str | None = None) -> Run:
    """Return the run of a nominal instant (µs), not yet placed; all but a backfill's start is delayed by the jitter."""
    delay = 0
    if trigger is not Trigger.BACKFILL:
        delay = schedule.delay_of(load_schedules(task.schedules), slot, anchor=task.anchor_time, seed=task.uid)
    return Run(
        uid or turn.minter.mint(),
        task.namespace,
        task.uid,
        task.task_id,
        task.handler,
        State.READY,
        trigger=trigger,
        scheduled_time=slot,
        schedule_time=slot + delay,
        payload=task.payload,
        priority=task.priority,
        tags=task.tags,
        labels=task.labels,
        creator_application=task.creator_application,
        creator_user=task.creator_user,
        run_timeout=task.run_timeout,
        start_deadline=task.start_deadline,
        retry_policy=task.retry_policy,
    )


def _skip(run: Run, reason: str, now: int) -> Run:
    stamp(run, now)
    run.state, run.state_reason, run.skipped_count = State.SKIPPED, reason, run.skipped_count or 1
    run.end_time, run.deadline = now, None
    return run


class MoreToStop(Exception):
    """A slot has not got all runs out of its way yet."""


class Overlap:
    """Judges the slots of one task in one turn against every run of the task that is not done.

    Args:
        turn: under way.
        task: whose slots.
        policy: what decides.
    """

    def __init__(self, turn: Turn, task: Task, policy: OverlapPolicy) -> None:
        self._turn = turn
        self._task = task
        self._policy = policy
        self._stopping = False
        self._last: Run | None = None
        if policy is not OverlapPolicy.ALLOW:
            waits = bool(runs.held(turn.connection, task.uid, StateReason.OVERLAP_QUEUED, 1))
            running = runs.has_open(turn.connection, task.uid)
            # A queued run whose turn has come goes on at the end of this one: it is queued no more, but not done.
            self._busy, self._queued = running or waits, running and waits

    def enter(self, run: Run) -> Run:
        """Place the run of the next slot, or skip it, and return it. Raises MoreToStop before the first is placed."""
        now = self._turn.now
        match self._policy:
            case OverlapPolicy.ALLOW:
                place(run, self._task, now)
                return run
            case OverlapPolicy.CANCEL_RUNNING:
                self._clear()
            case OverlapPolicy.SKIP if self._busy:
                return _skip(run, StateReason.OVERLAP_SKIPPED, now)
            case OverlapPolicy.QUEUE_ONE if self._busy and self._queued:
                return _skip(run, StateReason.OVERLAP_SKIPPED, now)
        place(run, self._task, now)
        if self._busy:
            # Whatever it was placed as: the end of the other run, not time or the limit, lets it go on.
            run.state, run.state_reason, run.deadline = State.HELD, StateReason.OVERLAP_QUEUED, start_limit(run)
            self._queued = True
        self._busy, self._last = True, run
        return run

    def _clear(self) -> None:
        """Have the task's runs make way for the next slot; stay busy while one that was told to stop still runs."""
        if self._last:
            _skip(self._last, StateReason.OVERLAP_SKIPPED, self._turn.now)
            self._busy = self._stopping
            return
        going_on = runs.going_on(self._turn.connection, self._task.uid, SLICE)
        _stop(self._turn, going_on)
        if len(going_on) == SLICE:
            raise MoreToStop
        self._busy = self._stopping = runs.has_open(self._turn.connection, self._task.uid)


def _stop(turn: Turn, going_on: list[Run]) -> None:
    """Cancel runs that a slot does not wait for."""
    endings = Endings(turn)
    asked: list[tuple[Run, State]] = []
    for run in going_on:
        if run.state.pending:
            endings.cancel(run, StateReason.OVERLAP_CANCELLED)
        else:
            ask_to_stop(turn, asked, run, StateReason.OVERLAP_CANCELLED)
    turn.write_moved(asked)
    endings.write()


def backfill(turn: Turn, commands: list[AdmitSlots]) -> None:
    """Admit slots of the past; those that the same backfill has admitted before are answered as they are."""
    for command in commands:
        try:
            turn.answer(command, _backfill(turn, command))
        except MoreToStop:
            turn.again.append(command)
            turn.unfinished = True
        except TaskwheelError as error:
            turn.answer(command, error)


def _backfill(turn: Turn, command: AdmitSlots) -> list[Run]:
    task = find_task(turn.connection, command.task, lock=True)
    known = runs.by_slot(turn.connection, task.uid, command.backfill, command.slots)
    if any(run.request_digest != command.request_digest for run in known.values()):
        raise reused(command.backfill)
    overlap = Overlap(turn, task, command.overlap_policy or task.overlap_policy)
    answer: list[Run] = []
    fresh: list[Run] = []
    for slot, uid in zip(command.slots, command.uids, strict=True):
        if not (run := known.get(slot)):
            run = slot_run(turn, task, slot, Trigger.BACKFILL, uid)
            run.backfill, run.request_digest = command.backfill, command.request_digest
            run.creator_application, run.creator_user = command.creator_application, command.creator_user
            fresh.append(overlap.enter(run))
        answer.append(run)
    store(turn, fresh)
    return answer
