"""A server before the server, which sees each call and may delay it, refuse it or lose its answer."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

PATIENCE = 20


class Relay(grpc.GenericRpcHandler):
    """Hands unary calls on to a server.

    Args:
        address: host and port of the server.

    Attributes:
        calls: the method of each call that came.
        arrived: the same, to wait for.
        metadata: that of each call.
        before: called with the context of each call before it is handed on.
        after: called with it once the server has answered, before the caller is.
    """

    def __init__(self, address: str) -> None:
        self.calls: list[str] = []
        self.metadata: list[dict[str, Any]] = []
        self.arrived: queue.Queue[str] = queue.Queue()
        self.before: Callable[[Any], None] = lambda context: None
        self.after: Callable[[Any], None] = lambda context: None
        self._open = threading.Event()
        self._open.set()
        self._channel: Any = grpc.insecure_channel(address)
        self._server = grpc.server(ThreadPoolExecutor(64), handlers=[self])
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any]:
        """Take any call."""
        method = details.method

        def forward(request: bytes, context: grpc.ServicerContext) -> Any:
            self.calls.append(method.rpartition("/")[2])
            self.metadata.append(dict(context.invocation_metadata()))
            self.arrived.put(method)
            assert self._open.wait(PATIENCE)
            self.before(context)
            try:
                answer = self._channel.unary_unary(method)(request)
            except grpc.RpcError as error:
                refused: Any = error
                context.set_trailing_metadata(refused.trailing_metadata())
                context.abort(refused.code(), refused.details())
            self.after(context)
            return answer

        return grpc.unary_unary_rpc_method_handler(forward)

    def hold(self) -> None:
        """Keep calls from here on, until release."""
        self._open.clear()

    def release(self) -> None:
        """Hand on all that were kept."""
        self._open.set()

    def close(self) -> None:
        """End it."""
        self.release()
        self._server.stop(0).wait()
        self._channel.close()
