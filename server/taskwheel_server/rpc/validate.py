"""The rules that the contract puts beside its fields (buf.validate), judged by protovalidate: 2 to 4 µs a message."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from google.protobuf.message import Message
from protovalidate import Validator

from taskwheel_server.errors import clip
from taskwheel_server.rpc.errors import InvalidRequest
from taskwheel_server.rpc.messages import WorkRequest

_VALIDATOR = Validator()
# Bytes of a request of which every violation is told; of a larger one, only the first: at 20 µs each, the million that
# a message has room for would stop the server for half a minute.
MAX_THOROUGH = 4 * 1024
# Log entries of a request, over all runs: the contract's rules cannot add up, and empty ones weigh two bytes.
MAX_ENTRIES = 10_000


def validate(message: Message, size: int) -> None:
    """Check a request against the contract's rules.

    Args:
        message: the request.
        size: of the request, bytes.

    Raises:
        InvalidRequest: with its violations.
    """
    if isinstance(message, WorkRequest) and sum(len(batch.entries) for batch in message.logs) > MAX_ENTRIES:
        raise InvalidRequest([("logs", f"must have at most {MAX_ENTRIES} entries in all")])
    if violations := _VALIDATOR.collect_violations(message, fail_fast=size > MAX_THOROUGH):
        raise InvalidRequest(
            [
                (_path(found.proto.field.elements if found.proto.field else ()), found.proto.message)
                for found in violations
            ]
        )


def _path(elements: Iterable[Any]) -> str:
    path = ""
    for element in elements:
        path += f".{element.field_name}" if path else element.field_name
        if subscript := element.subscript:
            path += f"[{subscript.value}]" if subscript.field == "index" else f'["{clip(subscript.value)}"]'
    return path
