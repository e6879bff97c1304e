"""What every answer must be: an error that a program can read and a person may, or a message that can be read."""

from __future__ import annotations

import re
from collections.abc import Iterator

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from google.rpc.status_pb2 import Status

from tests.fuzz.calls import CUT, OPEN, Outcome
from tests.fuzz.contract import new

MAX_DETAILS = 4 * 1024
MAX_MESSAGE = 1024
# What gRPC itself refuses, before the server sees it.
TOO_LARGE = 4 * 1024 * 1024
REFUSALS = {
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "RESOURCE_EXHAUSTED",
}
_REASON = re.compile(r"[A-Z][A-Z0-9_]{2,62}")
# Names of classes, paths, traces, SQL: what is inside of the server.
_INSIDES = re.compile(
    r"Traceback|<class|object at 0x|\.py\b|site-packages|/home/|/srv/|/tmp/|/usr/|sqlite|psycopg|postgres|sqlalchemy"
    r"|[a-z]Error\b|Exception|NoneType|_pb2|SELECT |INSERT |UPDATE |google\.protobuf|grpc\.",
)


def breaches(method: MethodDescriptor, outcome: Outcome, size: int) -> Iterator[str]:
    """Yield what is wrong with how a call ended.

    Args:
        method: that was called.
        outcome: how it ended.
        size: of the largest message sent, bytes.
    """
    if outcome.status in {"OK", OPEN, CUT}:
        if not outcome.decodable and outcome.status != CUT:
            yield "took what cannot be decoded"
        yield from _unreadable(method, outcome)
    elif outcome.status not in REFUSALS:
        yield f"ended {outcome.status}"
    elif not (outcome.status == "RESOURCE_EXHAUSTED" and size > TOO_LARGE):
        yield from _bad_error(outcome)


def _unreadable(method: MethodDescriptor, outcome: Outcome) -> Iterator[str]:
    for answer in outcome.answers:
        try:
            new(method.output_type).ParseFromString(answer)
        except DecodeError:
            yield "answered what cannot be read"


def _bad_error(outcome: Outcome) -> Iterator[str]:
    status = Status.FromString(outcome.details)
    if grpc.StatusCode[outcome.status].value[0] != status.code or outcome.message != status.message:
        yield "the details are of another status"
    if len(outcome.details) > MAX_DETAILS:
        yield f"{len(outcome.details)} bytes of details"
    infos = [ErrorInfo.FromString(each.value) for each in status.details if each.type_url.endswith(".ErrorInfo")]
    requests = [BadRequest.FromString(each.value) for each in status.details if each.type_url.endswith(".BadRequest")]
    if [info.domain for info in infos] != ["taskwheel"]:
        yield f"{len(infos)} ErrorInfo"
        return
    (info,) = infos
    if not _REASON.fullmatch(info.reason):
        yield f"the reason is {info.reason}"
    if outcome.status == "INVALID_ARGUMENT" and info.reason != "MALFORMED_REQUEST":
        if len(requests) != 1 or not requests[0].field_violations:
            yield "no BadRequest"
        elif not all(each.field and each.description for each in requests[0].field_violations):
            yield "a violation without field or description"
    texts = [outcome.message, *info.metadata.values()]
    texts += [
        text for request in requests for each in request.field_violations for text in (each.field, each.description)
    ]
    yield from _bad_texts(texts)


def _bad_texts(texts: list[str]) -> Iterator[str]:
    if not texts[0] or len(texts[0]) > MAX_MESSAGE:
        yield f"a message of {len(texts[0])} characters"
    for text in texts:
        if found := _INSIDES.search(text):
            yield f"tells of its insides ({found[0]}): {text}"
        if not text.isprintable():
            yield f"is not printable: {text!r}"
