"""Claim: ready runs to whoever has credit, in order, each with a lease of its own."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from heapq import merge
from typing import TYPE_CHECKING

from taskwheel_server.db import runs, tasks
from taskwheel_server.model.event import EventType
from taskwheel_server.model.state import State, StateReason
from taskwheel_server.wheel.admit import store_fresh
from taskwheel_server.wheel.foresight import in_demand
from taskwheel_server.wheel.settle import lease_deadline
from taskwheel_server.wheel.turn import SLICE
from taskwheel_server.workers import Session

if TYPE_CHECKING:
    from taskwheel_server.model.run import Run
    from taskwheel_server.wheel.foresight import Pair, Ready
    from taskwheel_server.wheel.turn import Turn
    from taskwheel_server.workers import Taker


@dataclass(slots=True)
class _Queue:
    """The ready runs of one handler, the first of them, and who can take them.

    Args:
        takers: the next one first.
        rows: the stored runs, as `runs.ready` has them.
        whole: whether those are all.
        full: whether no taker has room left.
    """

    takers: deque[Taker]
    rows: list[Ready] = field(default_factory=list)
    whole: bool = True
    full: bool = False

    def knows(self, run: Run) -> bool:
        """Tell whether none that is not among the rows goes before a new run."""
        return self.whole or _run_order(run) < _claim_order(self.rows[-1])


@dataclass(slots=True)
class _Given:
    """What was given to takers at one look, and what could not be.

    Args:
        stored: runs that were stored as ready.
        fresh: the turn's new runs, as they are to be stored, by uid.
        held: runs whose tasks are at their limit, with the state they left.
        by_task: how many runs of tasks with a limit, by the task's uid.
        unread: those of `stored` whose payload is yet to be read.
    """

    stored: list[Run] = field(default_factory=list)
    fresh: dict[str, Run] = field(default_factory=dict)
    held: list[tuple[Run, State]] = field(default_factory=list)
    by_task: dict[str, int] = field(default_factory=dict)
    unread: list[Run] = field(default_factory=list)


def _claim_order(row: Ready) -> tuple[int, int, str]:
    return _run_order(row[0])


def _run_order(run: Run) -> tuple[int, int, str]:
    return -run.priority, run.schedule_time, run.uid


class Claims:
    """What this turn gives to whom; the registry learns of it after the commit."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._credit: dict[Taker, int] = dict(turn.registry.takers(turn.freed))
        self._budget: dict[Taker, int] = {}
        self._token = turn.minter.mint()
        self.exhausted: set[Pair] = set()
        self.claimed: dict[Taker, list[Run]] = {}

    def claim(self) -> None:
        """Give ready runs to the takers of their handlers, in claim order, fairly among them.

        The turn's new runs are stored, those already started that are taken at once.
        """
        turn = self._turn
        ready = set(turn.registry.maybe_ready)
        pairs, limit = in_demand(self._credit, ready | {(run.namespace, run.handler) for run in turn.fresh})
        queues = {pair: self._queue_of(*pair) for pair in pairs}
        # As many runs as can be taken: most often all of them are. Where tasks are at their limits, further ones.
        look, left = limit, {pair for pair in queues if pair in ready}
        more = self._take(queues, left, look)
        while more and left and look < SLICE:
            look = min(4 * look, SLICE)
            left = {pair for pair in left if pair not in self.exhausted and not queues[pair].full}
            more = self._take({pair: queues[pair] for pair in left}, left, look)
        turn.outcome.ready -= self.exhausted
        turn.outcome.ready |= turn.foresight.left()
        # Bytes ran out, or runs that had to be held used the slice up: go on in the next turn.
        turn.unfinished |= any(
            self._credit[taker] > 0
            for pair, queue in queues.items()
            if pair not in self.exhausted
            for taker in queue.takers
        )

    def _take(self, queues: dict[Pair, _Queue], stored: set[Pair], limit: int) -> bool:
        """Look at `limit` stored runs of each of these pairs, give what can be given; tell whether to look at more."""
        for pair, (rows, whole) in self._turn.foresight.ready(self._turn, sorted(stored), limit).items():
            queues[pair].rows, queues[pair].whole = rows, whole
        given = self._give(queues)
        self._write(given)
        # Others may have met these locked, and passed over them.
        taken = {run.uid for run in given.stored} | {run.uid for run, _ in given.held}
        left = {pair for pair in stored if any(run.uid not in taken for run, *_ in queues[pair].rows)}
        self._turn.outcome.ready |= left
        if not self._left(queues):
            return False
        self.exhausted |= {pair for pair, queue in queues.items() if queue.whole and not queue.full}
        return bool(given.held)

    def _left(self, queues: dict[Pair, _Queue]) -> int:
        """Return how many runs can still be taken off these queues, whatever their size."""
        return sum(self._credit[taker] for taker in {taker for queue in queues.values() for taker in queue.takers})

    def _give(self, queues: dict[Pair, _Queue]) -> _Given:
        turn = self._turn
        given = _Given()
        # As joined, their counters may be what they were before another server's turn.
        limits = {run.task_uid for queue in queues.values() for run, limited, _ in queue.rows if limited}
        locked = tasks.lock(turn.connection, limits) if limits else {}
        new = {run.uid for run in turn.fresh}
        fresh: list[Ready] = sorted(((run, False, 0) for run in turn.fresh), key=_claim_order)
        credit = self._left(queues)
        for run, limited, unread_bytes in merge(*(queue.rows for queue in queues.values()), fresh, key=_claim_order):
            if not credit:
                break
            queue = queues.get((run.namespace, run.handler))
            if queue is None or queue.full or (run.uid in new and not queue.knows(run)):
                continue
            if run.task_uid in locked and locked[run.task_uid].full(given.by_task.get(run.task_uid, 0)):
                given.held.append((run, turn.move(run, State.HELD, StateReason.CONCURRENCY_LIMIT)))
                continue
            if not (taker := self._taker_of(run.size() + unread_bytes, queue.takers)):
                queue.full = True
                continue
            credit -= 1
            if run.uid in new:
                # The caller is answered with the run as it was admitted.
                given.fresh[run.uid] = started = run.copy()
            else:
                given.stored.append(started := run)
            self._start(started, taker)
            if limited:
                given.by_task[run.task_uid] = given.by_task.get(run.task_uid, 0) + 1
            if unread_bytes:
                given.unread.append(run)
        return given

    def _write(self, given: _Given) -> None:
        turn = self._turn
        turn.write_moved(given.held)
        runs.write_started(turn.connection, given.stored)
        store_fresh(turn, [given.fresh.get(run.uid, run) for run in turn.fresh])
        tasks.add_running(turn.connection, given.by_task)
        if given.unread:
            payloads = runs.payloads(turn.connection, [run.uid for run in given.unread])
            for run in given.unread:
                run.payload = payloads[run.uid]

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
