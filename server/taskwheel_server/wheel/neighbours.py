"""The other servers on the same database: what they tell, what they are told, and a look at what nobody told.

A hint is never needed: a moment later the same is found in the tables.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from taskwheel_server.clock import SECOND
from taskwheel_server.db import namespaces, runs
from taskwheel_server.db.dialect import await_answers
from taskwheel_server.db.hints import Hint
from taskwheel_server.model.state import LEASED
from taskwheel_server.wheel import record
from taskwheel_server.wheel.outcome import Outcome
from taskwheel_server.wheel.turn import SLICE
from taskwheel_server.workers import Stop

if TYPE_CHECKING:
    from taskwheel_server.db.store import Store
    from taskwheel_server.wheel.turn import Turn
    from taskwheel_server.workers import Registry

LOOK_EVERY = SECOND


class Neighbours:
    """The other servers, if the store admits any.

    Args:
        store: the one they share.
        registry: the workers of this server.
    """

    def __init__(self, store: Store, registry: Registry) -> None:
        self._store = store
        self._registry = registry
        self._heard: deque[Hint] = deque()
        # When to look around, µs; None: nobody else can have changed anything.
        self.next_look: int | None = None if store.exclusive else 0
        # Whether something may have been said that was not heard.
        self._missed = False

    def hear(self, hint: Hint) -> None:
        """Keep a hint for the next turn. From any thread."""
        self._heard.append(hint)

    @property
    def heard(self) -> bool:
        """Whether there are hints to take in."""
        return bool(self._heard)

    def take_in(self) -> Outcome:
        """Learn from the hints that have come; return what they have this server's workers told."""
        outcome = Outcome()
        while self._heard:
            hint = self._heard.popleft()
            self._registry.maybe_ready |= hint.ready
            for uid, attempt, lost in hint.stops:
                if session := self._registry.holder(uid):
                    outcome.stops.setdefault(session, []).append(Stop(uid, attempt, lost))
            if hint.untold:
                self.next_look, self._missed = 0, True
        return outcome

    def look_around(self, turn: Turn) -> None:
        """Find what other servers have left, should their word not have come."""
        if self.next_look is None or turn.now < self.next_look:
            return
        self._registry.maybe_ready.update(runs.ready_handlers(turn.connection))
        turn.eased.update(runs.tasks_to_release(turn.connection, SLICE))
        turn.outcome.sequences.update(namespaces.sequences(turn.connection))
        if self._missed or not self._store.hears:
            turn.outcome.untold = True
            check_held(turn, stop=True)

    def looked(self, turn: Turn) -> None:
        """Note that the turn has committed."""
        if self.next_look is not None and turn.now >= self.next_look:
            self.next_look, self._missed = turn.now + LOOK_EVERY, False

    def tell(self, turn: Turn) -> None:
        """Tell the others what the turn leaves to them."""
        told = turn.outcome
        if self._store.alone or not (turn.numbered or told.sequences or told.logged or told.ready):
            return
        await_answers(turn.connection)
        record.number(turn)
        # What this server has not heard itself is no news to those who told it.
        hint = Hint(told.ready, told.stops_elsewhere, told.sequences, told.logged, told.ended, turn.unsure)
        self._store.tell(turn.connection, hint)


def check_held(turn: Turn, *, stop: bool = False) -> None:
    """Bring what sessions hold in line with the store.

    Args:
        turn: under way.
        stop: whether to tell workers of what others have cancelled or taken away.
    """
    held = turn.registry.held()
    leased = runs.by_uid(turn.connection, held)
    for uid in held:
        run = leased.get(uid)
        known = turn.registry.remembered(uid)
        if run is None or run.state not in LEASED or (known and known.lease_token != run.lease_token):
            turn.freed.append(uid)
            if stop and known:
                turn.stop_worker(known, lost=True)
        elif stop and run.end_time is None and run.state is not (known.state if known else run.state):
            turn.stop_worker(run, lost=False)
