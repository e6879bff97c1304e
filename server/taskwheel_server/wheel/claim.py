"""Claim: ready runs to whoever has credit, in order, each with a lease of its own."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from taskwheel_server.db import runs, tasks
from taskwheel_server.model.event import EventType
from taskwheel_server.model.state import State, StateReason
from taskwheel_server.wheel.settle import lease_deadline
from taskwheel_server.wheel.turn import SLICE, StaleTurn
from taskwheel_server.workers import Session

if TYPE_CHECKING:
    from taskwheel_server.model.run import Run
    from taskwheel_server.wheel.turn import Turn
    from taskwheel_server.workers import Taker


class Claims:
    """What this turn gives to whom; the registry learns of it after the commit."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._credit: dict[Taker, int] = dict(turn.registry.takers(turn.freed))
        self._budget: dict[Taker, int] = {}
        self._token = turn.minter.mint()
        self.claimed: dict[Taker, list[Run]] = {}

    def claim(self) -> None:
        """Give ready runs to the takers of their handlers, fairly among them. Raises StaleTurn."""
        turn = self._turn
        wanted = {(taker.namespace, handler) for taker in self._credit for handler in taker.handlers}
        for pair in sorted(wanted & turn.registry.maybe_ready):
            takers = deque(taker for taker in self._credit if taker.namespace == pair[0] and pair[1] in taker.handlers)
            if takers and self._claim_of(pair, takers):
                turn.registry.maybe_ready.discard(pair)

    def _claim_of(self, pair: tuple[str, str], takers: deque[Taker]) -> bool:
        """Claim the runs of one handler; tell whether none is left."""
        turn = self._turn
        credit = sum(self._credit[taker] for taker in takers)
        limit = min(credit, SLICE)
        started: list[Run] = []
        held: list[tuple[Run, State]] = []
        taken: dict[str, int] = {}
        seen = 0
        full = False
        for run, places, running in runs.ready(turn.connection, *pair, limit):
            seen += 1
            if places and running + taken.get(run.task_uid, 0) >= places:
                held.append((run, turn.move(run, State.HELD, StateReason.CONCURRENCY_LIMIT)))
                continue
            if full := (taker := self._taker_of(run, takers)) is None:
                break
            if places:
                taken[run.task_uid] = taken.get(run.task_uid, 0) + 1
            self._start(run, taker)
            started.append(run)
        turn.write_moved(held)
        if runs.write_started(turn.connection, started) != len(started):
            raise StaleTurn
        tasks.add_running(turn.connection, taken)
        # A reading that was cut short, or used up by runs that had to be held, is gone on with in the next turn.
        turn.unfinished |= full or (seen == limit and (bool(held) or credit > SLICE))
        return seen < limit and not full

    def _taker_of(self, run: Run, takers: deque[Taker]) -> Taker | None:
        size = len(run.payload or b"")
        for _ in range(len(takers)):
            taker = takers[0]
            takers.rotate(-1)
            room = self._budget.get(taker, taker.budget)
            # The first run always fits: the budget bounds a batch, a payload has a bound of its own.
            if self._credit[taker] > 0 and (size <= room or taker not in self._budget):
                self._credit[taker] -= 1
                self._budget[taker] = room - size
                return taker
        return None

    def _start(self, run: Run, taker: Taker) -> None:
        turn = self._turn
        turn.move(run, State.RUNNING, None)
        run.start_time, run.worker = turn.now, taker.worker_id
        run.lease_token, run.lease_expire_time = self._token, turn.now + turn.settings.lease
        run.deadline = lease_deadline(run)
        turn.emit_run(EventType.RUN_STARTED, run)
        self.claimed.setdefault(taker, []).append(run)

    def hand_out(self) -> None:
        """Answer the waiting claims and note the streams' new runs: after the commit."""
        turn = self._turn
        turn.registry.free(turn.freed)
        for taker, batch in self.claimed.items():
            if isinstance(taker, Session):
                turn.outcome.assignments[taker] = batch
                for run in batch:
                    turn.registry.hold(taker, run.uid)
            else:
                turn.registry.demands.pop(taker, None)
                turn.outcome.answers.append((taker.ticket, batch))
        for demand in list(turn.registry.demands):
            if demand.deadline <= turn.now:
                turn.registry.demands.pop(demand)
                turn.outcome.answers.append((demand.ticket, []))
