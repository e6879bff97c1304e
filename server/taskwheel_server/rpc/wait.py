"""WaitTaskRun: answers when the run is done, or as it is when the time is over."""

from __future__ import annotations

from taskwheel_server.clock import SECOND
from taskwheel_server.feed import Feed
from taskwheel_server.model.names import RunRef, parse_run
from taskwheel_server.rpc.backend import Backend
from taskwheel_server.rpc.lookup import find_run
from taskwheel_server.rpc.messages import TaskRun, WaitTaskRunRequest
from taskwheel_server.rpc.times import optional_microseconds

DEFAULT_TIMEOUT = 30 * SECOND


async def wait_task_run(backend: Backend, feed: Feed, request: WaitTaskRunRequest) -> TaskRun:
    """Wait for a run to be done, by the server's clock.

    Raises:
        NotFound: RUN_EXPIRED or RUN_NOT_FOUND.
        Unavailable: SHUTTING_DOWN, or the store cannot be read.
    """
    timeout = optional_microseconds(request, "timeout")
    deadline = backend.now() + (DEFAULT_TIMEOUT if timeout is None else timeout)
    ref = parse_run(request.name)
    while True:
        # The signal comes before the read, so that an end between the two is not missed.
        with feed.signal(ref.uid) as signal:
            # Before the read: what it found when there was time left may be old when there is none.
            over = backend.now() >= deadline
            run = await backend.read(find_run, ref, backend.horizon, follow_retries=request.follow_retries)
            if run.state.done or over:
                return backend.attendance.run_message(run)
            if run.uid == ref.uid:
                await signal.wait(deadline)
        ref = RunRef(ref.namespace, run.uid)
