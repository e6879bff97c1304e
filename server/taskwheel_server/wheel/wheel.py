"""The thread that turns: drain the mailbox, one transaction, deliver.

A turn whose commit has an unknown outcome is replayed: every uid was minted before, settling is fenced, slots are
unique, so what happened already happens to nothing. A turn that raises is replayed without the tick, then by halves,
until the culprit stands alone; it alone is told. The tick is halved likewise, and its culprit set aside.
"""

from __future__ import annotations

import asyncio
import threading
import time
from itertools import chain
from typing import TYPE_CHECKING, Any

import structlog

from taskwheel_server.clock import MINUTE, SECOND
from taskwheel_server.db import StaleTurn, due, namespaces, reason_of, runs
from taskwheel_server.errors import Unavailable
from taskwheel_server.model.uid import Minter
from taskwheel_server.wheel import claim, commands, edits, record, release, settle, sweep
from taskwheel_server.wheel.enlist import withdraw
from taskwheel_server.wheel.foresight import Foresight
from taskwheel_server.wheel.mailbox import CROWD, Mailbox
from taskwheel_server.wheel.neighbours import Neighbours, check_held
from taskwheel_server.wheel.obey import obey
from taskwheel_server.wheel.outcome import Outcome
from taskwheel_server.wheel.tick import TICKS, Stage, Tick, next_due
from taskwheel_server.wheel.turn import Settings, Turn
from taskwheel_server.workers import Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taskwheel_server.db import Connection
    from taskwheel_server.db.hints import Hint
    from taskwheel_server.db.store import Store
    from taskwheel_server.wheel.commands import Command

SWEEP_EVERY = MINUTE
# After a failure that is nobody's command, so that a broken disk is not asked a thousand times a second.
BACK_OFF = SECOND
# The part of a lease after which a store that does not answer has kept workers from renewing: they do so that often.
AWAY = 3
# A fenced write that fails this often in a row is no race.
MAX_REPLAYS = 5

log = structlog.get_logger()


