"""Claim: who gets which run, in which order, and how much of it at once."""

from __future__ import annotations

import asyncio
import random

import pytest

from taskwheel_server.clock import HOUR, SECOND
from taskwheel_server.db import Connection
from taskwheel_server.errors import Unavailable
from taskwheel_server.model.run import Run
from taskwheel_server.model.state import State
from taskwheel_server.wheel.commands import (
    AdmitRuns,
    Attach,
    ClaimRuns,
    CompleteRuns,
    Detach,
    Drain,
    NewRun,
    ReleaseRuns,
    Renewal,
    RenewLeases,
    Result,
    Withdraw,
)
from taskwheel_server.workers import Demand
from tests.wheel.handwheel import LEASE, START, HandWheel, lease_of, task_ref

MIB = 1024 * 1024


def test_ready_runs_are_claimed_by_priority_then_schedule_time_then_uid(wheel: HandWheel) -> None:
    wheel.task()
    chance = random.Random(1)
    runs = [
        wheel.run(priority=chance.choice([-1, 0, 5]), schedule_time=START - chance.choice([0, 1, HOUR]))
        for _ in range(30)
    ]
    chance.shuffle(runs)
    expected = sorted(runs, key=lambda run: (-run.priority, run.schedule_time, run.uid))
    assert [wheel.claim_one().uid for _ in runs] == [run.uid for run in expected]


def test_a_batch_of_claims_is_handed_over_in_order(wheel: HandWheel) -> None:
    wheel.task()
    low, high = wheel.run(priority=1), wheel.run(priority=2)
    assert [run.uid for run in wheel.claim(10)] == [high.uid, low.uid]


def test_a_thousand_future_runs_of_high_priority_do_not_precede_a_due_one(wheel: HandWheel) -> None:
    wheel.task()
    wheel.run_many(1000, priority=100, schedule_time=START + HOUR)
    due = wheel.run(priority=-100)
    assert [run.uid for run in wheel.claim(10)] == [due.uid]


def test_the_order_holds_across_the_handlers_of_a_worker(wheel: HandWheel) -> None:
    wheel.task("a", "a")
    wheel.task("b", "b")
    runs = [wheel.run(task, priority=priority) for priority in (1, 3, 2) for task in ("a", "b")]
    expected = sorted(runs, key=lambda run: (-run.priority, run.uid))
    assert [wheel.claim(1, ["a", "b"])[0].uid for _ in runs] == [run.uid for run in expected]


@pytest.mark.parametrize("seed", range(4))
def test_a_turn_that_ends_and_admits_runs_starts_the_first_of_all_that_are_ready(wheel: HandWheel, seed: int) -> None:
    chance = random.Random(seed)
    for name in ("a", "b"):
        wheel.task(name, name)
    worker = wheel.worker(4, ["a", "b"])
    ready: list[Run] = []
    running: list[Run] = []
    for _ in range(25):
        wheel.clock.advance(1)
        ended = chance.sample(running, chance.randrange(len(running) + 1))
        new = [
            wheel.new_run(chance.choice("ab"), priority=chance.choice([-1, 0, 1])) for _ in range(chance.randrange(6))
        ]
        if ended:
            wheel.send(CompleteRuns(results=[Result(lease_of(run)) for run in ended]))
        admission = wheel.send(AdmitRuns(runs=new)) if new else None
        wheel.turn()
        ready = sorted(
            ready + (admission.result() if admission else []),
            key=lambda run: (-run.priority, run.schedule_time, run.uid),
        )
        room = 4 - (len(running) - len(ended))
        started = worker.take()
        assert sorted(run.uid for run in started) == sorted(run.uid for run in ready[:room])
        assert all(wheel.state(run) is State.READY for run in ready[room:])
        ready = ready[room:]
        running = [run for run in running if run not in ended] + started


