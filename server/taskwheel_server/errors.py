"""What can go wrong for a caller, named by condition. `rpc.errors` holds the one table that turns these into gRPC.

TaskwheelError
├── InvalidArgument      a field is at fault, whatever the state of the server
├── NotFound             the named thing does not exist (any more)
├── AlreadyExists        the name or request id is taken by something else
├── FailedPrecondition   the thing's state does not allow it
├── Aborted              the caller's view is stale: an etag or a lease that is no longer current
├── OutOfRange           a cursor outside what is kept
├── ResourceExhausted    a bound was reached; may be retried later
└── Unavailable          the store cannot answer now; may be retried
"""

from __future__ import annotations


class TaskwheelError(Exception):
    """A condition to tell the caller about.

    Args:
        reason: UPPER_SNAKE, stable, for programs (AIP-193 ErrorInfo.reason).
        message: one English sentence, for people; no secrets, paths or traces.
        metadata: every dynamic part of the message, by name (AIP-193).
    """

    def __init__(self, reason: str, message: str, **metadata: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.metadata = metadata


class InvalidArgument(TaskwheelError):
    """A field of the request breaks its rule.

    Args:
        field: path of the field, as in the proto (`task.schedules[0].cron`).
        description: what is wrong with it; becomes the message too.
        reason: defaults to INVALID_FIELD.
    """

    def __init__(self, field: str, description: str, reason: str = "INVALID_FIELD") -> None:
        super().__init__(reason, f"{field}: {description}", field=field)
        self.field = field
        self.description = description


class NotFound(TaskwheelError):
    """The named task or run is not there."""


class AlreadyExists(TaskwheelError):
    """The name or request id belongs to something else."""


class FailedPrecondition(TaskwheelError):
    """The state of the thing forbids the call."""


class Aborted(TaskwheelError):
    """The caller acted on a state that has moved on."""


class OutOfRange(TaskwheelError):
    """A cursor lies before the oldest kept or after the newest entry."""


class ResourceExhausted(TaskwheelError):
    """A bound was reached.

    Args:
        retry_after: µs to wait before the next try.
    """

    def __init__(self, reason: str, message: str, *, retry_after: int = 100_000, **metadata: str) -> None:
        super().__init__(reason, message, **metadata)
        self.retry_after = retry_after


class Unavailable(TaskwheelError):
    """The store did not answer; the effect of a write is unknown, a retry with the same request id is safe.

    Args:
        retry_after: µs to wait before the next try.
    """

    def __init__(self, reason: str, message: str, *, retry_after: int = 1_000_000, **metadata: str) -> None:
        super().__init__(reason, message, **metadata)
        self.retry_after = retry_after


def clip(value: object, limit: int = 128) -> str:
    """Escape and cut a caller's value for use in a message: printable ASCII, at most `limit` characters."""
    text = str(value)[: limit + 1].encode("unicode_escape").decode("ascii")
    return text if len(text) <= limit else text[: limit - 3] + "..."
