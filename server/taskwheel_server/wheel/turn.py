"""One turn: its transaction, its instant, and what it gathers for after the commit.

Nothing outside the transaction changes until it has committed: a turn that fails is thrown away whole and replayed. So
is one whose fenced writes meet a row that has moved: any write may turn out to be such a one until the commit.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from taskwheel_server.db import runs
from taskwheel_server.model.state import LEASED, LEGAL_MOVES, State
from taskwheel_server.wheel.outcome import Outcome
from taskwheel_server.workers import Stop

if TYPE_CHECKING:
    from taskwheel_server.db import Connection, Question
    from taskwheel_server.model.event import EventType
    from taskwheel_server.model.run import Run
    from taskwheel_server.model.task import Task
    from taskwheel_server.model.uid import Minter
    from taskwheel_server.wheel.commands import Command
    from taskwheel_server.wheel.foresight import Foresight
    from taskwheel_server.workers import Registry

# How many due rows one stage takes on in a turn: it goes on in the next one, after whoever waits.
SLICE = 500


@dataclass(frozen=True, slots=True)
class Settings:
    """What an operator decides about time.

    Args:
        lease: how long a lease lasts, µs.
        retention: how long runs, logs and events are kept after their end, µs.
    """

    lease: int
    retention: int


@dataclass(slots=True)
class Turn:
    """A turn under way.

    Args:
        connection: in the writing transaction.
        now: the instant of everything in this turn, µs.
        minter: for uids and lease tokens.
        registry: who can take work.
        settings: the operator's.
        foresight: what it has learnt at its beginning.
        replay: whether this turn may have committed before.

    Attributes:
        unsure: whether another turn may have committed before, of which nobody was told.
    """

    connection: Connection
    now: int
    minter: Minter
    registry: Registry
    settings: Settings
    foresight: Foresight
    replay: bool = False
    unsure: bool = False
    # By namespace, as `events.append` takes them.
    events: dict[str, list[tuple[Any, ...]]] = field(default_factory=dict)
    # What is answered with the number of the last event, by namespace.
    numbered: dict[str, Question] = field(default_factory=dict)
    outcome: Outcome = field(default_factory=Outcome)
    # New runs that are ready and not stored yet: a worker may take them on in the same write.
    fresh: list[Run] = field(default_factory=list)
    # Runs that gave back their worker's credit, and how many of each task gave back a place under its limit.
    freed: list[str] = field(default_factory=list)
    vacated: dict[str, int] = field(default_factory=dict)
    # Tasks one of whose runs ended or whose limit changed: their held runs may go on.
    eased: set[str] = field(default_factory=set)
    unfinished: bool = False
    # The row that a tick about one row deals with.
    at_hand: str | None = None
    # Commands that have done a slice of what they are about, and are to go on in the next turn.
    again: list[Command] = field(default_factory=list)
    # A deleted task has more pending runs than one slice: the sweep is wanted now.
    sweep: bool = False
    # The earliest instant (µs) at which what this turn has stored must be looked at.
    due: int | None = None

    def look_at(self, instant: int | None) -> None:
        """Note that something stored must be looked at, µs; None: not at any time."""
        if instant is not None and (self.due is None or instant < self.due):
            self.due = instant

    def answer(self, command: Command, value: Any) -> None:
        """Note a command's answer: a value, or the exception it met."""
        self.outcome.answers.append((command.ticket, value))

    def emit_run(self, kind: EventType, run: Run) -> None:
        """Note an event of a run."""
        row = kind, self.now, run.uid, None, run.state_reason, run.worker, None
        self.events.setdefault(run.namespace, []).append(row)

    def emit_task(self, kind: EventType, task: Task, detail: str) -> None:
        """Note an event of a task with its snapshot."""
        self.events.setdefault(task.namespace, []).append((kind, self.now, None, task.uid, None, None, detail))

    def move(self, run: Run, state: State, reason: str | None) -> State:
        """Move a run in memory and return the state it left; its task and worker are told after the commit.

        Raises:
            AssertionError: the move is not in the table of legal moves.
        """
        before = run.state
        if state not in LEGAL_MOVES[before]:
            raise AssertionError(f"illegal move from {before.name} to {state.name}")
        run.state, run.state_reason = state, reason
        run.state_change_time = run.update_time = self.now
        if state.done:
            if before is State.READY:
                self.foresight.forget((run.namespace, run.handler))
            run.end_time = self.now
            run.lease_expire_time = run.deadline = None
            self.eased.add(run.task_uid)
            self.outcome.ended.add(run.uid)
        if before in LEASED and state is not State.CANCELLING:
            self.vacated[run.task_uid] = self.vacated.get(run.task_uid, 0) + 1
            self.eased.add(run.task_uid)
            self.freed.append(run.uid)
        return before

    def ready(self, run: Run) -> None:
        """Note that a run may be claimed, when it is stored as ready."""
        pair = run.namespace, run.handler
        self.registry.maybe_ready.add(pair)
        self.outcome.ready.add(pair)
        self.foresight.forget(pair)

    def stop_worker(self, run: Run, *, lost: bool) -> None:
        """Have the worker that holds a run told to stop it, for it was cancelled, or is lost to the worker."""
        if session := self.registry.holder(run.uid):
            self.outcome.stops.setdefault(session, []).append(Stop(run.uid, run.attempt, lost))
        else:
            self.outcome.stops_elsewhere.append((run.uid, run.attempt, lost))

    def write_moved(self, moves: list[tuple[Run, State]]) -> None:
        """Write moves between live states."""
        for run, _ in moves:
            self.look_at(run.deadline)
        runs.write_moved(self.connection, moves)

    def write_ended(self, moves: list[tuple[Run, State]]) -> None:
        """Write moves to final states."""
        runs.write_ended(self.connection, moves)
