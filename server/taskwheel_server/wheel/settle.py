"""Settle: what workers and callers say about leased runs. Every word is fenced by (run, attempt, lease token)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskwheel_server.clock import SECOND
from taskwheel_server.db import runs
from taskwheel_server.errors import FailedPrecondition, NotFound, TaskwheelError
from taskwheel_server.model.event import EventType
from taskwheel_server.model.state import LEASED, State, StateReason
from taskwheel_server.model.uid import time_of
from taskwheel_server.wheel.admit import start_limit
from taskwheel_server.wheel.commands import Renewed
from taskwheel_server.wheel.ending import Endings

if TYPE_CHECKING:
    from taskwheel_server.model.names import RunRef
    from taskwheel_server.model.run import Run
    from taskwheel_server.wheel.commands import CancelRun, CompleteRuns, Lease, ReleaseRuns, RenewLeases, Result
    from taskwheel_server.wheel.turn import Turn

# A cancelled run's lease is not renewed past this: its worker has had its chance to stop.
CANCEL_GRACE = 60 * SECOND


def holds(turn: Turn, run: Run | None, lease: Lease) -> bool:
    """Tell whether `lease` is the run's current one: the fence, checked again by the write itself."""
    return (
        run is not None
        and run.state in LEASED
        and run.lease_token == lease.token
        and run.attempt == lease.attempt
        and run.lease_expire_time is not None
        and run.lease_expire_time > turn.now
    )


def complete(turn: Turn, commands: list[CompleteRuns]) -> None:
    """Settle results; a result that was accepted before is accepted again, so that it can be repeated."""
    leased = _leased(turn, commands)
    endings = Endings(turn)
    for command in commands:
        turn.answer(
            command, [_complete(turn, endings, leased.get(result.lease.uid), result) for result in command.results]
        )
    endings.write()


def _leased(turn: Turn, commands: list[CompleteRuns]) -> dict[str, Run]:
    """Return the runs that results are about, by uid.

    A run that succeeds is not read again where its stream remembers it: its lease has only grown since, and the write
    is fenced by the token. A turn that met the fence reads them all.
    """
    remembered: dict[str, Run] = {}
    unknown: set[str] = set()
    for command in commands:
        for result in command.results:
            lease = result.lease
            run = None if turn.replay or result.error or result.cancelled else turn.registry.remembered(lease.uid)
            if run and holds(turn, run, lease):
                # What is remembered stays as it is until the turn has committed.
                remembered[lease.uid] = remembered.get(lease.uid) or run.copy()
            else:
                unknown.add(lease.uid)
    return (remembered | runs.by_uid(turn.connection, unknown, lock=True)) if unknown else remembered


def _complete(turn: Turn, endings: Endings, run: Run | None, result: Result) -> bool:
    if run is None or not holds(turn, run, result.lease):
        # The token outlives the lease only when a result ended it.
        return run is not None and run.state.done and run.lease_token == result.lease.token
    if result.cancelled or (result.error and run.state is State.CANCELLING):
        endings.cancel(run, run.state_reason or StateReason.WORKER_CANCELLED)
    elif result.error:
        endings.fail(run, result.error, None)
    else:
        endings.succeed(run, result.result)
    return True


def renew(turn: Turn, commands: list[RenewLeases]) -> None:
    """Renew leases and note progress."""
    leased = runs.by_uid(
        turn.connection, {item.lease.uid for command in commands for item in command.renewals}, lock=True
    )
    renewed: dict[str, Run] = {}
    for command in commands:
        answers: list[Renewed] = []
        for item in command.renewals:
            run = leased.get(item.lease.uid)
            if run is None or not holds(turn, run, item.lease):
                answers.append(Renewed(None))
                continue
            _extend(turn, run)
            if item.progress_ratio is not None or item.progress_message is not None:
                run.progress_ratio, run.progress_message = item.progress_ratio, item.progress_message
                run.update_time = turn.now
            renewed[run.uid] = run
            answers.append(Renewed(run.lease_expire_time, cancel_requested=run.state is State.CANCELLING))
            if command.session:
                turn.registry.hold(command.session, run.uid)
        turn.answer(command, answers)
    runs.write_renewed(turn.connection, list(renewed.values()))


def _extend(turn: Turn, run: Run) -> None:
    end = turn.now + turn.settings.lease
    if run.state is State.CANCELLING:
        end = min(end, max(run.state_change_time + CANCEL_GRACE, run.lease_expire_time or 0))
    run.lease_expire_time = end
    run.deadline = lease_deadline(run)


