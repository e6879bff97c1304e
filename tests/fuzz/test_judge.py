"""The judge of the fuzz test finds what it is there to find."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from google.rpc.status_pb2 import Status

from taskwheel.v1.task_pb2 import Task
from tests.fuzz.calls import Outcome
from tests.fuzz.contract import methods, name_of
from tests.fuzz.generate import Generator, World, words
from tests.fuzz.judge import TOO_LARGE, breaches
from tests.fuzz.ledger import Ledger

METHODS = {name_of(method): method for method in methods()}
GET = METHODS["TaskService/GetTask"]
FIELD = BadRequest.FieldViolation(field="name", description="is empty")


def refusal(
    *details: Any, status: str = "INVALID_ARGUMENT", message: str = "name: is empty", code: int = 3, **fields: Any
) -> Outcome:
    """Return an outcome that carries these details, and is otherwise as it must be."""
    body = Status(code=code, message=message)
    for detail in details or (ErrorInfo(domain="taskwheel", reason="BAD"), BadRequest(field_violations=[FIELD])):
        body.details.add().Pack(detail)
    return Outcome(status=status, seconds=0.0, message=message, details=body.SerializeToString(), **fields)


INFO = ErrorInfo(domain="taskwheel", reason="BAD")
BAD = {
    "an error of ours": (refusal(status="INTERNAL", code=13), "ended INTERNAL"),
    "an error of nobody": (refusal(status="UNKNOWN", code=2), "ended UNKNOWN"),
    "no end": (Outcome("HANGS", 15.0), "ended HANGS"),
    "no details": (Outcome("NOT_FOUND", 0.0, "gone"), "of another status"),
    "details of another code": (refusal(INFO, status="NOT_FOUND", code=3), "of another status"),
    "no ErrorInfo": (refusal(BadRequest(field_violations=[FIELD])), "0 ErrorInfo"),
    "two of them": (refusal(INFO, INFO, BadRequest(field_violations=[FIELD])), "2 ErrorInfo"),
    "another domain": (refusal(ErrorInfo(domain="other", reason="BAD")), "1 ErrorInfo"),
    "a reason in lower case": (refusal(ErrorInfo(domain="taskwheel", reason="bad")), "the reason is bad"),
    "no field": (refusal(INFO), "no BadRequest"),
    "an empty list of fields": (refusal(INFO, BadRequest()), "no BadRequest"),
    "a field without a name": (
        refusal(INFO, BadRequest(field_violations=[BadRequest.FieldViolation(description="is empty")])),
        "without field",
    ),
    "long details": (refusal(ErrorInfo(domain="taskwheel", reason="BAD", metadata={"a": "b" * 5000})), "bytes of"),
    "a class": (refusal(message="Unexpected <class 'ValueError'>"), "insides"),
    "a path": (refusal(message="cannot open /srv/data"), "insides"),
    "an exception": (refusal(INFO, status="NOT_FOUND", code=5, message="KeyError: 'x'"), "insides"),
    "SQL": (refusal(message="no such column in SELECT name"), "insides"),
    "a control character": (refusal(message="name: \x1b[31m"), "not printable"),
    "a long message": (refusal(message="m" * 1025), "1025 characters"),
    "no message": (refusal(message=""), "0 characters"),
    "an answer that cannot be read": (Outcome("OK", 0.0, answers=(b"\xff",)), "cannot be read"),
    "an answer to what cannot be read": (Outcome("OK", 0.0, decodable=False), "cannot be decoded"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_answer_is_found_out(case: str) -> None:
    outcome, expected = BAD[case]
    assert any(expected in breach for breach in breaches(GET, outcome, 10))


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome("OK", 0.0, answers=(Task(name="a").SerializeToString(),)),
        Outcome("OPEN", 0.0),
        refusal(),
        refusal(INFO, status="NOT_FOUND", code=5, message="task 'a' does not exist"),
        refusal(ErrorInfo(domain="taskwheel", reason="MALFORMED_REQUEST"), message="cannot be decoded"),
    ],
)
def test_a_good_answer_is_let_through(outcome: Outcome) -> None:
    assert list(breaches(GET, outcome, 10)) == []


def test_only_a_request_too_large_for_grpc_may_be_refused_without_details() -> None:
    outcome = Outcome("RESOURCE_EXHAUSTED", 0.0, "Received message larger than max")
    assert list(breaches(GET, outcome, TOO_LARGE + 1)) == []
    assert list(breaches(GET, outcome, TOO_LARGE))


def test_the_ledger_tells_what_nobody_was_granted() -> None:
    ledger = Ledger()
    ledger.note(GET, Outcome("OK", 0.0, answers=(Task(uid="known").SerializeToString(),)))
    ledger.note(GET, Outcome("INVALID_ARGUMENT", 0.0))
    known, unknown = Task(uid="known", name="a"), Task(uid="unknown", name="b")
    created = SimpleNamespace(type="task_created")
    assert list(ledger.breaches([known], [], [])) == []
    assert list(ledger.breaches([known, unknown], [], [])) == ["task b was not granted"]
    assert list(ledger.breaches([], [], [created])) == ["1 events task_created, 0 granted calls"]


@pytest.mark.parametrize("name", METHODS)
def test_the_same_seed_draws_the_same_requests_and_another_draws_others(name: str) -> None:
    world = World(words(["a"], ["b"], ["c"]), [("b", 1, "token")])
    drawn = [[Generator(seed, world).requests(METHODS[name], index) for index in range(20)] for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
