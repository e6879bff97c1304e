"""A store that is full, or busy: callers are told to come back, readers go on, and so does all once there is room."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import event

from taskwheel_server.clock import MINUTE, SECOND
from taskwheel_server.db import dialect
from taskwheel_server.db.dialect import execute, fetch_value
from taskwheel_server.errors import Unavailable
from taskwheel_server.model.state import State
from taskwheel_server.schedule import Schedule
from taskwheel_server.wheel.commands import (
    AdmitRuns,
    Attach,
    ClaimRuns,
    CompleteRuns,
    CreateTask,
    Detach,
    Drain,
    Result,
    Withdraw,
)
from tests.databases import SQLiteFiles
from tests.wheel.breaker import Breaker, Point, unavailable
from tests.wheel.handwheel import HandWheel, lease_of
from tests.wheel.invariants import check

KIB = 1024


@contextmanager
def full(wheel: HandWheel, pages: int = 0) -> Iterator[None]:
    """Let the file grow by no more than `pages`, as on a full disk."""
    engine = wheel.store._writer
    with wheel.store.write() as connection:
        size = fetch_value(connection, "PRAGMA page_count") + pages

    def limit(connection: object, _record: object = None) -> None:
        connection.execute(f"PRAGMA max_page_count={size}").close()  # type: ignore[attr-defined]

    with wheel.store.write() as connection:
        limit(connection.connection.driver_connection)
    # A connection that failed is not used again: the next one finds the disk as full.
    event.listen(engine, "connect", limit)
    yield
    event.remove(engine, "connect", limit)
    with wheel.store.write() as connection:
        execute(connection, "PRAGMA max_page_count=1073741823")


def sound(wheel: HandWheel) -> bool:
    return bool(wheel.store.read(fetch_value, "PRAGMA integrity_check") == "ok")


class TestFullFile:
    """SQLite's alone: the disk of a server is not ours to fill."""

    @pytest.fixture
    def database_url(self, sqlite: SQLiteFiles) -> str:
        return sqlite.fresh()

    def test_a_full_store_refuses_what_would_grow_it_and_takes_it_when_there_is_room(self, wheel: HandWheel) -> None:
        wheel.task()
        kept = wheel.run(payload=b"kept")
        new = [wheel.new_run(payload=bytes(200 * KIB), request_id="r", request_digest=b"1")]
        with full(wheel, 20):
            for _ in range(3):
                with pytest.raises(Unavailable) as told:
                    wheel.call(AdmitRuns(runs=new))
                assert told.value.retry_after > 0
                # Nothing of it is stored, and reading goes on.
                assert [run.uid for run in wheel.runs()] == [kept.uid]
                check(wheel)
        assert sound(wheel)
        admitted = wheel.call(AdmitRuns(runs=new))
        assert [run.uid for run in wheel.runs()] == [kept.uid, admitted[0].uid]
        assert [run.uid for run in wheel.claim(2)] == [kept.uid, admitted[0].uid]

    def test_only_what_does_not_fit_is_refused_by_a_store_that_is_nearly_full(self, wheel: HandWheel) -> None:
        wheel.task()
        with full(wheel, 30):
            small = [wheel.run(payload=b"small") for _ in range(3)]
            with pytest.raises(Unavailable):
                wheel.run(payload=bytes(500 * KIB))
            [again] = [wheel.run(payload=b"small again")]
        assert {run.uid for run in wheel.runs()} == {run.uid for run in (*small, again)}
        assert sound(wheel)

    def test_time_goes_on_after_the_store_was_full(self, wheel: HandWheel) -> None:
        wheel.task(schedules=[Schedule(interval=MINUTE)])
        running = wheel.started()
        wheel.update(payload=bytes(300 * KIB))
        with full(wheel, 1):
            wheel.clock.advance(MINUTE)
            wheel.turn()
            # The failed turn is not tried a thousand times a second.
            assert not wheel.wheel.busy
            assert wheel.state(running) is State.RUNNING
        wheel.advance(SECOND)
        assert wheel.state(running) is State.FAILED
        assert [slot for slot, *_ in wheel.slots()] == [60]
        assert sound(wheel)

    def test_a_worker_keeps_its_work_through_a_full_store(self, wheel: HandWheel) -> None:
        wheel.task()
        worker = wheel.worker(2)
        wheel.run_many(3)
        first, _ = worker.take()
        with full(wheel):
            with pytest.raises(Unavailable):
                wheel.call(CompleteRuns(results=[Result(lease_of(first), result=bytes(300 * KIB))]))
            assert worker.take() == []
        assert wheel.succeed(first)
        assert len(worker.take()) == 1

    def test_the_journal_and_the_caches_of_readers_stay_small(self, wheel: HandWheel) -> None:
        with wheel.store.write() as connection:
            assert fetch_value(connection, "PRAGMA journal_size_limit") == 64 * KIB * KIB
            assert fetch_value(connection, "PRAGMA synchronous") == 2
        assert wheel.store.read(fetch_value, "PRAGMA cache_size") == -8 * KIB


