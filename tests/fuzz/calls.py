"""Calls as bytes: what is sent is what the generator made, and what comes back is judged before anything reads it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import DecodeError

from taskwheel_server.rpc.messages import message_class
from tests.faults.processes import connect
from tests.fuzz.contract import MESSAGE, path_of

# Whoever takes longer hangs.
DEADLINE = 15.0
# How long a call is let wait that may wait: for a run, for work, for the next line of a log.
PATIENCE = 0.1
OPEN = "OPEN"
# What the library makes of a write to a stream that the server has ended, as INTERNAL: the server's status is lost.
CUT = "CUT"
_BROKEN = "Internal error from Core"


@dataclass(frozen=True)
class Outcome:
    """How a call ended: its status, or OPEN for one that had not, and rightly so, when it was left.

    Args:
        status: a code's name.
        seconds: how long that took.
        message: the text of the status.
        details: the serialized google.rpc.Status.
        answers: serialized.
        decodable: whether all that was sent are messages of the method.
    """

    status: str
    seconds: float
    message: str = ""
    details: bytes = b""
    answers: tuple[bytes, ...] = ()
    decodable: bool = True


class Caller:
    """A connection to send raw requests on.

    Args:
        target: of the server.
    """

    def __init__(self, target: str) -> None:
        self.channel = connect(target)
        self._calls: dict[str, Any] = {}

    def _of(self, method: MethodDescriptor) -> Any:
        path = path_of(method)
        if path not in self._calls:
            kind = {
                (False, False): self.channel.unary_unary,
                (False, True): self.channel.unary_stream,
                (True, True): self.channel.stream_stream,
            }[method.client_streaming, method.server_streaming]
            self._calls[path] = kind(path)
        return self._calls[path]

    async def call(self, method: MethodDescriptor, requests: Sequence[bytes]) -> Outcome:
        """Send one call and return how it ended."""
        parsed = [_parsed(method, request) for request in requests]
        began = time.perf_counter()
        answers: list[bytes] = []
        message, details = "", b""
        patience = PATIENCE if any(map(_may_wait, parsed)) else DEADLINE
        try:
            async with asyncio.timeout(patience):
                status = await self._converse(method, requests, answers)
        except TimeoutError:
            status = OPEN if patience == PATIENCE else "HANGS"
        except grpc.aio.AioRpcError as error:
            status, message = error.code().name, error.details() or ""
            if message == _BROKEN:
                status = CUT
            details = bytes(dict(error.trailing_metadata() or ()).get("grpc-status-details-bin", b""))
        seconds = time.perf_counter() - began
        return Outcome(status, seconds, message, details, tuple(answers), decodable=None not in parsed)

    async def _converse(self, method: MethodDescriptor, requests: Sequence[bytes], answers: list[bytes]) -> str:
        if not method.server_streaming:
            answers.append(await self._of(method)(requests[0]))
            return "OK"
        call = self._of(method)() if method.client_streaming else self._of(method)(requests[0])
        try:
            if method.client_streaming:
                await _send(call, requests)
            async for answer in call:
                answers.append(answer)
                if not method.client_streaming:
                    # Some of these never end.
                    return OPEN
            return "OK"
        finally:
            call.cancel()


async def _send(call: Any, requests: Sequence[bytes]) -> None:
    try:
        for request in requests:
            await call.write(request)
        await call.done_writing()
    except (asyncio.InvalidStateError, grpc.aio.AioRpcError):
        # The server has had enough; its status tells why.
        return


def _parsed(method: MethodDescriptor, request: bytes) -> Any:
    # As the server reads it: JSON values stay bytes, and may be nested too deeply for the stubs' classes.
    try:
        return message_class(method.input_type.full_name).FromString(request)
    except DecodeError:
        return None


def _may_wait(message: Any) -> bool:
    """Tell whether a request asks the server to wait: it has a duration for that, or follows something."""
    if message is None:
        return False
    for field in message.DESCRIPTOR.fields:
        if field.type == MESSAGE and field.message_type.name == "Duration":
            return True
    return bool(getattr(message, "follow", False))