class Wheel:
    """The one place where time and state move.

    Args:
        store: where everything is.
        lease: how long a lease lasts, µs.
        retention: how long ended runs, logs and events are kept, µs.
        deliver: called on the wheel's thread after each commit that bore fruit.
    """

    def __init__(self, store: Store, *, lease: int, retention: int, deliver: Callable[[Outcome], None]) -> None:
        self.clock = store.clock
        self.minter = Minter(store.clock)
        self.settings = Settings(lease, retention)
        self._store = store
        self._receive = deliver
        self._mailbox = Mailbox()
        self._registry = Registry()
        self._neighbours = Neighbours(store, self._registry)
        self._thread = threading.Thread(target=self._loop, name="wheel")
        self._stopping = False
        self._crowd = 0
        self._again: list[Command] = []
        # The one row that the turn that failed was about.
        self._at_hand: str | None = None
        self._unfinished = False
        self._next_time: int | None = 0
        # When something stored is due, and the earliest instant to see to it: after a failure, not at once.
        self._due: int | None = 0
        self._next_tick = 0
        self._next_sweep = 0
        # Whether the turn before failed, so that it may have committed or not, and what it gave out unbeknown.
        self._unsure = False
        # Since when the store does not answer, µs.
        self._away_since: int | None = None
        self._orphans: list[commands.Lease] = []
        self._eased: set[str] = set()
        # Since when a turn is under way or one turn after another has failed for no fault of a command's, by the
        # monotonic clock in seconds: for the watchdog.
        self.stuck_since: float | None = None
        self._failing = False
        self._recover()
        self.clock.on_change(self.wake)

    def _recover(self) -> None:
        with self._store.write() as connection:
            if self._store.exclusive:
                # Nobody could renew while no server was there. Else a long restart would end every run under way.
                runs.extend_leases(connection, self.clock.now() + self.settings.lease)
            self._registry.maybe_ready.update(runs.ready_handlers(connection))
            self._eased.update(runs.tasks_to_release(connection))

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Refuse further commands, carry out those that wait, end the thread."""
        self._stopping = True
        self._mailbox.close()
        self._thread.join()
        self._deliver(Outcome(answers=[(demand.ticket, []) for demand in self._registry.demands]))

    def submit(self, command: Command) -> asyncio.Future[Any]:
        """Hand in a command on the event loop and return the future of its answer.

        Raises:
            ResourceExhausted: MAILBOX_FULL.
            Unavailable: SHUTTING_DOWN.
        """
        ticket = command.ticket = asyncio.get_running_loop().create_future()
        self._mailbox.put(command)
        return ticket

    def wake(self) -> None:
        """Have the next turn begin now: a stream that was draining has room again. From any thread."""
        self._mailbox.wake()

    def hear(self, hint: Hint) -> None:
        """Learn what another server on the same database tells. From any thread."""
        self._neighbours.hear(hint)
        self.wake()

    @property
    def busy(self) -> bool:
        """Whether there is something to do right now."""
        return self._unfinished or self._wake_time <= self.clock.now() or not self._mailbox.empty

    @property
    def _wake_time(self) -> int:
        return self._next_sweep if self._next_time is None else min(self._next_sweep, self._next_time)

    def _loop(self) -> None:
        while not (self._stopping and self._mailbox.empty and not self._again):
            if not self._unfinished:
                self._mailbox.wait(self.clock.timeout(self._wake_time))
            if self._crowd >= CROWD:
                self._mailbox.linger()
            self.turn()

    def turn(self) -> None:
        """Turn once: carry out what waits in the mailbox and what is due, then a slice of the sweep if it is time."""
        if self.stuck_since is None:
            self.stuck_since = time.monotonic()
        if self._neighbours.heard:
            self._deliver(self._neighbours.take_in())
        taken, self._again = self._again + self._mailbox.take(), []
        self._crowd = len(taken)
        now = self.clock.now()
        ticks = TICKS if now >= self._next_tick and self._next_time is not None and now >= self._next_time else ()
        # A turn without a tick may succeed for having nothing to do.
        self._failing &= not ticks
        if taken or ticks or self._unfinished or self._unsure or self._registry.wanted():
            self._unfinished = False
            self._carry_out(taken, ticks)
        if self.clock.now() >= self._next_sweep:
            self._sweep()
        if not self._failing:
            self.stuck_since = None

    def _carry_out(self, batch: list[Command], ticks: Sequence[Tick] = (), *, replay: bool = False) -> None:
        for attempt in range(MAX_REPLAYS):
            try:
                self._transact(batch, ticks, replay=replay or attempt > 0)
            except StaleTurn:
                continue
            except Unavailable as error:
                if attempt == 0:
                    batch = self._repeatable(batch, error)
                    continue
                self._failing = True
                self._refuse(batch, error)
            except Exception as error:  # noqa: BLE001 - whatever it is, it must not end the wheel
                failure = error
                break
            return
        else:
            self._failing = True
            self._refuse(batch, Unavailable("STORE_BUSY", "the store keeps changing underneath; try again"))
            return
        # Not within the handler: each half's error would be chained to all before it.
        self._isolate(batch, ticks, failure)

    def _repeatable(self, batch: list[Command], error: Unavailable) -> list[Command]:
        """Refuse the edits of a turn that may have committed: carried out twice they could answer something else."""
        if edited := [command for command in batch if isinstance(command, edits.Edit)]:
            self._refuse(edited, error)
        return [command for command in batch if not isinstance(command, edits.Edit)]

    def _isolate(self, batch: list[Command], ticks: Sequence[Tick], error: Exception) -> None:
        log.error("turn_failed", commands=len(batch), due=sum(tick.limit for tick in ticks), exc_info=error)
        # Each is enlisted anew with its own half: answered with the other one, it would claim twice.
        withdraw(self._registry, batch)
        if batch and ticks:
            self._carry_out(batch, replay=True)
            self._carry_out([], ticks, replay=True)
        elif len(batch) > 1:
            half = len(batch) // 2
            self._carry_out(batch[:half], replay=True)
            self._carry_out(batch[half:], replay=True)
        elif len(ticks) > 1:
            for tick in ticks:
                self._carry_out([], [tick], replay=True)
        elif ticks and ticks[0].limit > 1:
            self._carry_out([], [ticks[0].halved()], replay=True)
        elif ticks:
            self._set_aside(ticks[0])
        else:
            self._failing |= not batch
            self._refuse(batch, error)

    def _set_aside(self, tick: Tick) -> None:
        """Keep the one due row that fails alone from stopping the others."""
        # Should a turn about nothing fail as well, it is no row's fault.
        uid = self._at_hand
        remedies = [lambda turn, mend=remedy: mend(turn, uid) for remedy in tick.remedies] if uid else []
        if not (self._succeeds() and any(self._succeeds(remedy) for remedy in remedies)):
            self._failing = True
            self._next_time = self._next_tick = self.clock.now() + BACK_OFF

    def _succeeds(self, *stages: Stage) -> bool:
        try:
            self._transact([], stages, replay=True)
        except Exception:
            log.exception("turn_failed", commands=0, due=len(stages))
            return False
        return True

    def _refuse(self, batch: Sequence[Command], error: Exception) -> None:
        self._unfinished = False
        self._next_time = self.clock.now() + BACK_OFF
        withdraw(self._registry, batch)
        self._deliver(Outcome(answers=[(command.ticket, error) for command in batch]))

    def _transact(self, batch: list[Command], stages: Sequence[Stage], *, replay: bool) -> None:
        claims = turn = told = None
        began = self.clock.now()
        try:
            # What a turn of unknown outcome has left changes what would be foreseen.
            foresight = (
                Foresight() if replay or self._unsure else Foresight(batch, self._registry, alone=self._store.alone)
            )
            with self._store.write(foresight.questions) as connection:
                turn = self._turn(connection, foresight, replay=replay)
                turn.eased |= self._eased
                if self._unsure:
                    self._make_sure(turn)
                self._neighbours.look_around(turn)
                obey(turn, batch)
                for stage in stages:
                    stage(turn)
                release.release_held(turn)
                claims = claim.Claims(turn)
                claims.claim()
                told = due.ask(connection) if stages is TICKS else None
                record.record(turn)
                self._neighbours.tell(turn)
        except BaseException as error:
            self._unsure = True
            if isinstance(error, Unavailable) and self._away_since is None:
                self._away_since = began
                log.warning("store_unavailable", reason=reason_of(error.__cause__))
            self._at_hand = turn.at_hand if turn else None
            if claims:
                # Should the commit have happened after all, nobody was told of these.
                claimed = chain.from_iterable(claims.claimed.values())
                self._orphans += [commands.Lease(run.uid, run.attempt, run.lease_token or "") for run in claimed]
            raise
        if self._away_since is not None:
            log.info("store_available")
        record.number(turn)
        self._unsure, self._away_since = False, None
        self._orphans.clear()
        self._eased = turn.eased if turn.unfinished else set()
        self._unfinished |= turn.unfinished
        self._again += turn.again
        self._neighbours.looked(turn)
        self._due = next_due(turn, told, self._due)
        ticking = None if self._due is None else max(self._due, self._next_tick)
        # A whole tick tells whether all is well again: what goes well in between must not put it off.
        promised = self._next_time if self._failing else None
        times = [ticking, self._registry.next_deadline(), self._neighbours.next_look, promised]
        self._next_time = min((instant for instant in times if instant is not None), default=None)
        if turn.sweep:
            self._next_sweep = turn.now
        claims.hand_out()
        self._deliver(turn.outcome)

    def _turn(self, connection: Connection, foresight: Foresight, *, replay: bool = False) -> Turn:
        now = self.clock.now()
        return Turn(connection, now, self.minter, self._registry, self.settings, foresight, replay=replay)

    def _deliver(self, outcome: Outcome) -> None:
        try:
            self._receive(outcome)
        except Exception:
            # Those who wait may have gone with their event loop; what is stored is stored, and time goes on.
            log.exception("delivery_failed", answers=len(outcome.answers))

    def _make_sure(self, turn: Turn) -> None:
        """Bring memory in line with the store after a turn of unknown outcome, and have all who wait look again."""
        turn.unsure = turn.outcome.untold = True
        if self._away_since is not None and turn.now - self._away_since >= self.settings.lease // AWAY:
            # Nobody could renew meanwhile: what ran out is no sign of a lost worker.
            runs.extend_leases(turn.connection, turn.now + self.settings.lease)
        turn.outcome.sequences.update(namespaces.sequences(turn.connection))
        # What does not hold has not been stored. The others are wanted again, should this turn fail as well.
        held = settle.hand_back(turn, self._orphans)
        self._orphans = [lease for lease in self._orphans if lease in held]
        check_held(turn)

    def _sweep(self) -> None:
        try:
            with self._store.write() as connection:
                turn = self._turn(connection, Foresight())
                sweep.sweep(turn)
                record.record(turn)
            record.number(turn)
        except Exception as error:
            log.warning("sweep_failed", exc_info=error)
            # The next turn makes sure.
            self._unsure = self._unfinished = True
            self._next_sweep = self.clock.now() + BACK_OFF
            return
        self._next_sweep = turn.now + (0 if turn.unfinished else SWEEP_EVERY)
        self._unfinished |= turn.unfinished
        self._deliver(turn.outcome)
