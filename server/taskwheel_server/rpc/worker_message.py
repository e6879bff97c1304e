"""What workers say and are told, as commands of the wheel and back."""

from __future__ import annotations

from functools import lru_cache

from taskwheel_server.errors import InvalidArgument
from taskwheel_server.model.event import LogLevel
from taskwheel_server.model.names import parse_run
from taskwheel_server.model.run import RESULT_TOO_LARGE, SYSTEM, Run, RunError
from taskwheel_server.rpc.messages import AppendLogsRequest, Assignment, LogEntry, RunResult, TaskRun
from taskwheel_server.rpc.messages import Lease as LeaseMessage
from taskwheel_server.rpc.messages import RunError as RunErrorMessage
from taskwheel_server.rpc.opaque import Unstorable, canonical_struct, canonical_value
from taskwheel_server.rpc.run_message import RunWriter
from taskwheel_server.rpc.times import optional_microseconds, put
from taskwheel_server.rpc.wire import field
from taskwheel_server.wheel.commands import Lease, LogLine, Renewal, Result

MAX_ENTRY_BYTES = 64 * 1024


def read_lease(message: LeaseMessage | RunResult | AppendLogsRequest, path: str) -> Lease:
    """Return the lease that a message shows.

    Args:
        message: what has `run`, `attempt` and `lease_token`.
        path: of the message, with a dot behind it, to name the field in an error.

    Raises:
        InvalidArgument: `run` is not the name of a run.
    """
    return Lease(parse_run(message.run, f"{path}run").uid, message.attempt, message.lease_token)


def read_result(message: RunResult, path: str) -> Result:
    """Return what became of a run; a result that cannot be stored is a failure of the run.

    Raises:
        InvalidArgument: `run` is not the name of a run.
    """
    lease = read_lease(message, path)
    if message.HasField("result"):
        try:
            return Result(lease, result=canonical_value(message.result))
        except Unstorable as error:
            return Result(lease, error=RunError(SYSTEM, RESULT_TOO_LARGE, f"The result {error}."))
    if message.HasField("error"):
        return Result(lease, error=_error(message.error))
    return Result(lease, cancelled=True)


def _error(message: RunErrorMessage) -> RunError:
    return RunError(_text(message.type), _text(message.name), _text(message.message), _text(message.stack))


def read_renewal(message: LeaseMessage, path: str) -> Renewal:
    """Return a lease to renew and how far its run has come.

    Raises:
        InvalidArgument: `run` is not the name of a run.
    """
    lease = read_lease(message, path)
    if not message.HasField("progress"):
        return Renewal(lease)
    return Renewal(lease, message.progress.ratio, _text(message.progress.message))


def read_lines(message: AppendLogsRequest, path: str) -> tuple[Lease, list[LogLine]]:
    """Return a run's lease and the lines to append to its log.

    Raises:
        InvalidArgument: a field is at fault.
    """
    entries = enumerate(message.entries)
    return read_lease(message, path), [_line(entry, f"{path}entries[{index}].") for index, entry in entries]


def _line(entry: LogEntry, path: str) -> LogLine:
    if len(entry.fields) + len(entry.message.encode()) > MAX_ENTRY_BYTES:
        raise InvalidArgument(f"{path}fields", f"with the message, more than {MAX_ENTRY_BYTES} bytes long")
    try:
        # Not in a oneof, these bytes do not tell unset from empty; to a reader, both have no fields.
        fields = canonical_struct(entry.fields) if entry.fields else None
    except Unstorable as error:
        raise InvalidArgument(f"{path}fields", str(error)) from None
    return LogLine(
        time=optional_microseconds(entry, "time", path),
        level=entry.level or LogLevel.INFO,
        stream=entry.stream or LogEntry.LOG,
        message=_text(entry.message),
        fields=fields,
    )


def _text(text: str) -> str:
    """Return text as every database takes it: PostgreSQL has no NUL, which becomes U+FFFD, the mark of what is lost."""
    return text.replace("\0", "\ufffd")


def write_assignment(run: Run, writer: RunWriter) -> bytes:
    """Return a claimed run as a serialized Assignment."""
    written = writer.write(run)
    if run.payload is not None:
        written += field(TaskRun.PAYLOAD_FIELD_NUMBER, run.payload)
    return field(Assignment.RUN_FIELD_NUMBER, written) + _lease(run.lease_token or "", run.lease_expire_time or 0)


# The runs of a claim have the same one.
@lru_cache(maxsize=16)
def _lease(token: str, expire_time: int) -> bytes:
    message = Assignment(lease_token=token)
    put(message.lease_expire_time, expire_time)
    return bytes(message.SerializeToString())
