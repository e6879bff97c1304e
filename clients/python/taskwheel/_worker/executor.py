"""Starts what is assigned: async handlers as tasks of the loop, plain ones in threads."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from taskwheel._errors import RunCancelled
from taskwheel._worker import outcome
from taskwheel._worker.outbox import Lease, Outbox
from taskwheel._worker.pool import Pool
from taskwheel._worker.run import Run
from taskwheel.v1 import worker_service_pb2

Handler = Callable[[Run], Any]
Cancellation = worker_service_pb2.Cancellation

_log = logging.getLogger("taskwheel.worker")


class WorkerStopped(Exception):  # named by condition
    """The worker stopped before the handler had ended."""


class Executor:
    """Holds the runs of a worker from their assignment to their result.

    After a reconnect the server may assign while runs of the last stream are still at work. So the bound is kept here
    too: what exceeds it waits, under its lease.

    Args:
        handlers: what to call, by name.
        size: how many runs are at work at a time, in the loop and in threads each.
        outbox: where results go.

    Attributes:
        draining: whether nothing more is begun.
    """

    def __init__(self, handlers: Mapping[str, Handler], size: int, outbox: Outbox) -> None:
        self._handlers = handlers
        self._awaited = {name for name, handler in handlers.items() if _is_async(handler)}
        self._outbox = outbox
        self._size = size
        self._at_work = 0
        self._waiting: deque[Run] = deque()
        self._pool: Pool[Run] = Pool(size, self._perform)
        self.draining = False

    def assign(self, assignments: Iterable[worker_service_pb2.Assignment]) -> None:
        """Start runs, or hand them back when draining."""
        plain: list[Run] = []
        for assignment in assignments:
            run = Run(assignment, self._outbox)
            if stale := self._outbox.held.get(run.name):  # its lease ended while the stream was broken
                self._lose(stale)
            self._outbox.held[run.name] = run
            if self.draining:
                self._release(run)
            elif run.handler not in self._awaited:
                plain.append(run)
            elif self._at_work < self._size:
                self._start(run)
            else:
                self._waiting.append(run)
        if plain:
            self._pool.submit(plain)

    def cancel(self, cancellation: Cancellation) -> None:
        """Let a run stop; what it reports is dropped if its lease is lost."""
        run = self._outbox.held.get(cancellation.run)
        if run is None or run.attempt != cancellation.attempt:
            return
        if cancellation.reason == Cancellation.CANCEL_REQUESTED:
            self._stop(run)
        else:
            self._lose(run)

    def _lose(self, run: Run) -> None:
        _log.warning("%s belongs to this worker no more: its lease was lost", run.name)
        run.lost = True
        del self._outbox.held[run.name]
        self._stop(run)

    def _stop(self, run: Run) -> None:
        run.stop = True
        if run.begun and run.job:
            run.job.cancel()

    def drain(self) -> None:
        """Begin nothing more, and hand back what has not begun."""
        self.draining = True
        for run in [*self._waiting, *self._pool.withdraw()]:
            self._release(run)
        self._waiting.clear()
        self._outbox.wake()

    def interrupt(self) -> None:
        """Stop what can be stopped: async handlers. Each ends as FAILED with WorkerStopped."""
        for run in self._outbox.held.values():
            if run.job:
                run.job.cancel()

    def close(self) -> None:
        """End what can be ended; plain handlers at work are left to end with the process."""
        self.drain()
        self.interrupt()
        self._pool.close()

    def _release(self, run: Run) -> None:
        self._outbox.put(run, Lease(run=run.name, attempt=run.attempt, lease_token=run.lease_token))

    def _start(self, run: Run) -> None:
        self._at_work += 1
        run.job = asyncio.create_task(self._await(run))

    async def _await(self, run: Run) -> None:
        run.begun = True
        try:
            run.raise_if_cancelled()
            report = outcome.succeeded(run, await self._handlers[run.handler](run))
        except RunCancelled:
            report = outcome.cancelled(run)
        except asyncio.CancelledError:
            interrupted = self.draining and not run.stop
            report = outcome.failed(run, WorkerStopped("the worker stopped")) if interrupted else outcome.cancelled(run)
        except (Exception, SystemExit) as error:  # noqa: BLE001  # the report tells it
            report = outcome.failed(run, error)
        self._outbox.put(run, report)
        self._at_work -= 1
        if self._waiting:
            self._start(self._waiting.popleft())

    def _perform(self, run: Run) -> None:
        try:
            run.raise_if_cancelled()
            report = outcome.succeeded(run, self._handlers[run.handler](run))
        except RunCancelled:
            report = outcome.cancelled(run)
        except BaseException as error:  # noqa: BLE001  # the report tells it; the thread goes on
            report = outcome.failed(run, error)
        self._outbox.put(run, report)


def _is_async(handler: Handler) -> bool:
    call = handler if inspect.isroutine(handler) else type(handler).__call__
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(call)
