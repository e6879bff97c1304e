"""Which handlers have a worker, so that a caller hears when a run waits for one that nobody has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from taskwheel_server.clock import SECOND
from taskwheel_server.model.run import Run
from taskwheel_server.model.state import State
from taskwheel_server.rpc.messages import TaskRun
from taskwheel_server.rpc.run_message import run_message

NO_WORKER = "NO_WORKER"

# A worker that has gone may be on its way back, and one that claims call by call works in between.
LATELY = 10 * SECOND


class Attendance:
    """The handlers that workers ask to run at this server. Of the event loop.

    Args:
        now: the server's instant, µs.
        exclusive: whether no other server has its database. At another there may be any worker, so then every handler
            counts as had.
    """

    def __init__(self, now: Callable[[], int], *, exclusive: bool) -> None:
        self._now = now
        self._exclusive = exclusive
        self._present: Counter[tuple[str, str]] = Counter()
        # When the last worker with a handler left, oldest first.
        self._left: dict[tuple[str, str], int] = {}

    @contextmanager
    def attend(self, namespace: str, handlers: Collection[str]) -> Iterator[None]:
        """Count a worker in for as long as it asks for runs of these handlers."""
        pairs = [(namespace, handler) for handler in set(handlers)]
        self._present.update(pairs)
        try:
            yield
        finally:
            for pair in pairs:
                self._leave(pair)
            self._forget()

    def _leave(self, pair: tuple[str, str]) -> None:
        self._present[pair] -= 1
        if not self._present[pair]:
            del self._present[pair]
            self._left.pop(pair, None)
            self._left[pair] = self._now()

    def _forget(self) -> None:
        horizon = self._now() - LATELY
        while self._left and self._left[oldest := next(iter(self._left))] <= horizon:
            del self._left[oldest]

    def has(self, namespace: str, handler: str) -> bool:
        """Whether a worker has the handler, or had it lately."""
        if not self._exclusive:
            return True
        pair = namespace, handler
        left = self._left.get(pair)
        return pair in self._present or (left is not None and left > self._now() - LATELY)

    def run_message(self, run: Run, *, full: bool = True) -> TaskRun:
        """Return a run as a message, as run_message does, with NO_WORKER as its reason if it waits in vain."""
        message = run_message(run, full=full)
        if run.state is State.READY and not self.has(run.namespace, run.handler):
            message.state_reason = NO_WORKER
        return message
