"""The tick: what is due, in parts that can be halved, so that a row that no turn can deal with is found and set aside.

Such a row was written by another version, or meets a fault of ours; it must not keep all others from their time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog

from taskwheel_server.clock import MINUTE, SECOND
from taskwheel_server.db import runs, tasks
from taskwheel_server.wheel import slots, timers
from taskwheel_server.wheel.turn import SLICE, Turn

# When a run that was set aside is looked at again: whatever is wrong with it may be mended.
AGAIN = MINUTE


Stage = Callable[[Turn], None]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Tick:
    """One part of the tick: a stage of the turn.

    Args:
        take_on: deals with at most so many due rows, the earliest first.
        remedies: stages that set the first of them aside, each for when those before it fail as well.
        limit: how many rows.
    """

    take_on: Callable[[Turn, int], None]
    remedies: tuple[Stage, ...]
    limit: int = SLICE

    def __call__(self, turn: Turn) -> None:
        """Carry it out."""
        self.take_on(turn, self.limit)

    def halved(self) -> Tick:
        """Return the earlier half."""
        return replace(self, limit=self.limit // 2)


def _postpone(turn: Turn) -> None:
    uid = runs.postpone_first(turn.connection, turn.now, turn.now + AGAIN)
    log.error("run_set_aside", uid=uid, seconds=AGAIN // SECOND)


def _pause(turn: Turn) -> None:
    [task] = tasks.due(turn.connection, turn.now, 1)
    slots.pause(turn, task, "taskwheel: its runs cannot be started; the log of the server tells why")
    log.error("task_set_aside", uid=task.uid)


def _stop(turn: Turn) -> None:
    """Without reading it: that may be what fails."""
    uid = tasks.stop_first(turn.connection, turn.now)
    log.error("task_set_aside", uid=uid)


TICKS = (Tick(timers.tick_runs, (_postpone,)), Tick(slots.tick_tasks, (_pause, _stop)))
