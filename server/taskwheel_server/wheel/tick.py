"""The tick: what is due, in parts that can be halved, so that a row that no turn can deal with is found and set aside.

Such a row was written by another version, or meets a fault of ours; it must not keep all others from their time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog

from taskwheel_server.clock import MINUTE, SECOND
from taskwheel_server.db import Connection, Question, due, runs, tasks
from taskwheel_server.wheel import slots, timers
from taskwheel_server.wheel.turn import SLICE, Turn

# When a run that was set aside is looked at again: whatever is wrong with it may be mended.
AGAIN = MINUTE
# How long to leave what is due to the server that has locked it, µs.
CONTENDED = 20_000


Stage = Callable[[Turn], None]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Tick:
    """One part of the tick: a stage of the turn.

    Args:
        take_on: deals with at most so many due rows, the earliest first.
        first: locks the first of them and returns its uid, whatever else is in it.
        remedies: stages that set the row of a uid aside, each for when those before it fail as well.
        limit: how many rows.
    """

    take_on: Callable[[Turn, int], None]
    first: Callable[[Connection, int], str | None]
    remedies: tuple[Callable[[Turn, str], None], ...]
    limit: int = SLICE

    def __call__(self, turn: Turn) -> None:
        """Carry it out."""
        if self.limit == 1:
            turn.at_hand = self.first(turn.connection, turn.now)
        self.take_on(turn, self.limit)

    def halved(self) -> Tick:
        """Return the earlier half."""
        return replace(self, limit=self.limit // 2)


# Another server may have dealt with the row meanwhile: then it is due no more, and left alone.


def _postpone(turn: Turn, uid: str) -> None:
    if runs.postpone(turn.connection, uid, turn.now, turn.now + AGAIN):
        log.error("run_set_aside", uid=uid, seconds=AGAIN // SECOND)


def _pause(turn: Turn, uid: str) -> None:
    task = tasks.lock(turn.connection, [uid]).get(uid)
    if task and task.next_time is not None and task.next_time <= turn.now:
        slots.pause(turn, task, "taskwheel: its runs cannot be started; the log of the server tells why")
        log.error("task_set_aside", uid=uid)


def _stop(turn: Turn, uid: str) -> None:
    """Without reading it: that may be what fails."""
    if tasks.stop(turn.connection, uid, turn.now):
        log.error("task_set_aside", uid=uid)


TICKS = (
    Tick(timers.tick_runs, runs.first_due, (_postpone,)),
    Tick(slots.tick_tasks, tasks.first_due, (_pause, _stop)),
)


def next_due(turn: Turn, told: Question | None, known: int | None) -> int | None:
    """Return when the next tick is due (µs), as far as this server knows; None: at no time.

    Only a whole tick asks the store. Other turns know of what they have stored themselves; to wake too early is
    harmless.

    Args:
        turn: that has committed.
        told: what the store has told.
        known: what the turn before returned.
    """
    if told is None:
        turn.look_at(known)
        return turn.due
    instant = due.next_time(told)
    if instant is not None and instant <= turn.now and not turn.unfinished:
        # Another server is at it.
        return turn.now + CONTENDED
    return instant
