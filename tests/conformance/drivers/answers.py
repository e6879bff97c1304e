"""What the client answered or raised, as JSON."""

from __future__ import annotations

import asyncio
from typing import Any

from google.protobuf.json_format import MessageToDict

import taskwheel


def json_of(value: Any) -> Any:
    """A view, or a list of views, in the proto3 JSON form; JSON as it is."""
    if isinstance(value, list):
        return [json_of(item) for item in value]
    return MessageToDict(value.raw) if hasattr(value, "raw") else value


def error_of(error: BaseException) -> dict[str, Any]:
    """An error of the client, as the README has it; one that is not the client's has its class as `unexpected`."""
    match error:
        case taskwheel.RunFailed():
            told = {"reason": "RUN_FAILED", "run": json_of(error.run)}
        case taskwheel.RunNotDone():
            told = {"reason": "RUN_NOT_DONE", "run": json_of(error.run)}
        case taskwheel.UnsupportedValue():
            told = {"reason": "UNSUPPORTED_VALUE", "fields": [error.path]}
        case taskwheel.RequestTooLarge():
            told = {"reason": "REQUEST_TOO_LARGE"}
        case taskwheel.RpcError():
            told = {"code": error.code.name, "reason": error.reason, "metadata": error.metadata}
            told["fields"] = list(getattr(error, "fields", []))
            told["retry_after"] = getattr(error, "retry_after", None)
        case asyncio.CancelledError():
            told = {"reason": "RESET"}
        case _:
            told = {"unexpected": type(error).__name__}
    return {"message": str(error), **{name: value for name, value in told.items() if value}}
