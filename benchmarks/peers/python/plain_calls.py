"""taskwheel as a load tool sees it: RunTask calls with serialised requests, the answers dropped unread."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable

import uvloop

from benchmarks.cases import RUN
from benchmarks.load import Stub, channel
from benchmarks.peers.python.protocol import Payload, drive
from benchmarks.peers.python.taskwheel_peer import NOOP, Taskwheel
from taskwheel import RunRequest


class PlainCalls(Taskwheel):
    """A server without its client."""

    async def producer(self, callers: int) -> Callable[[Payload], Awaitable[object]]:
        connection = channel(os.environ["TASKWHEEL_ADDRESS"])
        await connection.channel_ready()
        call: Stub = connection.unary_unary(RUN)
        return lambda payload: call(RunRequest(task=NOOP, payload=payload).to_message().SerializeToString())


if __name__ == "__main__":
    uvloop.run(drive(PlainCalls()))
