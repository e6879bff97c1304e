"""Work: a worker's stream, moved by hand."""

from __future__ import annotations

import grpc
import pytest

from taskwheel.v1.task_run_pb2 import TaskRun
from taskwheel.v1.task_run_service_pb2 import CancelTaskRunRequest
from taskwheel.v1.worker_service_pb2 import Acknowledgement, Cancellation
from taskwheel_server.app import Settings
from taskwheel_server.clock import SECOND
from tests.conftest import START, RunningServer, Stubs, refusal_of
from tests.rpc.hands import (
    Hand,
    claim,
    complete,
    create,
    get,
    lease_of,
    log_of,
    result_of,
    run_many,
    run_task,
)
from tests.wheel.breaker import Breaker, Point, unavailable

ACCEPTED, LOST = Acknowledgement.ACCEPTED, Acknowledgement.LEASE_LOST
# Without these a client reads ahead by megabytes, asked or not.
NO_READ_AHEAD = [("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 1024)]


def states(stubs, assignments) -> list[int]:
    return [get(stubs, each.run).state for each in assignments]


def acknowledged(hand, count=1) -> list[int]:
    return [each.status for each in hand.until("acknowledgements", count)]


def end_of(hand) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as caught:
        list(hand.call)
    return caught.value


def until_handed_back(server, stubs, runs) -> None:
    """Wait until runs that are on their way back have arrived."""
    while any(get(stubs, run).state_reason != "HANDED_BACK" for run in runs):
        server.settle()


@pytest.fixture(autouse=True)
def task(stubs):
    return create(stubs)


class TestHello:
    def test_the_server_says_how_long_a_lease_lasts(self, stubs):
        assert Hand(stubs).welcome.lease_duration.seconds == 30

    def test_a_server_without_its_store_welcomes_nobody(self, server, stubs):
        with Breaker(Point.STATEMENT, 1, unavailable, times=1000) as breaker:
            breaker.watch(server.server.store)
            hand = Hand(stubs, greet=False)
            hand.send(hello={"worker_id": "w", "handlers": ["h"], "max_concurrent_runs": 1})
            with pytest.raises(grpc.RpcError) as caught:
                hand.receive()
        assert refusal_of(caught.value).reason == "STORE_UNAVAILABLE"

    def test_lists_may_come_with_the_hello(self, stubs):
        run_task(stubs)
        [assignment] = claim(stubs)
        hand = Hand(stubs, greet=False)
        hello = {"worker_id": "w", "handlers": ["h"], "max_concurrent_runs": 1}
        hand.send(hello=hello, results=[result_of(assignment)])
        assert hand.receive().HasField("welcome")
        assert acknowledged(hand) == [ACCEPTED]

    @pytest.mark.parametrize(
        ("first", "fields"),
        [
            ({}, ["hello"]),
            ({"drain": True}, ["hello"]),
            ({"hello": {"worker_id": "", "handlers": ["h"], "max_concurrent_runs": 1}}, ["hello.worker_id"]),
            ({"hello": {"worker_id": "w", "handlers": [], "max_concurrent_runs": 1}}, ["hello.handlers"]),
            ({"hello": {"worker_id": "w", "handlers": ["h"]}}, ["hello.max_concurrent_runs"]),
            (
                {"hello": {"worker_id": "w", "handlers": ["h"], "max_concurrent_runs": 1, "parent": "x"}},
                ["parent"],
            ),
        ],
        ids=str,
    )
    def test_without_a_proper_hello_the_stream_is_refused(self, stubs, first, fields):
        hand = Hand(stubs, greet=False)
        hand.send(**first)
        refusal = refusal_of(end_of(hand))
        assert (refusal.code, refusal.fields) == (grpc.StatusCode.INVALID_ARGUMENT, fields)

    def test_a_stream_that_ends_without_a_hello_is_refused(self, stubs):
        hand = Hand(stubs, greet=False)
        hand._requests.put(None)
        assert refusal_of(end_of(hand)).fields == ["hello"]

    def test_a_second_hello_is_refused(self, stubs):
        hand = Hand(stubs)
        hand.send(hello={"worker_id": "w", "handlers": ["h"], "max_concurrent_runs": 1})
        assert refusal_of(end_of(hand)).fields == ["hello"]

    def test_another_namespace_is_not_found(self, stubs):
        hand = Hand(stubs, greet=False)
        hello = {"worker_id": "w", "handlers": ["h"], "max_concurrent_runs": 1, "parent": "namespaces/other"}
        hand.send(hello=hello)
        assert refusal_of(end_of(hand)).reason == "NAMESPACE_NOT_FOUND"


class TestAssignments:
    def test_a_run_is_worked_from_assignment_to_acknowledgement(self, stubs):
        hand = Hand(stubs, worker_id="me")
        run = run_task(stubs, payload={"to": "ann"})
        [assignment] = hand.assigned()
        assert assignment.lease_expire_time.seconds == START // SECOND + 30
        assert (assignment.run.name, assignment.run.worker) == (run.name, "me")
        assert (assignment.run.state, dict(assignment.run.payload)) == (TaskRun.RUNNING, {"to": "ann"})
        hand.send(results=[result_of(assignment, result={"string_value": "sent"})])
        [answer] = hand.until("acknowledgements")
        assert (answer.run, answer.status) == (run.name, ACCEPTED)
        assert get(stubs, run).result.string_value == "sent"

    def test_runs_that_wait_are_assigned_at_once_and_in_their_order(self, stubs):
        low, high = run_task(stubs), run_task(stubs, priority=9)
        assert [each.run.name for each in Hand(stubs).assigned(2)] == [high.name, low.name]

    def test_only_as_many_as_there_is_room_for(self, stubs):
        run_many(stubs, 5)
        hand = Hand(stubs, room=2)
        held = hand.assigned(2)
        hand.send(results=[result_of(held[0])])
        response = hand.receive()
        # What gives the room back fills it: one turn, one message.
        assert (len(response.acknowledgements), len(response.assignments)) == (1, 1)
        hand.send(results=[result_of(held[1]), result_of(response.assignments[0])])
        assert len(hand.receive().assignments) == 2

    def test_runs_of_other_handlers_are_left_to_others(self, stubs):
        create(stubs, "other", handler="o")
        ours, theirs = Hand(stubs, "h", "x"), Hand(stubs, "o")
        run, other = run_task(stubs), run_task(stubs, "other")
        assert [each.run.name for each in ours.assigned()] == [run.name]
        assert [each.run.name for each in theirs.assigned()] == [other.name]

    def test_messages_end_at_3_mib_and_go_on_in_the_next(self, stubs):
        for _ in range(8):
            run_task(stubs, payload={"text": "x" * 1_000_000})
        hand = Hand(stubs)
        responses = [hand.receive() for _ in range(3)]
        assert [len(response.assignments) for response in responses] == [3, 3, 2]
        assert all(response.ByteSize() <= 3 * 1024 * 1024 for response in responses)

    def test_a_worker_that_does_not_read_is_given_no_more_than_can_wait_for_it(self, server, stubs, monkeypatch):
        monkeypatch.setattr("taskwheel_server.rpc.worker_stream.MAX_BACKLOG", 1_000_000)
        runs = [run_task(stubs, payload={"text": "x" * 900_000}) for _ in range(8)]
        with grpc.insecure_channel(server.address, NO_READ_AHEAD) as channel:
            hand = Hand(Stubs(channel), room=100)
            while any(get(stubs, run).state != TaskRun.RUNNING for run in runs):
                server.settle()
            runs.append(run_task(stubs))
            server.settle()
            assert get(stubs, runs[-1]).state == TaskRun.PENDING
            assert [each.run.name for each in hand.assigned(9)] == [run.name for run in runs]

    def test_a_worker_that_drains_gets_no_more_and_reports_what_it_has(self, server, stubs):
        hand = Hand(stubs)
        run_task(stubs)
        [assignment] = hand.assigned()
        hand.send(drain=True)
        hand.send(releases=[])
        server.settle()
        while not any(session.draining for session in server.server.wheel._registry.sessions):
            pass
        waiting = run_task(stubs)
        hand.send(results=[result_of(assignment)])
        assert acknowledged(hand) == [ACCEPTED]
        assert hand.close() == []
        assert get(stubs, waiting).state == TaskRun.PENDING

    def test_what_was_not_written_when_a_worker_drains_is_handed_back(self, server, stubs):
        runs = [run_task(stubs, payload={"text": "x" * 900_000}) for _ in range(12)]
        with grpc.insecure_channel(server.address, NO_READ_AHEAD) as channel:
            hand = Hand(Stubs(channel), room=100)
            while any(get(stubs, run).state != TaskRun.RUNNING for run in runs):
                server.settle()
            hand.send(drain=True)
            # The one message that is being written is the worker's; what waits behind it is not.
            until_handed_back(server, stubs, runs[6:])
            assigned = [each.run.name for answer in hand.close() for each in answer.assignments]
        assert assigned == [run.name for run in runs[: len(assigned)]]
        assert len(assigned) in {3, 6}


class TestResults:
    def test_acknowledgements_come_in_the_order_of_the_results(self, stubs):
        run_many(stubs, 10)
        hand = Hand(stubs)
        held = hand.assigned(10)
        for each in held[:5]:
            hand.send(results=[result_of(each)])
        hand.send(results=[result_of(each) for each in held[5:]])
        answers = hand.until("acknowledgements", 10)
        assert [answer.run for answer in answers] == [each.run.name for each in held]

    def test_a_stale_result_is_acknowledged_as_lost_and_changes_nothing(self, stubs):
        run_task(stubs)
        hand = Hand(stubs)
        [assignment] = hand.assigned()
        stale = result_of(assignment)
        stale.lease_token = "stolen"
        hand.send(results=[stale])
        assert acknowledged(hand) == [LOST]
        assert states(stubs, [assignment]) == [TaskRun.RUNNING]

    def test_a_result_that_is_too_large_fails_the_run(self, stubs):
        run_task(stubs)
        hand = Hand(stubs)
        [assignment] = hand.assigned()
        hand.send(results=[result_of(assignment, result={"string_value": "x" * 1_100_000})])
        assert acknowledged(hand) == [ACCEPTED]
        assert get(stubs, assignment.run).error.name == "resultTooLarge"

    def test_logs_are_stored_before_results_of_the_same_request(self, stubs):
        run_task(stubs)
        hand = Hand(stubs)
        [assignment] = hand.assigned()
        hand.send(logs=[log_of(assignment, "a", "b")], results=[result_of(assignment)])
        assert acknowledged(hand) == [ACCEPTED]
        assert get(stubs, assignment.run).log_count == 2

    def test_a_request_at_fault_ends_the_stream_and_what_earlier_ones_brought_stands(self, stubs):
        run_many(stubs, 2)
        hand = Hand(stubs)
        first, second = hand.assigned(2)
        hand.send(results=[result_of(first)])
        assert acknowledged(hand) == [ACCEPTED]
        hand.send(results=[result_of(second), result_of(second, error={"name": "x" * 300})])
        refusal = refusal_of(end_of(hand))
        assert (refusal.code, refusal.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ["results[1].error.name"])
        assert states(stubs, [first, second]) == [TaskRun.SUCCEEDED, TaskRun.RUNNING]

    @pytest.mark.parametrize("empty", [True, False], ids=["empty", "not empty"])
    def test_more_entries_than_a_request_may_have_are_refused_before_they_cost(self, stubs, empty):
        [run] = run_many(stubs, 1)
        hand = Hand(stubs)
        [assignment] = hand.assigned()
        lines = log_of(assignment, *["" if empty else "x"] * 1000)
        hand.send(logs=[lines] * 10, results=[result_of(assignment)])
        assert acknowledged(hand) == [ACCEPTED]
        hand.send(logs=[lines] * 11)
        refusal = refusal_of(end_of(hand))
        assert (refusal.code, refusal.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ["logs"])
        assert get(stubs, run).log_count == 10_000

    def test_bytes_that_are_no_request_end_the_stream(self, stubs):
        call = stubs.channel.stream_stream("/taskwheel.v1.WorkerService/Work")(iter([b"\xff\xff"]))
        with pytest.raises(grpc.RpcError) as caught:
            list(call)
        assert refusal_of(caught.value).reason == "MALFORMED_REQUEST"


class TestLeases:
    def test_renewals_keep_a_lease_and_report_progress(self, server, stubs, crank):
        run_task(stubs)
        hand = Hand(stubs)
        [assignment] = hand.assigned()
        for step in range(1, 6):
            hand.send(renewals=[lease_of(assignment, progress={"ratio": step / 10})])
            while get(stubs, assignment.run).progress.ratio != step / 10:
                server.settle()
            crank(20 * SECOND)
        hand.send(results=[result_of(assignment)])
        assert acknowledged(hand) == [ACCEPTED]

    def test_a_lease_that_is_not_renewed_ends_and_the_worker_is_told(self, stubs, crank):
        run_task(stubs)
        hand = Hand(stubs)
        [assignment] = hand.assigned()
        crank(31 * SECOND)
        [stop] = hand.until("cancellations")
        assert (stop.run, stop.attempt, stop.reason) == (assignment.run.name, 1, Cancellation.LEASE_LOST)
        assert get(stubs, assignment.run).error.name == "zombieTaskCleaned"
        # Its room is free again.
        run_many(stubs, 10)
        assert len(hand.assigned(10)) == 10

    @pytest.mark.parametrize("what", ["logs", "renewals"])
    def test_what_is_said_under_a_lost_lease_is_answered_by_a_cancellation(self, stubs, what):
        run_task(stubs)
        [assignment] = claim(stubs)
        complete(stubs, result_of(assignment))
        hand = Hand(stubs, "other")
        hand.send(**{what: [log_of(assignment, "x") if what == "logs" else lease_of(assignment)]})
        [stop] = hand.until("cancellations")
        assert (stop.run, stop.attempt, stop.reason) == (assignment.run.name, 1, Cancellation.LEASE_LOST)

    def test_a_cancelled_run_is_stopped_and_reported(self, stubs):
        run_task(stubs)
        hand = Hand(stubs)
        [assignment] = hand.assigned()
        stubs.runs.CancelTaskRun(CancelTaskRunRequest(name=assignment.run.name, reason="enough"))
        [stop] = hand.until("cancellations")
        assert (stop.run, stop.attempt, stop.reason) == (assignment.run.name, 1, Cancellation.CANCEL_REQUESTED)
        hand.send(results=[result_of(assignment, cancelled=True)])
        assert acknowledged(hand) == [ACCEPTED]
        done = get(stubs, assignment.run)
        assert (done.state, done.state_reason) == (TaskRun.CANCELLED, "enough")

    def test_a_run_that_takes_too_long_is_lost_to_the_worker(self, stubs, crank):
        create(stubs, "short", run_timeout={"seconds": 10})
        run_task(stubs, "short")
        hand = Hand(stubs)
        [assignment] = hand.assigned()
        crank(10 * SECOND)
        assert hand.until("cancellations")[0].reason == Cancellation.LEASE_LOST
        hand.send(results=[result_of(assignment)])
        assert acknowledged(hand) == [LOST]

    def test_a_released_run_waits_again_with_the_same_attempt(self, stubs):
        run_task(stubs)
        hand = Hand(stubs, room=1)
        [assignment] = hand.assigned()
        hand.send(drain=True)
        hand.send(releases=[lease_of(assignment)])
        assert acknowledged(hand) == [ACCEPTED]
        back = get(stubs, assignment.run)
        assert (back.state, back.state_reason) == (TaskRun.PENDING, "HANDED_BACK")
        assert not back.HasField("start_time")
        [again] = claim(stubs)
        assert (again.run.name, again.run.attempt) == (assignment.run.name, 1)
        assert again.lease_token != assignment.lease_token
        assert complete(stubs, result_of(assignment), result_of(again)) == [LOST, ACCEPTED]

    def test_a_release_under_a_lost_lease_is_acknowledged_as_lost(self, stubs):
        run_task(stubs)
        [assignment] = claim(stubs)
        complete(stubs, result_of(assignment))
        hand = Hand(stubs, "other")
        hand.send(releases=[lease_of(assignment)])
        assert acknowledged(hand) == [LOST]


class TestEnds:
    def test_who_ends_the_stream_gets_what_is_owed_and_no_more(self, stubs):
        run_many(stubs, 3)
        hand = Hand(stubs, room=1)
        [assignment] = hand.assigned()
        hand.send(results=[result_of(assignment)])
        owed = hand.close()
        assert [answer.status for response in owed for answer in response.acknowledgements] == [ACCEPTED]
        assert get(stubs, assignment.run).state == TaskRun.SUCCEEDED

    def test_what_was_written_before_a_break_is_the_workers_still(self, server, stubs):
        run_many(stubs, 2)
        hand = Hand(stubs, room=2)
        first, second = hand.assigned(2)
        hand.break_off()
        while server.server.wheel._registry.sessions:
            pass
        assert states(stubs, [first, second]) == [TaskRun.RUNNING, TaskRun.RUNNING]
        assert complete(stubs, result_of(first)) == [ACCEPTED]
        run_many(stubs, 2)
        again = Hand(stubs, room=1, greet=False)
        # The run it has takes its room again as soon as it is renewed.
        hello = {"worker_id": "w", "handlers": ["other"], "max_concurrent_runs": 1}
        again.send(hello=hello, renewals=[lease_of(second)])
        again.receive()
        again.send(results=[result_of(second)])
        assert acknowledged(again) == [ACCEPTED]

    def test_what_was_not_written_before_a_break_is_handed_back(self, server, stubs):
        runs = [run_task(stubs, payload={"text": "x" * 900_000}) for _ in range(5)]
        with grpc.insecure_channel(server.address, NO_READ_AHEAD) as channel:
            hand = Hand(Stubs(channel))
            while any(get(stubs, run).state != TaskRun.RUNNING for run in runs):
                server.settle()
            hand.break_off()
            until_handed_back(server, stubs, runs)
        assert {(get(stubs, run).state, get(stubs, run).attempt) for run in runs} == {(TaskRun.PENDING, 1)}

    def test_a_worker_that_does_not_read_is_cut_off_and_its_runs_are_handed_back(self, server, stubs, monkeypatch):
        monkeypatch.setattr("taskwheel_server.rpc.worker_stream.PATIENCE", 1.0)
        runs = [run_task(stubs, payload={"text": "x" * 900_000}) for _ in range(5)]
        with grpc.insecure_channel(server.address, NO_READ_AHEAD) as channel:
            hand = Hand(Stubs(channel))
            until_handed_back(server, stubs, runs)
            refusal = refusal_of(end_of(hand))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "SUBSCRIBER_TOO_SLOW")

    def test_a_server_that_stops_tells_workers_to_go_and_takes_what_they_have(self, databases, clock):
        server = RunningServer(Settings(listen="127.0.0.1:0", database_url=databases.empty()), clock)
        server.start()
        with grpc.insecure_channel(server.address) as channel:
            stubs = Stubs(channel)
            create(stubs)
            run_task(stubs)
            hand = Hand(stubs)
            [assignment] = hand.assigned()
            server.loop.call_soon_threadsafe(server._stop.set)
            while not hand.receive().goaway:
                pass
            hand.send(results=[result_of(assignment)])
            owed = hand.close()
            server._thread.join()
        assert [answer.status for response in owed for answer in response.acknowledgements] == [ACCEPTED]

    def test_a_stream_that_ended_leaves_nothing_behind(self, server, stubs):
        hands = [Hand(stubs) for _ in range(10)]
        for index, hand in enumerate(hands):
            hand.break_off() if index % 2 else hand.close()
        while server.server.wheel._registry.sessions:
            pass
        run = run_task(stubs)
        assert [each.run.name for each in claim(stubs)] == [run.name]
