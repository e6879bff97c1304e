from typing import Any

import grpc
import pytest
from google.protobuf import any_pb2
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2 as details
from google.rpc.status_pb2 import Status

import taskwheel
from taskwheel._errors import from_grpc
from taskwheel.v1.task_run_pb2 import TaskRun


class Failed:
    """A call that failed, as grpc has it."""

    def __init__(self, code: grpc.StatusCode, *messages: Any, trailers: Any = None) -> None:
        self._code = code
        status = Status(code=code.value[0], message="what went wrong")
        for message in messages:
            status.details.add().Pack(message)
        self._trailers = trailers or [("x", "y"), ("grpc-status-details-bin", status.SerializeToString())]

    def code(self):
        return self._code

    def details(self):
        return "what went wrong"

    def trailing_metadata(self):
        return self._trailers


INFO = details.ErrorInfo(reason="WHY", domain="taskwheel", metadata={"task": "nightly"})


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, taskwheel.InvalidArgument),
        (grpc.StatusCode.NOT_FOUND, taskwheel.NotFound),
        (grpc.StatusCode.ALREADY_EXISTS, taskwheel.AlreadyExists),
        (grpc.StatusCode.FAILED_PRECONDITION, taskwheel.FailedPrecondition),
        (grpc.StatusCode.ABORTED, taskwheel.Aborted),
        (grpc.StatusCode.OUT_OF_RANGE, taskwheel.OutOfRange),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, taskwheel.ResourceExhausted),
        (grpc.StatusCode.UNAVAILABLE, taskwheel.Unavailable),
        (grpc.StatusCode.CANCELLED, taskwheel.Unavailable),
        (grpc.StatusCode.DEADLINE_EXCEEDED, taskwheel.DeadlineExceeded),
        (grpc.StatusCode.UNAUTHENTICATED, taskwheel.Unauthenticated),
        (grpc.StatusCode.PERMISSION_DENIED, taskwheel.PermissionDenied),
        (grpc.StatusCode.UNIMPLEMENTED, taskwheel.Unimplemented),
        (grpc.StatusCode.INTERNAL, taskwheel.RpcError),
    ],
)
def test_each_code_has_its_error_with_reason_and_metadata(code, kind):
    error = from_grpc(Failed(code, INFO))
    assert type(error) is kind
    assert (error.code, error.reason, error.metadata) == (code, "WHY", {"task": "nightly"})
    assert error.message == "what went wrong"
    assert str(error) == "what went wrong [WHY]"
    assert error.details == (INFO,)
    assert isinstance(error, taskwheel.Error)


def test_fields_at_fault_are_told_by_path():
    request = details.BadRequest()
    request.field_violations.add(field="task.schedules[0].cron", description="reversed range")
    error = from_grpc(Failed(grpc.StatusCode.INVALID_ARGUMENT, INFO, request))
    assert isinstance(error, taskwheel.InvalidArgument)
    assert error.fields == {"task.schedules[0].cron": "reversed range"}


def test_the_time_to_wait_is_in_seconds():
    error = from_grpc(Failed(grpc.StatusCode.RESOURCE_EXHAUSTED, details.RetryInfo(retry_delay=Duration(nanos=10**8))))
    assert isinstance(error, taskwheel.ResourceExhausted)
    assert error.retry_after == 0.1


@pytest.mark.parametrize("trailers", [[("a", "b")], [("grpc-status-details-bin", b"\xff\xff")]])
def test_an_error_of_the_connection_has_no_reason(trailers):
    error = from_grpc(Failed(grpc.StatusCode.UNAVAILABLE, trailers=trailers))
    assert isinstance(error, taskwheel.Unavailable)
    assert (error.reason, error.metadata, error.details, error.retry_after) == ("", {}, (), None)
    assert str(error) == "what went wrong [UNAVAILABLE]"


def test_a_detail_of_an_unknown_kind_is_kept_as_it_came():
    error = from_grpc(Failed(grpc.StatusCode.NOT_FOUND, TaskRun(name="x")))
    assert isinstance(error.details[0], any_pb2.Any)


def test_run_failed_carries_the_run_and_tells_why():
    run = taskwheel.TaskRun(TaskRun(name="runs/1", state="FAILED", error={"name": "ValueError", "message": "no"}))
    error = taskwheel.RunFailed(run)
    assert error.run is run
    assert str(error) == "runs/1 FAILED: ValueError: no"
    cancelled = taskwheel.TaskRun(TaskRun(name="runs/1", state="CANCELLED", state_reason="CANCEL_REQUESTED"))
    assert str(taskwheel.RunFailed(cancelled)) == "runs/1 CANCELLED: CANCEL_REQUESTED"


@pytest.mark.parametrize("side", ["CLIENT: Sent", "SERVER: Received"])
def test_a_request_that_grpc_itself_refuses_is_too_large(side):
    failed = Failed(grpc.StatusCode.RESOURCE_EXHAUSTED, trailers=[("a", "b")])
    failed.details = lambda: f"{side} message larger than max (5000060 vs. 4194304)"  # type: ignore[method-assign]
    error = from_grpc(failed)
    assert isinstance(error, taskwheel.RequestTooLarge)
    assert error.message == "the request has 5,000,060 bytes; at most 4,194,304 are taken"


def test_what_grpc_says_of_every_connection_is_left_out():
    failed = Failed(grpc.StatusCode.UNAVAILABLE, trailers=[("a", "b")])
    why = "ipv4:127.0.0.1:7420: Connection refused"
    failed.details = lambda: f"failed to connect to all addresses; last error: UNKNOWN: {why}"  # type: ignore[method-assign]
    assert from_grpc(failed).message == why
