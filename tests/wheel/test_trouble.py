"""Trouble: a bad command, a bad row, a full mailbox, a second server, another version's file."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, text
from structlog.testing import capture_logs

from taskwheel_server.clock import DAY, HOUR, MINUTE, SECOND, ManualClock
from taskwheel_server.db import runs as run_rows
from taskwheel_server.db.store import Store
from taskwheel_server.errors import FailedPrecondition, InvalidArgument, ResourceExhausted, Unavailable
from taskwheel_server.model.names import RunRef
from taskwheel_server.model.state import State
from taskwheel_server.schedule import Schedule
from taskwheel_server.wheel import admit, mailbox, settle
from taskwheel_server.wheel.commands import (
    ROW_BYTES,
    AdmitRuns,
    CancelRun,
    ClaimRuns,
    CompleteRuns,
    CreateTask,
    Lease,
    NewRun,
    Result,
)
from taskwheel_server.wheel.mailbox import CAPACITY, TURN_ROWS, Mailbox
from tests.databases import SQLiteFiles, cure, poison
from tests.wheel.breaker import Breaker, Point, Poison, poisoned, unavailable
from tests.wheel.handwheel import LEASE, START, HandWheel, lease_of, task_ref

EVERY_MINUTE = [Schedule(interval=MINUTE)]


@pytest.mark.parametrize("place", [0, 1, 7, 12])
@pytest.mark.parametrize("count", [1, 2, 13])
def test_a_poisonous_command_is_told_alone(
    wheel: HandWheel, monkeypatch: pytest.MonkeyPatch, place: int, count: int
) -> None:
    wheel.task()
    worker = wheel.worker(100)
    tickets = [wheel.send(AdmitRuns(runs=[wheel.new_run(priority=index)])) for index in range(count)]
    poisoned(monkeypatch, admit, "new_run", lambda _task, request, _now: request.priority == place)
    wheel.turn()
    wheel.settle()
    for index, ticket in enumerate(tickets):
        assert isinstance(ticket.exception(), Poison) is (index == place)
    assert len(worker.take()) == len(wheel.runs()) == count - (place < count)
    assert wheel.events().count("run_pending") == len(wheel.runs())


def test_a_poisonous_result_leaves_its_neighbours_settled(wheel: HandWheel, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel.task(max_concurrent_runs=10)
    wheel.run_many(5)
    runs = wheel.claim(5)
    poisoned(monkeypatch, settle, "_complete", lambda _turn, _endings, _run, result: result.result == b"2")
    tickets = [
        wheel.send(CompleteRuns(results=[Result(lease_of(run), result=b"%d" % index)]))
        for index, run in enumerate(runs)
    ]
    wheel.turn()
    wheel.settle()
    assert [ticket.exception() is None for ticket in tickets] == [True, True, False, True, True]
    assert wheel.states().count("SUCCEEDED") == 4


def test_a_claim_beside_a_poisonous_command_is_answered_once(wheel: HandWheel, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel.task()
    wheel.run_many(2)
    poisoned(monkeypatch, admit, "new_run", lambda *_: True)
    bad = wheel.send(AdmitRuns(runs=[wheel.new_run()]))
    claim = wheel.send(ClaimRuns(demand=wheel.new_demand(1, wait=HOUR)))
    also = wheel.send(CancelRun(run=RunRef("default", wheel.runs()[-1].uid)))
    wheel.turn()
    wheel.settle()
    assert isinstance(bad.exception(), Poison)
    assert also.result().state is State.CANCELLED
    assert len(claim.result()) == 1
    assert sorted(wheel.states()) == ["CANCELLED", "RUNNING"]


def test_a_row_that_the_database_refuses_fails_its_command_alone(wheel: HandWheel) -> None:
    wheel.task()
    poison(wheel.store, "INSERT")
    tickets = [wheel.send(AdmitRuns(runs=[wheel.new_run(priority=priority)])) for priority in (12, 13, 14)]
    wheel.turn()
    assert [ticket.exception() is None for ticket in tickets] == [True, False, True]
    assert len(wheel.runs()) == 2


def test_a_sweep_that_raises_stops_nothing_else(wheel: HandWheel) -> None:
    wheel.task()
    wheel.succeed(wheel.started(priority=13))
    poison(wheel.store, "DELETE")
    wheel.clock.advance(8 * DAY)
    assert wheel.run().state is State.READY
    wheel.settle()
    cure(wheel.store)
    wheel.advance(SECOND)
    assert len(wheel.runs()) == 1


# The mailbox.


def test_past_its_bound_the_mailbox_refuses_what_is_not_urgent(wheel: HandWheel) -> None:
    wheel.task()
    run = wheel.started()
    for _ in range(CAPACITY // 1000):
        wheel.send(AdmitRuns(runs=[wheel.new_run() for _ in range(1000)]))
    with pytest.raises(ResourceExhausted) as full:
        wheel.send(AdmitRuns(runs=[wheel.new_run()]))
    assert full.value.reason == "MAILBOX_FULL"
    assert full.value.retry_after > 0
    # Settling goes ahead of all that waits.
    assert wheel.succeed(run)
    # What was taken on is carried out, and there is room again.
    wheel.wheel._mailbox.take()
    wheel.send(AdmitRuns(runs=[wheel.new_run()]))
    while not wheel.wheel._mailbox.empty:
        wheel.wheel._mailbox.take()


def test_a_turn_takes_at_most_its_rows_but_always_something(wheel: HandWheel) -> None:
    box = Mailbox()
    new = wheel.new_run("t")
    large = AdmitRuns(runs=[new] * (TURN_ROWS + 1))
    small = [AdmitRuns(runs=[new] * (TURN_ROWS // 2)) for _ in range(3)]
    for command in (large, *small):
        box.put(command)
    assert box.take() == [large]
    assert [len(box.take()) for _ in range(3)] == [2, 1, 0]
    assert box.empty
    assert mailbox.CROWD < TURN_ROWS


@pytest.mark.parametrize(
    ("payload", "weight"),
    [(None, 1), (bytes(ROW_BYTES - 1), 1), (bytes(ROW_BYTES), 2), (bytes(1024 * 1024), 257)],
    ids=["nothing", "a little", "a page", "a mebibyte"],
)
def test_a_large_payload_weighs_as_much_as_many_rows(payload: bytes | None, weight: int) -> None:
    assert AdmitRuns([NewRun("", task_ref("a"), payload=payload)] * 3).weight == 3 * weight
    assert CompleteRuns(results=[Result(Lease("", 1, ""), result=payload)] * 3).weight == 3 * weight


@pytest.mark.parametrize("weight", [1, TURN_ROWS // 2, TURN_ROWS])
def test_urgent_commands_go_first_but_never_hold_back_the_others(wheel: HandWheel, weight: int) -> None:
    box = Mailbox()
    large = AdmitRuns(runs=[wheel.new_run("t")] * TURN_ROWS)
    urgent = CompleteRuns(results=[Result(Lease("", 1, ""))] * weight)
    box.put(large)
    box.put(urgent)
    assert box.take() == [urgent, large]


# Databases.


def test_a_second_server_on_one_file_is_refused(sqlite: SQLiteFiles, clock: ManualClock) -> None:
    url = sqlite.fresh()
    store = Store(url, clock)
    with pytest.raises(FailedPrecondition) as refused:
        Store(url, clock)
    assert refused.value.reason == "DATABASE_IN_USE"
    # And the first one goes on.
    with store.write():
        pass
    store.close()


def test_a_database_of_a_newer_version_is_refused_and_left_alone(database_url: str, clock: ManualClock) -> None:
    store = Store(database_url, clock)
    with store.write() as connection:
        connection.execute(text("UPDATE meta SET value = '1000' WHERE key = 'schema_version'"))
    store.close()
    for _ in range(2):
        with pytest.raises(FailedPrecondition) as refused:
            Store(database_url, clock)
        assert refused.value.reason == "SCHEMA_TOO_NEW"


@pytest.mark.parametrize(
    "url",
    [
        *("", "nonsense", "sqlite://", "sqlite:///:memory:", "mysql://u:secret@h/d", "sqlite:////no/such/folder/x.db"),
        *("postgresql://u:secret@h", "postgresql+psycopg2://u:secret@h/d", "postgres+psycopg://u:secret@h/d"),
    ],
)
def test_a_database_url_that_cannot_be_used_is_refused_without_its_password(url: str, clock: ManualClock) -> None:
    with pytest.raises(InvalidArgument) as refused:
        Store(url, clock)
    assert refused.value.field == "database_url"
    assert "secret" not in refused.value.message


def test_a_reading_function_sees_one_snapshot(wheel: HandWheel) -> None:
    wheel.task()
    wheel.run()

    def twice(connection: Connection) -> tuple[int, int]:
        before = len(run_rows.ready_handlers(connection))
        wheel.succeed(wheel.claim_one())
        return before, len(run_rows.ready_handlers(connection))

    assert wheel.store.read(twice) == (1, 1)
    assert wheel.store.read(lambda connection: len(run_rows.ready_handlers(connection))) == 0


def test_a_reading_connection_cannot_write(wheel: HandWheel) -> None:
    with pytest.raises(Unavailable):
        wheel.store.read(lambda connection: connection.execute(text("DELETE FROM runs")))


def test_an_outage_of_the_store_is_logged_once_with_its_reason_and_so_is_its_end(wheel: HandWheel) -> None:
    wheel.task()
    with capture_logs() as logs:
        with Breaker(Point.STATEMENT, 1, unavailable, times=100) as breaker:
            breaker.watch(wheel.store)
            for _ in range(3):
                with pytest.raises(Unavailable):
                    wheel.run()
        wheel.run()
    told = [(line["event"], line.get("reason")) for line in logs]
    assert told == [("store_unavailable", "disk I/O error"), ("store_available", None)]


# Restarts.


def test_all_that_was_under_way_goes_on_after_a_restart(wheel: HandWheel) -> None:
    wheel.task("limited", max_concurrent_runs=1)
    wheel.task("timed", schedules=EVERY_MINUTE)
    running = wheel.started("limited")
    held = wheel.run("limited")
    waiting = wheel.run("timed", schedule_time=START + SECOND)
    wheel.restart()
    wheel.advance(SECOND)
    assert [wheel.state(run) for run in (running, held, waiting)] == [State.RUNNING, State.HELD, State.READY]
    wheel.restart()
    wheel.advance(LEASE)
    assert [wheel.state(run) for run in (running, held)] == [State.FAILED, State.READY]
    wheel.restart()
    wheel.advance(MINUTE)
    assert len(wheel.runs("timed")) == 2


def test_what_waits_in_the_mailbox_at_the_stop_is_carried_out(wheel: HandWheel) -> None:
    ticket = wheel.send(CreateTask(task=wheel.new_task()))
    wheel.wheel.start()
    wheel.wheel.stop()
    assert ticket.result().task_id == "t"


def test_whoever_cannot_be_told_does_not_end_the_thread(wheel: HandWheel) -> None:
    def refuse(_: object) -> None:
        raise RuntimeError("Event loop is closed")

    tell = wheel.wheel._receive
    wheel.wheel._receive = refuse
    unheard = wheel.send(CreateTask(task=wheel.new_task("unheard")))
    wheel.wheel.start()
    while not wheel.wheel._mailbox.empty or wheel.wheel.stuck_since is not None:
        pass
    assert not unheard.done()
    wheel.wheel._receive = tell
    ticket = wheel.send(CreateTask(task=wheel.new_task()))
    wheel.wheel.stop()
    assert ticket.result().task_id == "t"
    assert wheel.get_task("unheard").task_id == "unheard"
