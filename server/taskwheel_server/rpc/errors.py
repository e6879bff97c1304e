"""The one table from domain errors to gRPC, and the details that go with a status (AIP-193)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

import grpc
import structlog
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import (
    BadRequest,
    ErrorInfo,
    PreconditionFailure,
    RetryInfo,
)
from google.rpc.status_pb2 import Status

from taskwheel_server.errors import (
    Aborted,
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    OutOfRange,
    ResourceExhausted,
    TaskwheelError,
    Unavailable,
    clip,
)

DOMAIN = "taskwheel"
# Past 8 KiB of metadata the library loses them at random; the message is sent beside the details once more.
MAX_DETAILS = 4 * 1024
MAX_MESSAGE = 512

_log = structlog.get_logger()


class InvalidRequest(InvalidArgument):
    """Several fields break their rules.

    Args:
        violations: (field path, description), at least one.
    """

    def __init__(self, violations: Sequence[tuple[str, str]]) -> None:
        super().__init__(*violations[0])
        self.violations = violations


class MalformedRequest(TaskwheelError):
    """The bytes of a request are no message of its type."""

    def __init__(self) -> None:
        super().__init__("MALFORMED_REQUEST", "the request cannot be decoded: it is not a message of this method")


class _Internal(TaskwheelError):
    """A fault of ours. Its text is fixed: what was wrong is in the log."""

    def __init__(self) -> None:
        super().__init__("INTERNAL", "the server failed; the failure is in its log")


_CODES: dict[type[TaskwheelError], grpc.StatusCode] = {
    InvalidArgument: grpc.StatusCode.INVALID_ARGUMENT,
    MalformedRequest: grpc.StatusCode.INVALID_ARGUMENT,
    NotFound: grpc.StatusCode.NOT_FOUND,
    AlreadyExists: grpc.StatusCode.ALREADY_EXISTS,
    FailedPrecondition: grpc.StatusCode.FAILED_PRECONDITION,
    Aborted: grpc.StatusCode.ABORTED,
    OutOfRange: grpc.StatusCode.OUT_OF_RANGE,
    ResourceExhausted: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Unavailable: grpc.StatusCode.UNAVAILABLE,
}


async def abort(context: grpc.aio.ServicerContext[object, object], error: Exception) -> NoReturn:
    """End a call with the status of an error."""
    # The latter: what was written no longer reaches anybody, for the caller has just gone.
    if isinstance(error, grpc.aio.AbortError | grpc.aio.InternalError):
        raise error
    if not isinstance(error, TaskwheelError):
        _log.error("call failed", exc_info=error)
        error = _Internal()
    status = status_of(error)
    trailer = (("grpc-status-details-bin", status.SerializeToString()),)
    await context.abort(code_of(error), status.message, trailer)


def code_of(error: TaskwheelError) -> grpc.StatusCode:
    """Return the code of an error."""
    return next((code for kind, code in _CODES.items() if isinstance(error, kind)), grpc.StatusCode.INTERNAL)


def status_of(error: TaskwheelError) -> Status:
    """Return an error as google.rpc.Status, at most 4 KiB of it."""
    number, _ = code_of(error).value
    status = Status(code=number, message=_cut(error.message, MAX_MESSAGE))
    metadata = {key: _cut(value, 128) for key, value in error.metadata.items()}
    _attach(status, ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=metadata))
    if isinstance(error, InvalidArgument):
        _attach_violations(status, error)
    elif isinstance(error, FailedPrecondition):
        violation = PreconditionFailure.Violation(type=error.reason, description=status.message)
        _attach(status, PreconditionFailure(violations=[violation]))
    elif isinstance(error, ResourceExhausted | Unavailable):
        retry = RetryInfo()
        retry.retry_delay.seconds, microseconds = divmod(error.retry_after, 1_000_000)
        retry.retry_delay.nanos = microseconds * 1000
        _attach(status, retry)
    return status


def _attach_violations(status: Status, error: InvalidArgument) -> None:
    violations = error.violations if isinstance(error, InvalidRequest) else [(error.field, error.description)]
    room = MAX_DETAILS - status.ByteSize() - 128
    bad = BadRequest()
    for field, description in violations:
        bad.field_violations.add(field=_cut(field, 256), description=_cut(description, MAX_MESSAGE))
        if bad.ByteSize() > room:
            del bad.field_violations[-1]
            break
    _attach(status, bad)


def _attach(status: Status, detail: Message) -> None:
    packed = AnyMessage()
    packed.Pack(detail)
    status.details.append(packed)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit and text.isascii() and text.isprintable() else clip(text, limit)
