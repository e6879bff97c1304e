"""What surrounds every handler: bytes to a checked message, the answer to bytes, any error to its status.

A handler is a method of a servicer, named as its rpc. It takes the request (of a client stream: an async iterator of
requests) and the call's context, and returns its answer: a message, or bytes where it was serialized before. One that
streams yields its answers, or is a coroutine that writes them to the context. A handler raises TaskwheelError
for what went wrong.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import aclosing
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

from taskwheel_server.rpc.errors import MalformedRequest, abort
from taskwheel_server.rpc.validate import validate

Context = grpc.aio.ServicerContext[Any, Any]
Handler = Callable[[Any, Context], Any]


def handlers_of(described: ServiceDescriptor, servicer: object, name: str = "") -> grpc.GenericRpcHandler:
    """Return the handlers of a service, of the contract or another, as `servicer` implements it.

    gRPC is given no deserializers: one that fails would end the call as UNKNOWN, with our class names.

    Args:
        described: the service.
        servicer: has a method for each of its rpcs.
        name: under which it is served, in place of its own.
    """
    made = {method.name: _handler(method, getattr(servicer, method.name)) for method in described.methods}
    return grpc.method_handlers_generic_handler(name or described.full_name, made)


def _handler(method: MethodDescriptor, handle: Handler) -> grpc.RpcMethodHandler[Any, Any]:
    kind = GetMessageClass(method.input_type)
    if method.client_streaming and method.server_streaming:
        return grpc.stream_stream_rpc_method_handler(_bidirectional(kind, handle), response_serializer=_sent)
    if method.server_streaming:
        return grpc.unary_stream_rpc_method_handler(_streaming(kind, handle), response_serializer=_sent)
    return grpc.unary_unary_rpc_method_handler(_unary(kind, handle), response_serializer=_sent)


def _unary(kind: Any, handle: Handler) -> Callable[[bytes, Context], Any]:
    async def call(received: bytes, context: Context) -> Any:
        try:
            return await handle(_request(kind, received), context)
        except Exception as error:  # noqa: BLE001 - every error becomes a status; cancellation is none
            await abort(context, error)

    return call


def _streaming(kind: Any, handle: Handler) -> Callable[[bytes, Context], Any]:
    async def call(received: bytes, context: Context) -> None:
        try:
            await _stream(handle(_request(kind, received), context), context)
        except Exception as error:  # noqa: BLE001 - as above
            await abort(context, error)

    return call


def _bidirectional(kind: Any, handle: Handler) -> Callable[[AsyncIterator[bytes], Context], Any]:
    async def requests(received: AsyncIterator[bytes]) -> AsyncIterator[Any]:
        async for message in received:
            yield _request(kind, message)

    async def call(received: AsyncIterator[bytes], context: Context) -> None:
        try:
            await _stream(handle(requests(received), context), context)
        except Exception as error:  # noqa: BLE001 - as above
            await abort(context, error)

    return call


async def _stream(answers: Any, context: Context) -> None:
    if isinstance(answers, Coroutine):
        await answers
        return
    async with aclosing(answers):
        async for answer in answers:
            await context.write(answer)


def _request(kind: Any, received: bytes) -> Any:
    try:
        message = kind.FromString(received)
    except DecodeError:
        raise MalformedRequest from None
    validate(message, len(received))
    return message


def _sent(answer: Any) -> bytes:
    return answer if isinstance(answer, bytes) else answer.SerializeToString()
