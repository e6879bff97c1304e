"""What a worker is told: in messages that a client takes, in order, nothing twice and nothing left out."""

from __future__ import annotations

import pytest

from taskwheel_server.model.run import Run
from taskwheel_server.model.state import State
from taskwheel_server.rpc.messages import WorkResponse
from taskwheel_server.rpc.outbox import MAX_MESSAGE_BYTES, NOTE_BYTES, Outbox
from taskwheel_server.wheel.commands import Lease
from taskwheel_server.workers import Stop

NAMESPACE = "n" * 63
# A message may have 4 MiB.
MANY = 40_000


def uid(number: int) -> str:
    return f"01a3185c-5000-7698-8140-{number:012x}"


def run(number: int, payload: bytes = b"") -> Run:
    return Run(uid(number), NAMESPACE, "t", "t", "h", State.RUNNING, payload=payload, attempt=100, lease_token="x" * 36)


def messages(outbox: Outbox) -> list[WorkResponse]:
    taken = []
    while outbox:
        message, assigned = outbox.take()
        assert len(message) <= MAX_MESSAGE_BYTES
        taken.append(WorkResponse.FromString(message))
        assert [each.run.uid for each in taken[-1].assignments] == [run.uid for run in assigned]
    return taken


@pytest.mark.parametrize("acknowledged", [0, 10, MANY])
@pytest.mark.parametrize("stopped", [0, 10, MANY])
@pytest.mark.parametrize("assigned", [0, 3])
def test_all_is_told_once_and_in_order_however_much_it_is(acknowledged: int, stopped: int, assigned: int) -> None:
    outbox = Outbox(NAMESPACE)
    outbox.acknowledge([Lease(uid(number), 1, "x") for number in range(acknowledged)], [True] * acknowledged)
    outbox.stop(Stop(uid(number), 100, lost=True) for number in range(stopped))
    outbox.assign(run(number, bytes(1024 * 1024)) for number in range(assigned))
    taken = messages(outbox)
    names = [f"namespaces/{NAMESPACE}/runs/{uid(number)}" for number in range(MANY)]
    assert [each.run for message in taken for each in message.acknowledgements] == names[:acknowledged]
    assert [each.run for message in taken for each in message.cancellations] == names[:stopped]
    assert [each.run.name for message in taken for each in message.assignments] == names[:assigned]
    # No stop goes ahead of an assignment.
    told = [
        "stop" if message.cancellations else "run" for message in taken if message.cancellations or message.assignments
    ]
    assert told == sorted(told)


def test_a_note_weighs_no_more_than_it_is_taken_for() -> None:
    outbox = Outbox(NAMESPACE)
    outbox.stop([Stop(uid(0), 2**31 - 1, lost=True)])
    outbox.acknowledge([Lease(uid(0), 1, "x")], [True])
    [message] = messages(outbox)
    assert message.ByteSize() <= 2 * NOTE_BYTES
