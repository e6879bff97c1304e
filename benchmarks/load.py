"""The load generator, a process of its own: reads commands as lines of JSON, answers each with what it measured.

It does as little as it can, for it shares the machine with what it measures: requests come serialised and are sent as
they are, answers are dropped unread, and a worker reads no more of a run than it must send back.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING, Any

import grpc
import uvloop

from benchmarks import callers
from taskwheel.v1.worker_service_pb2 import Hello, WorkRequest, WorkResponse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Sequence

_OPTIONS = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
_WORK = "/taskwheel.v1.WorkerService/Work"
# The rest of a RunResult behind its token: a result that is null.
_NULL = b"\x22\x02\x08\x00"
SUBSCRIBERS_PER_CHANNEL = 100


Stub = Callable[..., Any]


def channel(target: str) -> grpc.aio.Channel:
    """Return a channel of its own connection."""
    return grpc.aio.insecure_channel(target, options=_OPTIONS)


async def unary(target: str, method: str, request: str, callers: int, calls: int) -> dict[str, Any]:
    """Send `request` (hexadecimal) `calls` times, each caller its next one when the last is answered."""
    async with channel(target) as connection:
        call: Stub = connection.unary_unary(method)
        body = bytes.fromhex(request)
        reply = await call(body, wait_for_ready=True)
        numbers = iter(range(calls))

        async def caller() -> None:
            for _ in numbers:
                await call(body)

        began = time.perf_counter()
        await asyncio.gather(*(caller() for _ in range(callers)))
        return {"seconds": time.perf_counter() - began, "reply": reply.hex()}


async def paced(target: str, method: str, request: str, calls: int, pause: list[float]) -> dict[str, Any]:
    """Send `request` now and then; return how long each call took, s."""
    async with channel(target) as connection:
        call: Stub = connection.unary_unary(method)
        body = bytes.fromhex(request)
        await call(body, wait_for_ready=True)
        latencies = []
        for _ in range(calls):
            await asyncio.sleep(random.uniform(*pause))
            began = time.perf_counter()
            await call(body)
            latencies.append(time.perf_counter() - began)
        return {"latencies": latencies}


async def work(
    connection: grpc.aio.Channel, worker: str, handler: str, credit: int, seen: Callable[[int, int], None]
) -> None:
    """Work runs of `handler` on one stream, each at once and to the result null, until cancelled.

    Args:
        connection: to open the stream on.
        worker: its worker_id.
        handler: whose runs.
        credit: how many it takes at once.
        seen: told with each message how many assignments and acknowledgements it brought.
    """
    outgoing: asyncio.Queue[bytes] = asyncio.Queue()
    hello = Hello(worker_id=worker, handlers=[handler], max_concurrent_runs=credit)
    outgoing.put_nowait(WorkRequest(hello=hello).SerializeToString())

    async def requests() -> AsyncIterator[bytes]:
        while True:
            yield await outgoing.get()

    call: Stub = connection.stream_stream(_WORK)
    async for message in call(requests()):
        response = WorkResponse.FromString(message)
        seen(len(response.assignments), len(response.acknowledgements))
        if response.assignments:
            outgoing.put_nowait(b"".join(map(_result, response.assignments)))


def _result(assignment: Any) -> bytes:
    """Return the bytes of one element of WorkRequest.results; each length is below 128, one byte."""
    run, token = assignment.run, assignment.lease_token.encode()
    name = run.name.encode()
    size = len(name) + len(token) + 6 + len(_NULL)
    return b"\x12%c\x0a%c%b\x10%c\x1a%c%b%b" % (size, len(name), name, run.attempt, len(token), token, _NULL)


async def worked(
    target: str, handler: str, streams: int, credit: int, runs: int, method: str, request: str, callers: int, calls: int
) -> dict[str, Any]:
    """Work `runs` runs on `streams` streams until all results are acknowledged, sending `calls` requests meanwhile."""
    async with channel(target) as connection, channel(target) as enqueuing:
        await asyncio.gather(connection.channel_ready(), enqueuing.channel_ready())
        done = asyncio.Event()
        acknowledged = 0

        def seen(_assignments: int, acknowledgements: int) -> None:
            nonlocal acknowledged
            acknowledged += acknowledgements
            if acknowledged >= runs:
                done.set()

        numbers = iter(range(calls))
        call: Stub = enqueuing.unary_unary(method)
        body = bytes.fromhex(request)

        async def caller() -> None:
            for _ in numbers:
                await call(body)

        began = time.perf_counter()
        workers = [asyncio.ensure_future(work(connection, f"w{n}", handler, credit, seen)) for n in range(streams)]
        enqueuers = [caller() for _ in range(callers)]
        waiter = asyncio.ensure_future(done.wait())
        await asyncio.gather(*enqueuers)
        await asyncio.wait([waiter, *workers], return_when=asyncio.FIRST_COMPLETED)
        seconds = time.perf_counter() - began
        await _stop(workers)
        return {"seconds": seconds}


async def idle(target: str, handler: str, method: str, request: str, calls: int, pause: list[float]) -> dict[str, Any]:
    """Enqueue a run now and then; return how long each took from before the call to its arrival at a worker, s."""
    async with channel(target) as connection, channel(target) as enqueuing:
        await asyncio.gather(connection.channel_ready(), enqueuing.channel_ready())
        arrived = asyncio.Event()
        arrival = 0.0

        def seen(assignments: int, _acknowledgements: int) -> None:
            nonlocal arrival
            if assignments:
                arrival = time.perf_counter()
                arrived.set()

        worker = asyncio.ensure_future(work(connection, "idle", handler, 10, seen))
        call: Stub = enqueuing.unary_unary(method)
        latencies = []
        for number in range(-3, calls):
            await asyncio.sleep(random.uniform(*pause))
            arrived.clear()
            began = time.perf_counter()
            await asyncio.gather(call(bytes.fromhex(request)), arrived.wait())
            if number >= 0:
                latencies.append(arrival - began)
        await _stop([worker])
        return {"latencies": latencies}


async def _stop(tasks: Sequence[asyncio.Future[None]]) -> None:
    for task in tasks:
        task.cancel()
    for error in await asyncio.gather(*tasks, return_exceptions=True):
        if not isinstance(error, asyncio.CancelledError):
            raise RuntimeError("a stream ended") from error  # noqa: TRY004 - not a matter of types


class Subscribers:
    """Streams that count what arrives."""

    def __init__(self) -> None:
        self._streams: list[asyncio.Future[None]] = []
        self._channels: list[grpc.aio.Channel] = []
        self._sequences: list[int] = []
        self._goal = 0
        self._behind = 0
        self._reached = asyncio.Event()
        self._bytes = 0
        self._messages = 0

    async def subscribe(self, target: str, method: str, request: str, streams: int) -> dict[str, Any]:
        """Open streams and wait until each has had a message."""
        self._sequences = [0] * streams
        self._aim(1)
        for number in range(streams):
            if number % SUBSCRIBERS_PER_CHANNEL == 0:
                self._channels.append(channel(target))
                await self._channels[-1].channel_ready()
            call: Stub = self._channels[-1].unary_stream(method)
            self._streams.append(asyncio.ensure_future(self._read(number, call(bytes.fromhex(request)))))
        await self._reach()
        return {}

    async def _read(self, number: int, stream: Any) -> None:
        try:
            async for message in stream:
                self._bytes += len(message)
                self._messages += 1
                sequence = sequence_of(message)
                self._behind -= self._sequences[number] < self._goal <= sequence
                self._sequences[number] = sequence
                if not self._behind:
                    self._reached.set()
        finally:
            self._reached.set()

    def _aim(self, sequence: int) -> None:
        self._goal = sequence
        self._behind = sum(reached < sequence for reached in self._sequences)
        self._reached.clear()

    async def _reach(self) -> None:
        await self._reached.wait()
        for stream in self._streams:
            if stream.done():
                raise RuntimeError("a subscriber's stream ended") from stream.exception()

    async def fan_out(
        self, target: str, method: str, request: str, waves: int, events: int, *, stamped: bool
    ) -> dict[str, Any]:
        """Publish `waves` times `events` events, each when every stream has had those before.

        Args:
            target: of the server.
            method: what to call to publish.
            request: in hexadecimal.
            waves: how many calls.
            events: how far each call moves the sequence.
            stamped: whether to put the sequence behind the request, for the bare server to send on.
        """
        self._bytes = self._messages = 0
        async with channel(target) as connection:
            await connection.channel_ready()
            call: Stub = connection.unary_unary(method)
            body = bytes.fromhex(request)
            sequence = min(self._sequences)
            began = time.perf_counter()
            for _ in range(waves):
                sequence += events
                self._aim(sequence)
                await call(body + stamp(sequence) if stamped else body)
                await self._reach()
            seconds = time.perf_counter() - began
        return {"seconds": seconds, "bytes": self._bytes, "messages": self._messages}

    async def unsubscribe(self) -> dict[str, Any]:
        """End the streams."""
        await _stop(self._streams)
        for connection in self._channels:
            await connection.close()
        self._streams.clear()
        self._channels.clear()
        return {}


def stamp(sequence: int) -> bytes:
    """Return the field `sequence` of a WatchEventsResponse, its last one."""
    encoded = bytearray(b"\x10")
    while sequence > 0x7F:
        encoded.append(sequence & 0x7F | 0x80)
        sequence >>= 7
    return bytes((*encoded, sequence))


def sequence_of(message: bytes) -> int:
    """Return the sequence at the end of a message, read backwards to its tag; 0 if there is none."""
    if not message:
        return 0
    sequence = message[-1]
    for index in count(2):
        if message[-index] < 0x80:
            return sequence
        sequence = sequence << 7 | message[-index] & 0x7F
    raise AssertionError


async def main() -> None:
    """Carry out commands until the input ends."""
    subscribers = Subscribers()
    commands: dict[str, Callable[..., Awaitable[dict[str, Any]]]] = {
        "unary": unary,
        "paced": paced,
        "worked": worked,
        "idle": idle,
        "subscribe": subscribers.subscribe,
        "fan_out": subscribers.fan_out,
        "unsubscribe": subscribers.unsubscribe,
        "run_async": callers.run_async,
        "run_threads": callers.run_threads,
    }
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        command, arguments = json.loads(line)
        print(json.dumps(await commands[command](**arguments)), flush=True)


if __name__ == "__main__":
    uvloop.run(main())
