"""Worker streams and waiting claims, in memory. A lost registry loses nothing: leases live in the store."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from taskwheel_server.model.run import Run

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Stop:
    """Word to a worker to stop a run: cancelled by a caller, or no longer its own."""

    uid: str
    attempt: int
    lost: bool


@dataclass(slots=True, eq=False)
class Session:
    """A worker's stream.

    Args:
        namespace: whose runs it takes.
        worker_id: the worker's own name for itself; the same over reconnects.
        handlers: the handlers it has.
        max_concurrent_runs: how many runs it holds at once at most: its credit when idle.
        push: called on the event loop with (assignments, runs to stop) after a commit.
    """

    namespace: str
    worker_id: str
    handlers: frozenset[str]
    max_concurrent_runs: int
    push: Callable[[list[Run], list[Stop]], None]
    # By uid; None where it was claimed on another stream. Their payload may be gone: it has been written.
    held: dict[str, Run | None] = field(default_factory=dict)
    draining: bool = False

    @property
    def credit(self) -> int:
        """How many more runs it can take."""
        return 0 if self.draining else self.max_concurrent_runs - len(self.held)

    def takes(self, namespace: str, handler: str) -> bool:
        """Whether it takes the runs of a handler."""
        return namespace == self.namespace and handler in self.handlers

    @property
    def budget(self) -> int:
        """Bytes of runs it is given in one turn at most; the stream splits them into messages."""
        return 16 * MIB


@dataclass(slots=True, eq=False)
class Demand:
    """A single claim that waits for work.

    Args:
        namespace: whose runs it takes.
        worker_id: recorded on the runs.
        handlers: the handlers it has.
        max_runs: how many it takes at most.
        deadline: µs; answered empty-handed then.
        ticket: resolved with the claimed runs.
    """

    namespace: str
    worker_id: str
    handlers: frozenset[str]
    max_runs: int
    deadline: int
    ticket: Any

    @property
    def credit(self) -> int:
        """How many runs it can take."""
        return self.max_runs

    def takes(self, namespace: str, handler: str) -> bool:
        """Whether it takes the runs of a handler."""
        return namespace == self.namespace and handler in self.handlers

    @property
    def budget(self) -> int:
        """Bytes of runs it is given at most: they must fit one message."""
        return 3 * MIB


Taker = Session | Demand


class Registry:
    """Every session and demand of this process, and which session holds which run."""

    def __init__(self) -> None:
        self.sessions: dict[Session, None] = {}
        self.demands: dict[Demand, None] = {}
        self._holder: dict[str, Session] = {}
        # A superset of the (namespace, handler) pairs that have ready runs: what a claim need look at.
        self.maybe_ready: set[tuple[str, str]] = set()

    def attach(self, session: Session) -> None:
        """Add a stream."""
        self.sessions[session] = None

    def detach(self, session: Session) -> None:
        """Forget a stream; its runs keep their leases."""
        self.sessions.pop(session, None)
        for uid in session.held:
            self._holder.pop(uid, None)
        session.held.clear()

    def hold(self, session: Session, uid: str, run: Run | None = None) -> None:
        """Note that a session works on a run: claimed by it, or renewed by it, perhaps after a reconnect."""
        if session in self.sessions:
            before = self._holder.get(uid)
            if before is not None and before is not session:
                del before.held[uid]
            session.held[uid] = run or session.held.get(uid)
            self._holder[uid] = session

    def free(self, uids: Iterable[str]) -> None:
        """Give back the credit that these runs took."""
        for uid in uids:
            if session := self._holder.pop(uid, None):
                del session.held[uid]

    def holder(self, uid: str) -> Session | None:
        """Return the session that works on a run."""
        return self._holder.get(uid)

    def remembered(self, uid: str) -> Run | None:
        """Return a run as its session was given it, if that is known: it may have moved since."""
        session = self._holder.get(uid)
        return session.held[uid] if session else None

    def held(self) -> list[str]:
        """Return the runs that sessions work on."""
        return list(self._holder)

    def takers(self, freed: Iterable[str]) -> list[tuple[Taker, int]]:
        """Return all that can take runs with their credit, counting the runs `freed` in this turn as ended."""
        back: dict[Session, int] = {}
        for uid in freed:
            if session := self._holder.get(uid):
                back[session] = back.get(session, 0) + 1
        takers: list[tuple[Taker, int]] = [(demand, demand.credit) for demand in self.demands]
        for session in self.sessions:
            credit = session.credit + (0 if session.draining else back.get(session, 0))
            if credit > 0:
                takers.append((session, credit))
        return takers

    def wanted(self) -> set[tuple[str, str]]:
        """Return the (namespace, handler) pairs that may have ready runs and have somebody to take them."""
        takers = [taker for taker, _ in self.takers(())] if self.maybe_ready else []
        return {pair for pair in self.maybe_ready if any(taker.takes(*pair) for taker in takers)}

    def next_deadline(self) -> int | None:
        """Return when the first waiting claim gives up, µs."""
        return min((demand.deadline for demand in self.demands), default=None)
