"""What can go wrong, named by condition.

The tree, all of it in the package taskwheel:

taskwheel.Error
├── RpcError                  what the server answered, or that it did not; itself for codes not listed here
│   ├── InvalidArgument       fields of the request break their rules: `fields`
│   ├── NotFound              the task or the run is not there, or no longer kept
│   ├── AlreadyExists         the id or the request_id belongs to something else
│   ├── FailedPrecondition    the state of the thing forbids the call
│   ├── Aborted               the caller's view is stale: an etag or a lease that is not current any more
│   ├── OutOfRange            a cursor outside what is kept
│   ├── ResourceExhausted     a bound was reached: `retry_after`
│   ├── RequestTooLarge       a request beyond 4 MiB, which never got to the server
│   ├── Unavailable           no answer now; the call is safe to repeat: `retry_after`
│   ├── DeadlineExceeded      no answer in time; the outcome is unknown
│   ├── Unauthenticated       the credentials are missing or not valid
│   ├── PermissionDenied      the credentials do not suffice
│   └── Unimplemented         the server is older than the call
├── RunFailed                 a run that was waited for ended otherwise than SUCCEEDED: `run`
├── RunNotDone                the caller's deadline passed first; the run goes on: `run`
├── RunCancelled              raised in a handler whose run is to stop
└── UnsupportedValue          a Python value that the API cannot carry: `path`
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

if TYPE_CHECKING:
    from taskwheel._views import TaskRun


class Error(Exception):
    """The root of all errors of this package."""


class RpcError(Error):
    """An error that the server answered, or the lack of an answer.

    Attributes:
        code: the gRPC status code.
        reason: why, in UPPER_SNAKE, stable, for programs (AIP-193 ErrorInfo.reason); empty when none was sent, as for
            errors of the connection.
        message: why, in English, for people.
        metadata: every changing part of the message, by name (AIP-193 ErrorInfo.metadata).
        details: all the google.rpc messages that came with it.
    """

    def __init__(self, code: grpc.StatusCode, message: str, details: tuple[Any, ...] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details
        info = self._detail(error_details_pb2.ErrorInfo)
        self.reason: str = info.reason
        self.metadata: dict[str, str] = dict(info.metadata)

    def __str__(self) -> str:
        return f"{self.message} [{self.reason or self.code.name}]"

    def _detail(self, kind: Any) -> Any:
        return next((detail for detail in self.details if isinstance(detail, kind)), kind())


class _Retryable(RpcError):
    @property
    def retry_after(self) -> float | None:
        """How long to wait before the next try, in seconds; None when the server did not say."""
        delay = self._detail(error_details_pb2.RetryInfo).retry_delay
        return (delay.seconds + delay.nanos / 1e9) or None


class InvalidArgument(RpcError):
    """Fields of the request break their rules, whatever the state of the server."""

    @property
    def fields(self) -> dict[str, str]:
        """What is wrong with each field at fault, by its path, such as `task.schedules[0].cron`."""
        request = self._detail(error_details_pb2.BadRequest)
        return {violation.field: violation.description for violation in request.field_violations}


class NotFound(RpcError):
    """The task or the run is not there: TASK_NOT_FOUND, RUN_NOT_FOUND, or RUN_EXPIRED when it is no longer kept."""


class AlreadyExists(RpcError):
    """The id belongs to another task, or the request_id to another request: REQUEST_ID_REUSED."""


class FailedPrecondition(RpcError):
    """The state of the thing forbids the call, such as RUN_DONE."""


class Aborted(RpcError):
    """The caller acted on what has changed since: an etag or a lease that is not current any more."""


class OutOfRange(RpcError):
    """A cursor outside what is kept: EVENTS_COMPACTED or SEQUENCE_AHEAD."""


class ResourceExhausted(_Retryable):
    """A bound was reached."""


class RequestTooLarge(RpcError):
    """The request is larger than 4 MiB, all that one message may have; nothing was done."""


class Unavailable(_Retryable):
    """The server cannot be reached or cannot answer now."""


class DeadlineExceeded(RpcError):
    """The server did not answer in time; what the call would change may have been changed."""


class Unauthenticated(RpcError):
    """The credentials are missing or not valid."""


class PermissionDenied(RpcError):
    """The credentials do not suffice."""


class Unimplemented(RpcError):
    """The server does not know the call."""


class RunFailed(Error):
    """A run ended otherwise than SUCCEEDED. `run` tells how, with its error and its stack."""

    def __init__(self, run: TaskRun) -> None:
        why = f"{run.error.name}: {run.error.message}" if run.error else run.state_reason
        super().__init__(f"{run.name} {run.state}" + (f": {why}" if why else ""))
        self.run = run


class RunNotDone(Error, TimeoutError):
    """The time to wait has passed, and the run goes on. `run` is the run as it was then."""

    def __init__(self, run: TaskRun) -> None:
        super().__init__(f"{run.name} is still {run.state}; it goes on")
        self.run = run


class RunCancelled(Error):
    """Raised by Run.raise_if_cancelled in a handler whose run is to stop."""


class UnsupportedValue(Error, ValueError):
    """A Python value that cannot be carried as it is.

    Attributes:
        path: where in the whole value it stands, such as `payload.items[3]`.
        description: what is wrong with it.
    """

    def __init__(self, description: str, path: str = "") -> None:
        super().__init__(f"{path}: {description}" if path else description)
        self.description = description
        self.path = path

    def within(self, part: str) -> UnsupportedValue:
        """The same error as seen from the value that holds this one as `part`."""
        joint = "" if not self.path or self.path.startswith("[") else "."
        return UnsupportedValue(self.description, f"{part}{joint}{self.path}")


_BY_CODE = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidArgument,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.ALREADY_EXISTS: AlreadyExists,
    grpc.StatusCode.FAILED_PRECONDITION: FailedPrecondition,
    grpc.StatusCode.ABORTED: Aborted,
    grpc.StatusCode.OUT_OF_RANGE: OutOfRange,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ResourceExhausted,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    # Of a server that ends, which has cut the call short; a caller that cancels hears of it otherwise.
    grpc.StatusCode.CANCELLED: Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDenied,
    grpc.StatusCode.UNIMPLEMENTED: Unimplemented,
}

_DETAILS = (
    error_details_pb2.ErrorInfo,
    error_details_pb2.BadRequest,
    error_details_pb2.RetryInfo,
    error_details_pb2.QuotaFailure,
    error_details_pb2.PreconditionFailure,
    error_details_pb2.ResourceInfo,
    error_details_pb2.Help,
    error_details_pb2.LocalizedMessage,
    error_details_pb2.DebugInfo,
    error_details_pb2.RequestInfo,
)

# The library of gRPC refuses by itself, on either side of the connection.
_TOO_LARGE = re.compile(r"(?:CLIENT: Sent|SERVER: Received) message larger than max \((\d+) vs\. (\d+)\)")

# What it says first of every connection that fails.
_NO_CONNECTION = "failed to connect to all addresses; last error: UNKNOWN: "


def from_grpc(failed: Any) -> RpcError:
    """The error for a call that failed, of grpc or of grpc.aio, with every detail that came with it."""
    code = failed.code()
    details = [_unpack(any_) for any_ in _status(failed).details]
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and (size := _TOO_LARGE.search(failed.details() or "")):
        return RequestTooLarge(code, f"the request has {int(size[1]):,} bytes; at most {int(size[2]):,} are taken")
    message = (failed.details() or code.name).removeprefix(_NO_CONNECTION)
    return _BY_CODE.get(code, RpcError)(code, message, tuple(details))


def _status(failed: Any) -> Any:
    for key, value in failed.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            try:
                return status_pb2.Status.FromString(value)
            except DecodeError:  # a proxy's own, not ours
                break
    return status_pb2.Status()


def _unpack(packed: Any) -> Any:
    for kind in _DETAILS:
        if packed.Is(kind.DESCRIPTOR):
            message = kind()
            packed.Unpack(message)
            return message
    return packed
