"""Several servers on one PostgreSQL: what holds on one holds over all of them."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from queue import Queue
from typing import Any

import pytest
from psycopg.errors import DeadlockDetected

from taskwheel_server import schedule
from taskwheel_server.clock import SECOND, ManualClock
from taskwheel_server.db import Connection, StaleTurn, dialect, events, runs
from taskwheel_server.db.dialect.postgresql import PostgreSQL
from taskwheel_server.db.hints import MAX_BYTES, Hint
from taskwheel_server.errors import AlreadyExists, FailedPrecondition
from taskwheel_server.model.names import RunRef
from taskwheel_server.model.state import OverlapPolicy, State
from taskwheel_server.wheel import release, slots
from taskwheel_server.wheel.commands import (
    AdmitRuns,
    CancelRun,
    ClaimRuns,
    CompleteRuns,
    CreateTask,
    DeleteTask,
    PauseTask,
    ReleaseRuns,
    Renewal,
    RenewLeases,
    Result,
    UpdateTask,
)
from tests.databases import PostgreSQLDatabases
from tests.wheel.breaker import Breaker, Point, poisoned
from tests.wheel.handwheel import LEASE, START, HandWheel, lease_of, task_ref
from tests.wheel.invariants import check

EVERY_SECOND = [schedule.Schedule(interval=SECOND, start_time=START)]


@pytest.fixture
def database_url(postgresql: PostgreSQLDatabases) -> str:
    """The only kind that admits several."""
    return postgresql.fresh()


@pytest.fixture
def other(database_url: str, clock: ManualClock, wheel: HandWheel) -> Iterator[HandWheel]:
    """The second one."""
    other = HandWheel(database_url, clock)
    try:
        yield other
        look(wheel, other)
        check(other)
    finally:
        other.close()


def look(*wheels: HandWheel) -> None:
    """Let each look around, as it does every second."""
    wheels[0].clock.advance(SECOND)
    for wheel in wheels:
        wheel.turn()
        wheel.settle()


def hint(wheel: HandWheel) -> Hint:
    """Return what the last turn of a server has told the others."""
    said = wheel.outcomes[-1]
    return Hint(said.ready, said.stops_elsewhere, said.sequences, said.logged, said.ended)


def meet(wheel: HandWheel, other: HandWheel, hear: Callable[[Hint], None] = lambda _: None) -> None:
    """Have both know of each other."""
    wheel.store.listen(lambda _: None)
    other.store.listen(hear)
    while wheel.store.alone or other.store.alone:
        pass


def tell(wheel: HandWheel, said: Hint) -> None:
    wheel.wheel.hear(said)
    wheel.turn()


@pytest.mark.parametrize("news", ["told", "found"])
def test_a_run_admitted_on_one_starts_on_a_worker_of_another(wheel: HandWheel, other: HandWheel, news: str) -> None:
    wheel.task()
    worker = other.worker()
    run = wheel.run()
    tell(other, hint(wheel)) if news == "told" else look(other)
    assert worker.take_one().uid == run.uid


def test_a_run_whose_time_comes_on_one_is_told_to_the_others(wheel: HandWheel, other: HandWheel) -> None:
    wheel.task()
    heard: Queue[Hint] = Queue()
    meet(wheel, other, heard.put)
    run = wheel.run(schedule_time=wheel.now + 1)
    wheel.clock.advance(1)
    wheel.turn()
    assert wheel.state(run) is State.READY
    while not (said := heard.get(timeout=20)).ready:
        pass
    assert said.ready == {(run.namespace, run.handler)}


@pytest.mark.parametrize("news", ["told", "found"])
def test_a_run_cancelled_on_one_is_stopped_on_the_worker_of_another(
    wheel: HandWheel, other: HandWheel, news: str
) -> None:
    wheel.task()
    worker = other.worker()
    other.run()
    run = worker.take_one()
    assert wheel.cancel(run).state is State.CANCELLING
    tell(other, hint(wheel)) if news == "told" else look(other)
    assert [(stop.uid, stop.lost) for stop in worker.stops] == [(run.uid, False)]
    assert other.stop(run)
    assert wheel.state(run) is State.CANCELLED


def test_what_was_said_while_nobody_listened_is_found_even_by_who_hears_again(
    wheel: HandWheel, other: HandWheel
) -> None:
    wheel.task()
    worker = other.worker()
    other.run()
    run = worker.take_one()
    wheel.cancel(run)
    other.store.listen(lambda _: None)
    while not other.store.hears:
        pass
    # What the listener says when it is back.
    tell(other, Hint(untold=True))
    look(other)
    assert [(stop.uid, stop.lost) for stop in worker.stops] == [(run.uid, False)]
    assert other.stop(run)


def test_a_lease_that_one_ends_is_lost_to_the_worker_of_another(wheel: HandWheel, other: HandWheel) -> None:
    wheel.task()
    worker = other.worker()
    other.run()
    run = worker.take_one()
    wheel.advance(LEASE)
    assert wheel.state(run) is State.FAILED
    look(other)
    assert [(stop.uid, stop.lost) for stop in worker.stops] == [(run.uid, True)]
    assert not other.succeed(run)
    assert worker.session.credit == worker.session.max_concurrent_runs


def test_a_result_counts_on_whichever_server_it_arrives(wheel: HandWheel, other: HandWheel) -> None:
    wheel.task()
    worker = other.worker()
    other.run()
    run = worker.take_one()
    assert wheel.succeed(run)
    assert other.succeed(run), "repeated, it is accepted again"
    look(other)
    assert not worker.session.held


def test_the_limit_of_a_task_counts_the_runs_of_all(wheel: HandWheel, other: HandWheel) -> None:
    wheel.task(max_concurrent_runs=2)
    workers = [wheel.worker(), other.worker(worker_id="w2")]
    wheel.run_many(3)
    other.run_many(3)
    look(wheel, other)
    [started, rest] = [worker.take() for worker in workers]
    assert len(started) + len(rest) == 2
    assert other.succeed(started[0])
    look(other, wheel)
    assert sum(len(worker.take()) for worker in workers) == 1
    assert sorted(wheel.states()) == ["HELD", "HELD", "HELD", "RUNNING", "RUNNING", "SUCCEEDED"]


def test_priority_counts_among_the_runs_of_all(wheel: HandWheel, other: HandWheel) -> None:
    wheel.task()
    for priority in range(6):
        (wheel, other)[priority % 2].run(priority=priority)
    look(wheel, other)
    assert [wheel.claim_one().priority, other.claim_one().priority, wheel.claim_one().priority] == [5, 4, 3]


def test_a_slot_is_one_run_whoever_meets_it(wheel: HandWheel, other: HandWheel) -> None:
    wheel.task(schedules=EVERY_SECOND)
    for _ in range(3):
        wheel.clock.advance(SECOND)
        for each in (other, wheel):
            each.turn()
            each.settle()
    assert [state for *_, state in wheel.slots()] == ["READY"] * 3


def test_a_task_paused_on_one_stops_on_all(wheel: HandWheel, other: HandWheel) -> None:
    wheel.task(schedules=EVERY_SECOND)
    other.call(PauseTask(task=task_ref("t"), reason="holiday", actor="ann"))
    for each in (wheel, other):
        each.advance(SECOND)
    assert wheel.slots() == []


@pytest.mark.parametrize(
    ("policy", "second"), [(OverlapPolicy.SKIP, "SKIPPED"), (OverlapPolicy.QUEUE_ONE, "HELD")], ids=str
)
def test_overlap_is_judged_by_the_runs_of_all(
    wheel: HandWheel, other: HandWheel, policy: OverlapPolicy, second: str
) -> None:
    wheel.task(schedules=EVERY_SECOND, overlap_policy=policy)
    worker = other.worker()
    other.advance(SECOND)
    run = worker.take_one()
    wheel.advance(SECOND)
    assert [state for *_, state in wheel.slots()] == ["RUNNING", second]
    assert wheel.succeed(run)
    tell(other, hint(wheel))
    assert len(worker.take()) == (second == "HELD")


def test_a_request_id_stands_for_one_run_over_all(wheel: HandWheel, other: HandWheel) -> None:
    wheel.task()
    [run] = wheel.call(AdmitRuns(runs=[wheel.new_run(request_id="r", request_digest=b"d")]))
    [same] = other.call(AdmitRuns(runs=[other.new_run(request_id="r", request_digest=b"d")]))
    assert same.uid == run.uid


def test_a_task_id_stands_for_one_task_over_all(wheel: HandWheel, other: HandWheel) -> None:
    wheel.task()
    with pytest.raises(AlreadyExists):
        other.call(CreateTask(task=other.new_task()))


class Between:
    """A turn of `first` that is held open, before its commit or after a stage, while `second` turns on another thread.

    The second turn must come to wait for the first, or to its end.
    """

    def __init__(self, first: HandWheel, second: HandWheel) -> None:
        self._first, self._second = first, second

    def turn(self, monkeypatch: pytest.MonkeyPatch, stage: tuple[Any, str] | None = None) -> None:
        thread = threading.Thread(target=self._second.turn)
        owner, name = stage or (self._first.wheel._neighbours, "tell")
        done = getattr(owner, name)

        def halfway(*arguments: Any, **options: Any) -> Any:
            answer = done(*arguments, **options)
            if thread.ident is None:
                thread.start()
                while thread.is_alive() and not self._waits():
                    pass
            return answer

        with monkeypatch.context() as patch:
            patch.setattr(owner, name, halfway)
            self._first.turn()
        thread.join()

    def _waits(self) -> bool:
        waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        return bool(self._first.store.read(lambda connection: connection.exec_driver_sql(waiting).first()))


def test_events_are_in_the_order_in_which_they_can_be_read(
    wheel: HandWheel, other: HandWheel, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel.task()
    seen: list[int] = []
    reading = threading.Lock()

    def read_after(commit: Callable[[Connection], None], connection: Connection) -> None:
        commit(connection)
        with reading:
            after = seen[-1] if seen else 0
            found = wheel.store.read(lambda reader: list(events.after(reader, "default", after, 99)))
            seen.extend(event.sequence for event in found)

    for each in (wheel, other):
        each.send(AdmitRuns(runs=[each.new_run()]))
    # A reader that looks after each commit: numbers given in another order than that of the commits would escape it.
    monkeypatch.setattr(dialect, "_commit", partial(read_after, dialect._commit))
    Between(wheel, other).turn(monkeypatch)
    assert seen == [1, 2, 3]


def test_two_claims_at_once_keep_a_limit(wheel: HandWheel, other: HandWheel, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel.task(max_concurrent_runs=1)
    wheel.run_many(2)
    look(other)
    demands = [each.new_demand() for each in (wheel, other)]
    for each, demand in zip((wheel, other), demands, strict=True):
        each.send(ClaimRuns(demand=demand))
    Between(wheel, other).turn(monkeypatch)
    assert wheel.states().count("RUNNING") == 1


def test_two_requests_at_once_with_one_id_are_one_run(
    wheel: HandWheel, other: HandWheel, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel.task()
    answers = [
        each.send(AdmitRuns(runs=[each.new_run(request_id="r", request_digest=b"d")])) for each in (wheel, other)
    ]
    Between(wheel, other).turn(monkeypatch)
    first, second = (answer.result()[0].uid for answer in answers)
    assert first == second
    assert len(wheel.runs()) == 1


def test_a_replayed_request_meets_one_with_its_id_that_is_just_being_stored(
    wheel: HandWheel, other: HandWheel, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel.task()
    answers = [
        each.send(AdmitRuns(runs=[each.new_run(request_id="r", request_digest=b"d")])) for each in (wheel, other)
    ]
    with Breaker(Point.STATEMENT, 1, StaleTurn) as breaker:
        breaker.watch(other.store)
        Between(wheel, other).turn(monkeypatch)
    [run] = wheel.runs()
    assert [answer.result()[0].uid for answer in answers] == [run.uid, run.uid]


def test_two_tasks_of_one_id_created_at_once_are_one(
    wheel: HandWheel, other: HandWheel, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (each.send(CreateTask(task=each.new_task())) for each in (wheel, other))
    Between(wheel, other).turn(monkeypatch)
    assert wheel.get_task().uid == first.result().uid
    assert isinstance(second.exception(), AlreadyExists)
    assert wheel.events() == ["task_created"]


def test_a_lease_renewed_while_a_slot_stops_its_run_stays_renewed(
    wheel: HandWheel, other: HandWheel, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel.task(schedules=EVERY_SECOND, overlap_policy=OverlapPolicy.CANCEL_RUNNING)
    run = wheel.started()
    wheel.clock.advance(SECOND)
    # The slot is left to the first one.
    monkeypatch.setattr(other.wheel, "_next_tick", wheel.now + SECOND)
    other.send(RenewLeases(renewals=[Renewal(lease_of(run))]))
    Between(other, wheel).turn(monkeypatch)
    wheel.settle()
    stored = wheel.get(run)
    assert (stored.state, stored.lease_expire_time) == (State.CANCELLING, START + SECOND + LEASE)


def test_two_updates_at_once_are_both_kept(wheel: HandWheel, other: HandWheel, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel.task()
    wheel.send(UpdateTask(task=task_ref("t"), changes={"priority": 7}))
    other.send(UpdateTask(task=task_ref("t"), changes={"description": "changed"}))
    Between(wheel, other).turn(monkeypatch)
    task = wheel.get_task()
    assert (task.priority, task.description, task.version) == (7, "changed", 3)


@pytest.mark.parametrize("moved", ["ends", "starts"])
def test_a_limit_counts_the_runs_that_another_turn_moves_at_once(
    wheel: HandWheel, other: HandWheel, monkeypatch: pytest.MonkeyPatch, moved: str
) -> None:
    wheel.task()
    if moved == "ends":
        wheel.send(CompleteRuns(results=[Result(lease_of(wheel.started()), result=b"1")]))
    else:
        wheel.worker()
        wheel.send(AdmitRuns(runs=[wheel.new_run()]))
    other.send(UpdateTask(task=task_ref("t"), changes={"max_concurrent_runs": 1}))
    Between(wheel, other).turn(monkeypatch)
    assert wheel.get_task().running == (moved == "starts") == wheel.states().count("RUNNING")


def test_a_run_admitted_while_its_task_is_swept_away_is_cancelled(
    wheel: HandWheel, other: HandWheel, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel.task()
    wheel.send(AdmitRuns(runs=[wheel.new_run()]))
    other.send(DeleteTask(task=task_ref("t")))
    monkeypatch.setattr(other.wheel, "_next_sweep", 0)
    # Between looking its task up and storing it.
    Between(wheel, other).turn(monkeypatch, (release, "release_held"))
    other.settle()
    assert [run.state for run in wheel.runs()] == [State.CANCELLED]


def test_only_the_row_that_failed_is_set_aside(
    wheel: HandWheel, other: HandWheel, monkeypatch: pytest.MonkeyPatch
) -> None:
    for task_id in ("bad", "good"):
        wheel.task(task_id, schedules=EVERY_SECOND)
    poisoned(monkeypatch, slots, "_due_runs", lambda _turn, task, _moments: task.task_id == "bad")
    set_aside = wheel.wheel._set_aside

    def too_late(tick: Any) -> None:
        """Another server meets it, too, and is faster; then the next row is due."""
        other.turn()
        other.settle()
        wheel.clock.advance(SECOND)
        set_aside(tick)

    monkeypatch.setattr(wheel.wheel, "_set_aside", too_late)
    wheel.advance(SECOND)
    assert [wheel.get_task(task_id).paused for task_id in ("bad", "good")] == [True, False]


def test_two_results_of_one_run_at_once_end_it_once(
    wheel: HandWheel, other: HandWheel, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel.task()
    run = wheel.started()
    answers = [
        each.send(CompleteRuns(results=[Result(lease_of(run), result=text)]))
        for each, text in ((wheel, b"1"), (other, b"2"))
    ]
    Between(wheel, other).turn(monkeypatch)
    assert [answer.result() for answer in answers] == [[True], [True]]
    assert wheel.get(run).result == b"1"
    assert wheel.events(run).count("run_succeeded") == 1


def test_a_held_run_that_is_being_cancelled_is_left_to_who_cancels_it(
    wheel: HandWheel, other: HandWheel, monkeypatch: pytest.MonkeyPatch, begun: list[Connection]
) -> None:
    wheel.task(max_concurrent_runs=1)
    worker = wheel.worker()
    wheel.run_many(3)
    running = worker.take_one()
    cancelled, released = sorted(run.uid for run in wheel.runs() if run.state is State.HELD)
    look(wheel, other)
    begun.clear()
    ended = wheel.send(CompleteRuns(results=[Result(lease_of(running))]))
    answer = other.send(CancelRun(run=RunRef(running.namespace, cancelled)))
    Between(other, wheel).turn(monkeypatch, (runs, "by_uid"))
    assert len(begun) == 2, "neither turn had to be repeated"
    assert ended.result() == [True]
    assert answer.result().state is State.CANCELLED
    assert worker.take_one().uid == released


def test_a_turn_that_ends_one_run_and_starts_another_does_not_lock_out_one_that_cancels_both(
    wheel: HandWheel, other: HandWheel, monkeypatch: pytest.MonkeyPatch, begun: list[Connection]
) -> None:
    wheel.task()
    worker = wheel.worker(credit=1)
    pending = {run.uid: run for run in wheel.run_many(2)}
    running = worker.take_one()
    del pending[running.uid]
    [ready] = pending.values()
    look(wheel, other)
    ended = wheel.send(CompleteRuns(results=[Result(lease_of(running))]))
    answers = [other.send(CancelRun(run=RunRef(run.namespace, run.uid))) for run in (running, ready)]
    begun.clear()
    # The first turn has what is ready from the start.
    Between(wheel, other).turn(monkeypatch, (dialect, "_begin"))
    assert len(begun) == 2, "neither turn had to be repeated"
    assert ended.result() == [True]
    assert isinstance(answers[0].exception(), FailedPrecondition)
    assert answers[1].result().state is State.CANCELLING


def test_a_run_that_was_kept_from_another_server_and_not_started_is_told_to_it(
    wheel: HandWheel, other: HandWheel, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel.task()
    worker, idle = wheel.worker(1), other.worker(1)
    wheel.run_many(2)
    look(wheel, other)
    first, second = worker.take_one(), idle.take_one()
    stored = wheel.run()
    look(wheel, other)
    # A turn that has seen the stored run gives its place to a graver one; the other passes over what is locked.
    ended = wheel.send(CompleteRuns(results=[Result(lease_of(first))]))
    grave = wheel.send(AdmitRuns(runs=[wheel.new_run(priority=1)]))
    other.send(CompleteRuns(results=[Result(lease_of(second))]))
    Between(wheel, other).turn(monkeypatch)
    assert ended.result() == [True]
    assert [run.uid for run in worker.take()] == [run.uid for run in grave.result()]
    assert idle.take() == []
    tell(other, hint(wheel))
    assert idle.take_one().uid == stored.uid


def test_a_run_that_is_handed_back_while_a_slot_has_runs_make_way_is_cancelled(
    wheel: HandWheel, other: HandWheel, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel.task(overlap_policy=OverlapPolicy.CANCEL_RUNNING, schedules=EVERY_SECOND)
    run = wheel.started()
    returned: list[Any] = []

    def fetch_and_hand_back(connection: Connection, text: str, *values: Any) -> Any:
        rows = dialect.fetch(connection, text, *values)
        if text == runs._GOING_ON and not returned:
            returned.append(other.call(ReleaseRuns(leases=[lease_of(run)])))
        return rows

    monkeypatch.setattr(runs, "fetch", fetch_and_hand_back)
    wheel.advance(SECOND)
    assert returned == [[True]]
    assert wheel.state(run) is State.CANCELLED


@pytest.fixture
def failures(monkeypatch: pytest.MonkeyPatch) -> list[type[BaseException] | None]:
    """Why transactions were rolled back."""
    roll_back = PostgreSQL.roll_back
    failures: list[type[BaseException] | None] = []

    def noted(postgresql: PostgreSQL, connection: Connection) -> None:
        failures.append(sys.exc_info()[0])
        roll_back(postgresql, connection)

    monkeypatch.setattr(PostgreSQL, "roll_back", noted)
    return failures


def test_a_task_can_be_deleted_while_another_server_starts_its_runs(
    wheel: HandWheel, other: HandWheel, failures: list[type[BaseException] | None]
) -> None:
    meet(wheel, other)
    worker = wheel.worker(10)
    for number in range(4):
        name = f"t{number}"
        wheel.task(name)
        wheel.run_many(300, name)
        look(wheel, other)
        gone = threading.Event()

        def work(gone: threading.Event = gone) -> None:
            while not gone.is_set() and worker.session.held:
                wheel.send(CompleteRuns(results=[Result(lease_of(run)) for run in worker.take()]))
                wheel.turn()

        working = threading.Thread(target=work)
        working.start()
        deletion = other.send(DeleteTask(task=task_ref(name)))
        other.turn()
        gone.set()
        working.join()
        assert deletion.exception() is None
        look(wheel, other)
        while left := worker.take():
            assert all(wheel.complete(*(Result(lease_of(run)) for run in left)))
    assert {run.state for run in wheel.runs()} == {State.SUCCEEDED, State.CANCELLED}
    assert DeadlockDetected not in failures


def test_two_servers_do_not_have_each_other_look_around_for_ever(
    wheel: HandWheel, other: HandWheel, monkeypatch: pytest.MonkeyPatch
) -> None:
    meet(wheel, other)
    told: list[Hint] = []
    monkeypatch.setattr(other.store, "tell", lambda _, said: told.append(said))
    other.wheel.hear(Hint(untold=True))
    other.task()
    assert any(outcome.untold for outcome in other.outcomes), "who waits here looks again"
    assert [said.untold for said in told] == [False]


def test_a_hint_that_says_too_much_says_to_look_around() -> None:
    full = Hint(ended={f"{number:036}" for number in range(1000)}, sequences={"default": 9})
    text = full.dump("me")
    assert len(text) <= MAX_BYTES
    said = Hint.load(json.loads(text))
    assert (said.untold, said.sequences, said.ended) == (True, {"default": 9}, set())