@contextmanager
def broken() -> Iterator[None]:
    """Let every statement fail."""

    def refuse(*_: object, **__: object) -> None:
        raise unavailable()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dialect, "_begin", refuse)
        yield


def test_whoever_was_refused_gets_nothing_later(wheel: HandWheel) -> None:
    wheel.task()
    worker = wheel.new_worker()
    with broken():
        claim = wheel.send(ClaimRuns(demand=wheel.new_demand(wait=MINUTE)))
        attach = wheel.send(Attach(session=worker.session))
        create = wheel.send(CreateTask(task=wheel.new_task("u")))
        wheel.turn()
        assert {type(ticket.exception()) for ticket in (claim, attach, create)} == {Unavailable}
    wheel.run()
    assert worker.take() == []
    assert wheel.states() == ["READY"]
    # And nobody is told twice.
    assert [run.uid for run in wheel.claim()] == [wheel.runs()[0].uid]


@pytest.mark.parametrize("farewell", [Detach, Drain])
def test_a_worker_that_goes_while_the_store_is_away_gets_nothing_later(
    wheel: HandWheel, farewell: type[Detach | Drain]
) -> None:
    wheel.task()
    worker = wheel.worker()
    with broken():
        gone = wheel.send(farewell(session=worker.session))
        wheel.turn()
        assert isinstance(gone.exception(), Unavailable)
    wheel.run()
    assert worker.take() == []
    assert wheel.states() == ["READY"]


def test_a_claim_withdrawn_while_the_store_is_away_gets_nothing_later(wheel: HandWheel) -> None:
    wheel.task()
    demand = wheel.new_demand(wait=MINUTE)
    wheel.send(ClaimRuns(demand=demand))
    wheel.turn()
    with broken():
        gone = wheel.send(Withdraw(demand=demand))
        wheel.turn()
        assert isinstance(gone.exception(), Unavailable)
    wheel.run()
    assert wheel.states() == ["READY"]


def test_a_waiting_claim_outlasts_a_failed_turn(wheel: HandWheel) -> None:
    wheel.task()
    ticket = wheel.send(ClaimRuns(demand=wheel.new_demand(wait=MINUTE)))
    wheel.turn()
    with broken():
        with pytest.raises(Unavailable):
            wheel.run()
        assert not ticket.done()
    wheel.run()
    assert len(ticket.result()) == 1


def test_a_ready_run_is_not_forgotten_when_the_claim_fails(wheel: HandWheel) -> None:
    wheel.task()
    wheel.run()
    for times in (1, 2):
        with Breaker(Point.BEFORE_COMMIT, 1, unavailable, times) as breaker:
            breaker.watch(wheel.store)
            ticket = wheel.send(ClaimRuns(demand=wheel.new_demand()))
            wheel.turn()
        if times == 1:
            [run] = ticket.result()
            wheel.succeed(run)
            wheel.run()
        else:
            assert isinstance(ticket.exception(), Unavailable)
    assert wheel.claim_one().state is State.RUNNING
