"""A bare grpc.aio server, the most that a server in Python can do: each call gets the same bytes, unparsed.

A call to a method named `Subscribe` is a stream, which gets each request to a method named `Publish`.

    python -m benchmarks.echo HOST:PORT REPLY_IN_HEXADECIMAL
"""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import TYPE_CHECKING, Any

import grpc
import uvloop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Echo(grpc.GenericRpcHandler):
    """Answers every method.

    Args:
        reply: the answer.
    """

    def __init__(self, reply: bytes) -> None:
        self._reply = reply
        self._subscribers: set[asyncio.Queue[bytes]] = set()

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any]:
        """Return the handler of a method by the end of its name."""
        match handler_call_details.method.rpartition("/")[2]:
            case "Subscribe":
                return grpc.unary_stream_rpc_method_handler(self._subscribe)
            case "Publish":
                return grpc.unary_unary_rpc_method_handler(self._publish)
            case _:
                return grpc.unary_unary_rpc_method_handler(self._answer)

    async def _answer(self, _request: bytes, _context: object) -> bytes:
        return self._reply

    async def _publish(self, request: bytes, _context: object) -> bytes:
        for subscriber in self._subscribers:
            subscriber.put_nowait(request)
        return self._reply

    async def _subscribe(self, request: bytes, _context: object) -> AsyncIterator[bytes]:
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        self._subscribers.add(queue)
        try:
            yield request
            while True:
                yield await queue.get()
        finally:
            self._subscribers.discard(queue)


async def main(target: str, reply: str) -> None:
    """Serve until SIGTERM."""
    server = grpc.aio.server(options=[("grpc.server.max_pending_requests", 20_000)])
    server.add_generic_rpc_handlers([Echo(bytes.fromhex(reply))])
    server.add_insecure_port(target)
    await server.start()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: asyncio.ensure_future(server.stop(0)))
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