def lease_deadline(run: Run) -> int:
    """Return when a leased run must be looked at again: the end of its lease or of its time, µs."""
    ends = [run.lease_expire_time or 0]
    if run.run_timeout and run.start_time is not None:
        ends.append(run.start_time + run.run_timeout)
    return min(ends)


def hand_back(turn: Turn, leases: list[Lease]) -> set[Lease]:
    """Return leased runs to READY, same attempt; one that was to be cancelled is cancelled instead.

    Returns:
        The leases that held; the others are passed over.
    """
    leased = runs.by_uid(turn.connection, {lease.uid for lease in leases}, lock=True)
    endings = Endings(turn)
    returned: list[tuple[Run, State]] = []
    held: set[Lease] = set()
    for lease in leases:
        run = leased.get(lease.uid)
        if run is None or not holds(turn, run, lease):
            continue
        held.add(lease)
        if run.state is State.CANCELLING:
            # Without its token a result that still comes cannot be taken for an accepted one.
            run.lease_token = None
            endings.cancel(run, run.state_reason or StateReason.CANCEL_REQUESTED)
            continue
        returned.append((run, turn.move(run, State.READY, StateReason.HANDED_BACK)))
        run.start_time = run.worker = run.lease_token = run.lease_expire_time = None
        run.deadline = start_limit(run)
        turn.look_at(run.deadline)
        turn.ready(run)
        turn.emit_run(EventType.RUN_PENDING, run)
    runs.write_handed_back(turn.connection, returned)
    endings.write()
    return held


def release(turn: Turn, commands: list[ReleaseRuns]) -> None:
    """Hand back what workers give up."""
    returned = hand_back(turn, [lease for command in commands for lease in command.leases])
    for command in commands:
        turn.answer(command, [lease in returned for lease in command.leases])


def cancel(turn: Turn, commands: list[CancelRun]) -> None:
    """Cancel runs: a pending one for certain, a running one by asking its worker."""
    found = runs.by_uid(turn.connection, {command.run.uid for command in commands}, whole=True, lock=True)
    endings = Endings(turn)
    asked: list[tuple[Run, State]] = []
    for command in commands:
        try:
            run = found_run(turn, found, command.run)
            _cancel(turn, endings, asked, run, command)
            turn.answer(command, run)
        except TaskwheelError as error:
            turn.answer(command, error)
    turn.write_moved(asked)
    endings.write()


def _cancel(turn: Turn, endings: Endings, asked: list[tuple[Run, State]], run: Run, command: CancelRun) -> None:
    if run.state in {State.CANCELLED, State.CANCELLING}:
        return
    if run.state.done:
        raise FailedPrecondition("RUN_DONE", f"run '{command.run}' has ended already", state=run.state.name)
    reason = command.reason or StateReason.CANCEL_REQUESTED
    if run.state.pending:
        endings.cancel(run, reason)
    elif command.pending_only:
        raise FailedPrecondition("RUN_STARTED", f"run '{command.run}' has started already", state=run.state.name)
    else:
        ask_to_stop(turn, asked, run, reason)


def ask_to_stop(turn: Turn, asked: list[tuple[Run, State]], run: Run, reason: str) -> None:
    """Move a running run to CANCELLING and have its worker told."""
    asked.append((run, turn.move(run, State.CANCELLING, reason)))
    turn.emit_run(EventType.RUN_CANCELLING, run)
    turn.stop_worker(run, lost=False)


def found_run(turn: Turn, found: dict[str, Run], ref: RunRef) -> Run:
    """Return the run that a caller points at.

    Raises:
        NotFound: RUN_EXPIRED when its uid is older than retention, else RUN_NOT_FOUND.
    """
    run = found.get(ref.uid)
    horizon = turn.now - turn.settings.retention
    if run is None or run.namespace != ref.namespace or (run.end_time is not None and run.end_time <= horizon):
        raise missing_run(ref, horizon)
    return run


def missing_run(ref: RunRef, horizon: int) -> NotFound:
    """Return the error for a run that is not there; `horizon` is the oldest instant kept, µs."""
    if 0 < time_of(ref.uid) <= horizon:
        return NotFound("RUN_EXPIRED", f"run '{ref}' is past its retention", run=str(ref))
    return NotFound("RUN_NOT_FOUND", f"run '{ref}' does not exist", run=str(ref))
