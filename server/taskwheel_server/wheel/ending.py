"""How runs end: gathered by a stage, then written in one go, failed attempts with the next attempt they lead to."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING

from taskwheel_server import retry
from taskwheel_server.db import runs, tasks
from taskwheel_server.model.event import EventType
from taskwheel_server.model.state import State
from taskwheel_server.wheel.admit import place, retry_of, store

if TYPE_CHECKING:
    from taskwheel_server.model.run import Run, RunError
    from taskwheel_server.wheel.turn import Turn

_EVENT_OF_END = {
    State.FAILED: EventType.RUN_FAILED,
    State.CANCELLED: EventType.RUN_CANCELLED,
    State.RETRIED: EventType.RUN_RETRIED,
}


class Endings:
    """The runs that end in one stage of a turn."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._succeeded: list[Run] = []
        self._moves: list[tuple[Run, State]] = []
        self._failures: list[tuple[Run, RunError, bool]] = []

    def succeed(self, run: Run, result: bytes | None) -> None:
        """End a leased run well, with its result (serialized Value)."""
        run.result = result
        self._turn.move(run, State.SUCCEEDED, None)
        self._succeeded.append(run)

    def cancel(self, run: Run, reason: str) -> None:
        """End a run as cancelled."""
        self._moves.append((run, self._turn.move(run, State.CANCELLED, reason)))

    def fail(self, run: Run, error: RunError, reason: str | None, *, lost: bool = False) -> None:
        """End a run badly: as RETRIED with a next attempt where its policy allows one, else as FAILED.

        Args:
            run: leased or pending; it is moved at once.
            error: why.
            reason: the state's reason.
            lost: whether its lease ended.
        """
        run.error_type, run.error_name = error.type, error.name
        run.error_message, run.error_stack = error.message, error.stack or None
        again = run.state is State.RUNNING and retry.retryable(
            load_policy(run.retry_policy), run.attempt, error.type, error.name, lost=lost
        )
        if again:
            self._failures.append((run, error, lost))
        before = self._turn.move(run, State.RETRIED if again else State.FAILED, reason)
        self._moves.append((run, before))

    def write(self) -> None:
        """Write all endings, their next attempts and their events."""
        fresh = self._next_attempts()
        runs.write_succeeded(self._turn.connection, self._succeeded)
        for run in self._succeeded:
            self._turn.emit_run(EventType.RUN_SUCCEEDED, run)
        self._turn.write_ended(self._moves)
        for run, _ in self._moves:
            self._turn.emit_run(_EVENT_OF_END[run.state], run)
            if run.state is State.FAILED:
                self._turn.emit_run(EventType.TASK_FAILED, run)
        store(self._turn, fresh)

    def _next_attempts(self) -> list[Run]:
        if not self._failures:
            return []
        turn = self._turn
        payloads = runs.payloads(turn.connection, [run.uid for run, *_ in self._failures])
        owners = tasks.lock_limited(turn.connection, {run.task_uid for run, *_ in self._failures})
        fresh: list[Run] = []
        for run, _, _ in self._failures:
            task = owners.get(run.task_uid)
            if task is None or task.delete_time is not None:
                # A deleted task's running runs finish; nothing new starts in its name.
                run.state = State.FAILED
                continue
            delay = retry.delay(load_policy(run.retry_policy), run.attempt, run.uid)
            attempt = retry_of(run, turn.minter.mint(), turn.now + delay)
            attempt.payload = payloads[run.uid]
            place(attempt, task, turn.now)
            run.retried_by_run = attempt.uid
            fresh.append(attempt)
        return fresh


@lru_cache(maxsize=1024)
def load_policy(text: str) -> retry.RetryPolicy:
    """Return the policy of a row's JSON text; '' is the default policy, and so is what another version has written."""
    try:
        return retry.RetryPolicy.from_dict(json.loads(text)) if text else retry.RetryPolicy()
    except (ValueError, TypeError, AttributeError):
        # It must not keep the run, and with it every timer, from ending.
        return retry.RetryPolicy()