def test_the_order_holds_for_credit_that_a_lost_lease_gives_back(wheel: HandWheel) -> None:
    for name in ("a", "b"):
        wheel.task(name, name)
    worker = wheel.worker(2, ["a", "b"])
    wheel.run_many(2, "a")
    first, _ = worker.take()
    stored = wheel.run_many(2, "b", priority=1)
    wheel.clock.advance(LEASE // 2)
    wheel.renew(first, worker.session)
    wheel.clock.advance(LEASE // 2)
    wheel.send(CompleteRuns(results=[Result(lease_of(first))]))
    wheel.send(AdmitRuns(runs=[wheel.new_run("a")]))
    wheel.turn()
    assert [run.uid for run in worker.take()] == [run.uid for run in stored]


def test_a_run_whose_start_deadline_passes_in_the_turn_that_would_start_it_fails_in_one_turn(
    wheel: HandWheel, begun: list[Connection]
) -> None:
    wheel.task(start_deadline=5 * SECOND)
    worker = wheel.worker(1)
    wheel.run()
    first = worker.take_one()
    wheel.run()
    wheel.clock.advance(5 * SECOND)
    begun.clear()
    assert wheel.succeed(first)
    assert len(begun) == 1
    assert wheel.states() == ["SUCCEEDED", "FAILED"]


def test_a_handler_in_constant_demand_does_not_starve_another(wheel: HandWheel) -> None:
    wheel.task("a", "a")
    wheel.task("b", "b")
    wheel.run_many(3, "a")
    other = wheel.run("b")
    worker = wheel.worker(1, ["a", "b"])
    for _ in range(4):
        run = worker.take_one()
        wheel.send(AdmitRuns(runs=[wheel.new_run("a")]))
        wheel.succeed(run)
    assert wheel.state(other) is State.SUCCEEDED


def test_a_worker_gets_no_more_than_its_credit(wheel: HandWheel) -> None:
    wheel.task()
    wheel.run_many(10)
    worker = wheel.worker(3)
    assert len(worker.take()) == 3
    wheel.settle()
    assert worker.take() == []


def test_credit_is_refilled_in_the_turn_that_settles(wheel: HandWheel) -> None:
    wheel.task()
    worker = wheel.worker(2)
    wheel.run_many(5)
    first, _ = worker.take()
    outcome = len(wheel.outcomes)
    wheel.succeed(first)
    assert len(wheel.outcomes) - outcome == 1
    assert len(worker.take()) == 1


@pytest.mark.parametrize("credits", [(10, 10), (10, 2), (1, 1, 10)])
def test_a_batch_is_spread_evenly_over_sessions(wheel: HandWheel, credits: tuple[int, ...]) -> None:
    wheel.task()
    workers = [wheel.worker(credit, worker_id=f"w{index}") for index, credit in enumerate(credits)]
    wheel.run_many(9)
    shares = [len(worker.take()) for worker in workers]
    assert sum(shares) == 9
    for share, credit in zip(shares, credits, strict=True):
        assert share == credit or share >= max(shares) - 1


def test_a_worker_is_given_its_own_handlers_only(wheel: HandWheel) -> None:
    wheel.task("a", "a")
    wheel.task("b", "b")
    wheel.run("a")
    b = wheel.run("b")
    worker = wheel.worker(10, ["b", "c"])
    assert [run.uid for run in worker.take()] == [b.uid]


def test_a_claim_answers_at_most_3_mib_and_leaves_the_rest(wheel: HandWheel) -> None:
    wheel.task()
    wheel.run_many(7, payload=bytes(MIB - 10_000))
    assert [len(wheel.claim(10)) for _ in range(4)] == [3, 3, 1, 0]


def test_a_stream_with_credit_gets_everything_however_large(wheel: HandWheel) -> None:
    wheel.task()
    for _ in range(4):
        wheel.run_many(5, payload=bytes(MIB))
    worker = wheel.worker(100)
    wheel.settle()
    assert len(worker.take()) == 20


def test_a_payload_larger_than_the_budget_is_claimed_alone(wheel: HandWheel) -> None:
    wheel.task()
    wheel.run_many(2, payload=bytes(4 * MIB))
    assert [len(wheel.claim(10)) for _ in range(3)] == [1, 1, 0]


def test_a_large_run_waits_for_whoever_has_room_and_is_not_overtaken_for_good(wheel: HandWheel) -> None:
    wheel.task()
    large = wheel.run(payload=bytes(2 * MIB), priority=1)
    larger = wheel.run(payload=bytes(2 * MIB), priority=1)
    small = wheel.run()
    assert [run.uid for run in wheel.claim(10)] == [large.uid]
    assert [run.uid for run in wheel.claim(10)] == [larger.uid, small.uid]


def test_a_claimed_run_has_a_lease_of_its_own(wheel: HandWheel) -> None:
    wheel.task()
    worker = wheel.worker(worker_id="anna")
    wheel.run()
    run = worker.take_one()
    assert (run.worker, run.start_time, run.lease_expire_time) == ("anna", START, START + LEASE)
    assert run.lease_token
    assert wheel.get(run) == run


def test_ready_runs_found_at_the_start_are_claimed(wheel: HandWheel) -> None:
    for handler in ("a", "b", "h"):
        wheel.task(handler, handler)
        wheel.run(handler)
    wheel.restart()
    assert len(wheel.worker(10, ["a", "b", "h"]).take()) == 3


# Waiting claims.


def waiting(wheel: HandWheel, wait: int = 10 * SECOND, max_runs: int = 2) -> tuple[Demand, asyncio.Future[list[Run]]]:
    demand = wheel.new_demand(max_runs, wait=wait)
    ticket = wheel.send(ClaimRuns(demand=demand))
    wheel.turn()
    return demand, ticket


def test_a_claim_that_may_not_wait_is_answered_empty_at_once(wheel: HandWheel) -> None:
    wheel.task()
    assert wheel.claim() == []


def test_a_waiting_claim_is_answered_by_the_turn_that_admits(wheel: HandWheel) -> None:
    wheel.task()
    _, ticket = waiting(wheel)
    assert not ticket.done()
    run = wheel.run()
    assert [claimed.uid for claimed in ticket.result()] == [run.uid]


def test_a_waiting_claim_is_answered_once(wheel: HandWheel) -> None:
    wheel.task()
    _, ticket = waiting(wheel)
    wheel.run()
    wheel.run()
    assert len(ticket.result()) == 1
    assert wheel.states() == ["RUNNING", "READY"]


def test_a_waiting_claim_gives_up_at_its_deadline(wheel: HandWheel) -> None:
    wheel.task()
    _, ticket = waiting(wheel, wait=SECOND)
    wheel.advance(SECOND - 1)
    assert not ticket.done()
    wheel.advance(1)
    assert ticket.result() == []
    wheel.run()
    assert wheel.states() == ["READY"]


def test_a_claim_at_its_deadline_still_takes_what_is_there(wheel: HandWheel) -> None:
    wheel.task()
    _, ticket = waiting(wheel, wait=SECOND)
    wheel.clock.advance(SECOND)
    wheel.run()
    assert len(ticket.result()) == 1


def test_a_withdrawn_claim_takes_nothing(wheel: HandWheel) -> None:
    wheel.task()
    demand, _ = waiting(wheel)
    wheel.call(Withdraw(demand=demand))
    wheel.run()
    assert wheel.states() == ["READY"]


def test_a_claim_withdrawn_before_its_turn_takes_nothing(wheel: HandWheel) -> None:
    # The withdrawal is urgent and goes ahead of the claim that it is about.
    wheel.task()
    wheel.run()
    demand = wheel.new_demand(wait=SECOND)
    wheel.send(ClaimRuns(demand=demand))
    wheel.send(Withdraw(demand=demand))
    wheel.turn()
    assert wheel.states() == ["READY"]


def test_several_waiting_claims_share_a_batch(wheel: HandWheel) -> None:
    wheel.task()
    tickets = [waiting(wheel)[1] for _ in range(3)]
    wheel.run_many(3)
    assert [len(ticket.result()) for ticket in tickets] == [1, 1, 1]


def test_when_the_server_stops_waiting_claims_are_answered(wheel: HandWheel) -> None:
    wheel.task()
    wheel.wheel.start()
    demand = wheel.new_demand(wait=HOUR)
    ticket = wheel.send(ClaimRuns(demand=demand))
    wheel.wheel.stop()
    assert ticket.result() == []
    with pytest.raises(Unavailable) as refused:
        wheel.send(ClaimRuns(demand=demand))
    assert refused.value.reason == "SHUTTING_DOWN"


# Streams come and go.


def test_a_draining_stream_gets_nothing_more_but_may_finish(wheel: HandWheel) -> None:
    wheel.task()
    worker = wheel.worker(2)
    wheel.run()
    run = worker.take_one()
    wheel.call(Drain(session=worker.session))
    wheel.run()
    assert wheel.succeed(run)
    assert worker.take() == []
    assert wheel.states() == ["SUCCEEDED", "READY"]


def test_a_detached_streams_runs_keep_their_leases(wheel: HandWheel) -> None:
    wheel.task()
    worker = wheel.worker()
    wheel.run()
    run = worker.take_one()
    wheel.call(Detach(session=worker.session))
    wheel.run()
    assert worker.take() == []
    assert wheel.succeed(run)


def test_a_renewal_by_a_new_stream_takes_up_its_credit(wheel: HandWheel) -> None:
    wheel.task()
    old = wheel.worker(1)
    wheel.run_many(2)
    run = old.take_one()
    wheel.call(Detach(session=old.session))
    new = wheel.new_worker(1)
    # Both in one turn: a stream that comes back with work in hand is not given more on top.
    wheel.send(Attach(session=new.session))
    wheel.call(RenewLeases(renewals=[Renewal(lease_of(run))], session=new.session))
    assert new.take() == []
    wheel.succeed(run)
    assert len(new.take()) == 1


def test_leases_survive_a_restart_of_the_server(wheel: HandWheel) -> None:
    wheel.task()
    run = wheel.started()
    wheel.restart()
    assert wheel.renew(run).expire_time == START + LEASE
    assert wheel.succeed(run)


def test_work_and_credit_in_one_turn_meet(wheel: HandWheel) -> None:
    wheel.task()
    worker = wheel.worker(1)
    wheel.run()
    run = worker.take_one()
    wheel.send(AdmitRuns(runs=[NewRun(wheel.wheel.minter.mint(), task_ref("t"))]))
    wheel.send(CompleteRuns(results=[Result(lease_of(run))]))
    wheel.turn()
    assert wheel.states() == ["SUCCEEDED", "RUNNING"]


def test_new_runs_start_in_claim_order_in_the_turn_that_stores_them(wheel: HandWheel) -> None:
    wheel.task("a", "a")
    wheel.task("b", "b")
    worker = wheel.worker(credit=3, handlers=("a", "b"))
    new = [wheel.new_run(task, priority=priority) for task, priority in (("a", 1), ("b", 4), ("a", 3), ("b", 2))]
    answer = wheel.send(AdmitRuns(runs=new))
    wheel.turn()
    assert [run.priority for run in worker.take()] == [4, 3, 2]
    assert {run.state for run in answer.result()} == {State.READY}
    assert [wheel.state(run.uid).name for run in new] == ["READY", "RUNNING", "RUNNING", "RUNNING"]
    assert [wheel.events(run.uid) for run in new[:2]] == [["run_pending"], ["run_pending", "run_started"]]


def test_a_new_run_does_not_overtake_what_waits_for_the_same_worker(wheel: HandWheel) -> None:
    wheel.task("a", "a")
    wheel.task("b", "b")
    waiting = wheel.run("a", priority=1)
    worker = wheel.new_worker(credit=1, handlers=("a", "b"))
    wheel.send(Attach(session=worker.session))
    wheel.send(AdmitRuns(runs=[wheel.new_run("b")]))
    wheel.turn()
    assert [run.uid for run in worker.take()] == [waiting.uid]


def test_new_runs_of_a_task_with_a_limit_start_up_to_it(wheel: HandWheel) -> None:
    wheel.task(max_concurrent_runs=2)
    worker = wheel.worker(credit=5)
    wheel.run_many(4)
    assert len(worker.take()) == 2
    assert sorted(wheel.states()) == ["HELD", "HELD", "RUNNING", "RUNNING"]


@pytest.mark.parametrize("change", ["renewed", "cancelled", "expired", "claimed again", "reported before"])
def test_what_a_stream_remembers_of_a_run_is_not_trusted_beyond_its_lease(wheel: HandWheel, change: str) -> None:
    wheel.task(run_timeout=None)
    worker = wheel.worker()
    wheel.run()
    run = worker.take_one()
    result = Result(lease_of(run), b"late")
    match change:
        case "renewed":
            wheel.advance(LEASE - SECOND)
            wheel.renew(run, worker.session)
            wheel.advance(LEASE - SECOND)
        case "cancelled":
            wheel.cancel(run)
        case "expired":
            wheel.advance(LEASE)
        case "claimed again":
            wheel.call(ReleaseRuns(leases=[lease_of(run)]))
            assert worker.take_one().lease_token != result.lease.token
        case "reported before":
            assert wheel.succeed(run, b"first")
    stands = change in {"renewed", "cancelled", "reported before"}
    assert wheel.complete(result, result) == [stands, stands]
    stored = wheel.get(run)
    assert stored.result == {"renewed": b"late", "cancelled": b"late", "reported before": b"first"}.get(change)
    assert stored.state_reason == {"expired": "LEASE_LOST"}.get(change)
