"""Claim: ready runs to whoever has credit, in order, each with a lease of its own."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from heapq import merge
from typing import TYPE_CHECKING

from taskwheel_server.db import runs, tasks
from taskwheel_server.model.event import EventType
from taskwheel_server.model.state import State, StateReason
from taskwheel_server.wheel.admit import store_fresh
from taskwheel_server.wheel.settle import lease_deadline
from taskwheel_server.wheel.turn import SLICE
from taskwheel_server.workers import Session

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskwheel_server.model.run import Run
    from taskwheel_server.wheel.turn import Turn
    from taskwheel_server.workers import Taker


@dataclass(slots=True)
class _Queue:
    """The ready runs of one handler, a slice of them, and who can take them."""

    takers: deque[Taker]
    full: bool = False


def _claim_order(row: tuple[Run, bool, int]) -> tuple[int, int, str]:
    return _run_order(row[0])


def _run_order(run: Run) -> tuple[int, int, str]:
    return -run.priority, run.schedule_time, run.uid


def _pairs(batch: Iterable[Run]) -> set[tuple[str, str]]:
    return {(run.namespace, run.handler) for run in batch}


class Claims:
    """What this turn gives to whom; the registry learns of it after the commit."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._credit: dict[Taker, int] = dict(turn.registry.takers(turn.freed))
        self._budget: dict[Taker, int] = {}
        self._token = turn.minter.mint()
        self.exhausted: set[tuple[str, str]] = set()
        self.claimed: dict[Taker, list[Run]] = {}

    def claim(self) -> None:
        """Give ready runs to the takers of their handlers, in claim order, fairly among them."""
        turn = self._turn
        self._claim_fresh()
        wanted = {
            (taker.namespace, handler)
            for taker, credit in self._credit.items()
            if credit > 0
            for handler in taker.handlers
        }
        queues = {pair: self._queue_of(*pair) for pair in sorted(wanted & turn.registry.maybe_ready)}
        # As many runs as can be taken: most often all of them are. Where tasks are at their limits, further ones.
        ahead, left = 1, queues
        while left and self._take(left, ahead) and ahead < SLICE:
            ahead *= 4
            left = {pair: queue for pair, queue in left.items() if pair not in self.exhausted and not queue.full}
        turn.outcome.ready -= self.exhausted
        # Bytes ran out, or runs that had to be held used the slice up: go on in the next turn.
        turn.unfinished |= any(
            self._credit[taker] > 0
            for pair, queue in queues.items()
            if pair not in self.exhausted
            for taker in queue.takers
        )

    def _take(self, queues: dict[tuple[str, str], _Queue], ahead: int) -> bool:
        """Look at `ahead` times as many runs as can be taken; tell whether to look at more."""
        turn = self._turn
        credit = sum(self._credit[taker] for taker in {taker for queue in queues.values() for taker in queue.takers})
        limit = min(credit * ahead, SLICE)
        rows = [runs.ready(turn.connection, *pair, limit) for pair in queues]
        started: list[Run] = []
        unread: list[Run] = []
        held: list[tuple[Run, State]] = []
        taken: dict[str, int] = {}
        limits = {run.task_uid for found in rows for run, limited, _ in found if limited}
        # As joined, their counters may be what they were before another server's turn.
        locked = tasks.lock(turn.connection, limits) if limits else {}
        for run, limited, unread_bytes in merge(*rows, key=_claim_order):
            queue = queues[run.namespace, run.handler]
            if queue.full:
                continue
            if run.task_uid in locked and locked[run.task_uid].full(taken.get(run.task_uid, 0)):
                held.append((run, turn.move(run, State.HELD, StateReason.CONCURRENCY_LIMIT)))
                continue
            if not (taker := self._taker_of(run.size() + unread_bytes, queue.takers)):
                queue.full = True
                continue
            if limited:
                taken[run.task_uid] = taken.get(run.task_uid, 0) + 1
            self._start(run, taker)
            started.append(run)
            unread += [run] if unread_bytes else []
            if len(started) == credit:
                break
        turn.write_moved(held)
        runs.write_started(turn.connection, started)
        tasks.add_running(turn.connection, taken)
        if unread:
            payloads = runs.payloads(turn.connection, [run.uid for run in unread])
            for run in unread:
                run.payload = payloads[run.uid]
        if len(started) == credit:
            return False
        pairs = zip(queues.items(), rows, strict=True)
        self.exhausted |= {pair for (pair, queue), found in pairs if len(found) < limit and not queue.full}
        return bool(held)

    def _claim_fresh(self) -> None:
        """Store the turn's new runs, those already started for which there is a taker with nothing else to take."""
        turn = self._turn
        if not turn.fresh:
            return
        ready = turn.registry.maybe_ready
        free = [taker for taker in self._credit if not any((taker.namespace, name) in ready for name in taker.handlers)]
        takers = {pair: deque(taker for taker in free if taker.takes(*pair)) for pair in _pairs(turn.fresh) - ready}
        batch: list[Run] = []
        for run in sorted(turn.fresh, key=_run_order):
            pair = run.namespace, run.handler
            taker = self._taker_of(run.size(), takers[pair]) if pair in takers else None
            if taker:
                # The caller is answered with the run as it was admitted.
                started = run.copy()
                self._start(started, taker)
                batch.append(started)
            else:
                takers.pop(pair, None)
                batch.append(run)
        store_fresh(turn, batch)

    def _queue_of(self, namespace: str, handler: str) -> _Queue:
        return _Queue(deque(taker for taker in self._credit if taker.takes(namespace, handler)))

    def _taker_of(self, size: int, takers: deque[Taker]) -> Taker | None:
        for _ in range(len(takers)):
            taker = takers[0]
            takers.rotate(-1)
            room = self._budget.get(taker, taker.budget)
            # The first run always fits: the budget bounds a batch, what a run holds has bounds of its own.
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
        turn.look_at(run.deadline)
        turn.emit_run(EventType.RUN_STARTED, run)
        self.claimed.setdefault(taker, []).append(run)

    def hand_out(self) -> None:
        """Answer the waiting claims and note the streams' new runs: after the commit."""
        turn = self._turn
        turn.registry.free(turn.freed)
        turn.registry.maybe_ready -= self.exhausted
        for taker, batch in self.claimed.items():
            if isinstance(taker, Session):
                turn.outcome.assignments[taker] = batch
                for run in batch:
                    turn.registry.hold(taker, run.uid, run)
            else:
                turn.registry.demands.pop(taker, None)
                turn.outcome.answers.append((taker.ticket, batch))
        for demand in list(turn.registry.demands):
            if demand.deadline <= turn.now:
                turn.registry.demands.pop(demand)
                turn.outcome.answers.append((demand.ticket, []))
