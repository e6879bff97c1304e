"""The unary rpcs of WorkerService: a run worked by hand, from claim to result."""

from __future__ import annotations

import math
from typing import Any

import grpc
import pytest
from google.protobuf.struct_pb2 import Value

from taskwheel.v1.task_run_pb2 import TaskRun
from taskwheel.v1.task_run_service_pb2 import CancelTaskRunRequest
from taskwheel.v1.worker_service_pb2 import (
    Acknowledgement,
    ClaimTaskRunsRequest,
    CompleteTaskRunsRequest,
    LeaseRenewal,
    RenewLeasesRequest,
    RunResult,
)
from taskwheel_server.app import Settings
from taskwheel_server.clock import SECOND
from tests.conftest import START, RunningServer, Stubs, refusal_of
from tests.rpc.hands import claim, complete, create, fence, get, lease_of, log_of, result_of, run_many, run_task

ACCEPTED, LOST = Acknowledgement.ACCEPTED, Acknowledgement.LEASE_LOST
UNKNOWN = "019ca945-0a00-7000-8000-000000000000"


def claim_later(stubs, wait, **fields) -> Any:
    request = ClaimTaskRunsRequest(worker_id="w", handlers=["h"], wait={"seconds": wait}, **fields)
    return stubs.workers.ClaimTaskRuns.future(request)


def renew(stubs, *leases) -> list[LeaseRenewal]:
    return list(stubs.workers.RenewLeases(RenewLeasesRequest(leases=leases)).leases)


class TestClaim:
    def test_a_run_is_worked_by_hand_from_claim_to_result(self, stubs):
        create(stubs)
        run = run_task(stubs, payload={"to": "ann"}, tags=["a"], labels={"k": "v"})
        [assignment] = claim(stubs, worker_id="me")
        assert assignment.lease_expire_time.seconds == START // SECOND + 30
        given = assignment.run
        assert (given.state, given.worker, dict(given.payload)) == (TaskRun.RUNNING, "me", {"to": "ann"})
        assert given == get(stubs, run)
        stubs.workers.AppendLogs(log_of(assignment, "working"))
        [renewed] = renew(stubs, lease_of(assignment, progress={"ratio": 0.5, "message": "half"}))
        assert (renewed.run, renewed.status, renewed.cancel_requested) == (run.name, LeaseRenewal.RENEWED, False)
        assert get(stubs, run).progress.message == "half"
        assert complete(stubs, result_of(assignment, result={"number_value": 7})) == [ACCEPTED]
        done = get(stubs, run)
        assert (done.state, done.result.number_value, done.log_count) == (TaskRun.SUCCEEDED, 7, 1)

    def test_runs_are_given_in_their_order(self, stubs):
        create(stubs)
        low, first, second = run_task(stubs), run_task(stubs, priority=1), run_task(stubs, priority=1)
        assert [each.run.name for each in claim(stubs, 5)] == [first.name, second.name, low.name]

    @pytest.mark.parametrize(("asked", "given"), [(0, 1), (1, 1), (3, 3), (5, 4)])
    def test_at_most_as_many_as_asked_for(self, stubs, asked, given):
        create(stubs)
        run_many(stubs, 4)
        assert len(claim(stubs, asked)) == given

    def test_only_runs_of_the_handlers_are_given(self, stubs):
        create(stubs)
        run_task(stubs)
        assert claim(stubs, handler="other") == []
        assert len(claim(stubs)) == 1
        assert claim(stubs) == []

    def test_an_answer_ends_before_it_exceeds_3_mib(self, stubs):
        create(stubs)
        for _ in range(5):
            run_task(stubs, payload={"text": "x" * 1_000_000})
        assert len(claim(stubs, 5)) == 3
        assert len(claim(stubs, 5)) == 2

    def test_a_claim_waits_for_the_first_run(self, server, stubs):
        create(stubs)
        call = claim_later(stubs, 60)
        server.settle()
        run = run_task(stubs)
        [assignment] = call.result().assignments
        assert assignment.run.name == run.name

    def test_a_claim_is_answered_empty_when_its_time_is_over(self, server, stubs, crank):
        create(stubs)
        calls = [claim_later(stubs, 60) for _ in range(3)]
        while server.run(claims(server)) < len(calls):
            pass
        server.settle()
        crank(60 * SECOND)
        assert [list(call.result().assignments) for call in calls] == [[], [], []]

    def test_what_is_claimed_for_a_caller_who_has_gone_is_handed_back(self, server, stubs):
        create(stubs)
        call = claim_later(stubs, 60)
        while not server.run(claims(server)):
            pass
        call.cancel()
        run = run_task(stubs)
        while server.run(claims(server)):
            pass
        server.settle()
        [assignment] = claim(stubs)
        assert (assignment.run.name, assignment.run.attempt) == (run.name, 1)

    def test_a_server_that_stops_ends_the_claim(self, database_url, clock):
        server = RunningServer(Settings(listen="127.0.0.1:0", database_url=database_url), clock)
        server.start()
        with grpc.insecure_channel(server.address) as channel:
            call = claim_later(Stubs(channel), 60)
            while not server.run(claims(server)):
                pass
            server.stop()
            refusal = refusal_of(call.exception())
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN")

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"worker_id": ""}, "worker_id"),
            ({"worker_id": "w\n"}, "worker_id"),
            ({"handlers": []}, "handlers"),
            ({"handlers": ["h", ""]}, "handlers[1]"),
            ({"max_runs": 1001}, "max_runs"),
            ({"max_runs": -1}, "max_runs"),
            ({"wait": {"seconds": 301}}, "wait"),
            ({"parent": "x"}, "parent"),
        ],
        ids=str,
    )
    def test_a_claim_at_fault_is_refused(self, stubs, refused, fields, field):
        request = ClaimTaskRunsRequest(**{"worker_id": "w", "handlers": ["h"]} | fields)
        refusal = refused(stubs.workers.ClaimTaskRuns, request)
        assert (refusal.code, refusal.fields) == (grpc.StatusCode.INVALID_ARGUMENT, [field])


async def claims(server) -> int:
    return len(server.server.wheel._registry.demands)


@pytest.fixture
def assignment(stubs):
    create(stubs)
    run_task(stubs)
    [assignment] = claim(stubs)
    return assignment


def nested(levels: int) -> Value:
    value = Value(number_value=1)
    for _ in range(levels):
        outer = Value()
        outer.struct_value.fields["a"].CopyFrom(value)
        value = outer
    return value


class TestComplete:
    @pytest.mark.parametrize(
        "value",
        [
            {"null_value": 0},
            {"bool_value": False},
            {"number_value": -0.5},
            {"string_value": "zwölf"},
            {"list_value": {"values": [{"number_value": 1}]}},
            {"struct_value": {"a": [1, {"b": None}]}},
        ],
        ids=lambda value: next(iter(value)),
    )
    def test_every_json_value_can_be_a_result(self, stubs, assignment, value):
        kind, content = next(iter(value.items()))
        result = Value()
        if kind == "struct_value":
            result.struct_value.update(content)
        else:
            result.CopyFrom(Value(**value))
        assert complete(stubs, result_of(assignment, result=result)) == [ACCEPTED]
        assert get(stubs, assignment.run).result == result

    def test_a_result_without_a_kind_is_null(self, stubs, assignment):
        complete(stubs, result_of(assignment, result=Value()))
        assert get(stubs, assignment.run).result.WhichOneof("kind") == "null_value"

    @pytest.mark.parametrize(
        ("result", "kept"),
        [
            (nested(32), True),
            (nested(33), False),
            (Value(string_value="x" * 1_048_570), True),
            (Value(string_value="x" * 1_048_577), False),
            (Value(number_value=math.nan), False),
        ],
        ids=["32 levels", "33 levels", "1 MiB", "more than 1 MiB", "NaN"],
    )
    def test_a_result_that_cannot_be_stored_fails_the_run(self, stubs, assignment, result, kept):
        assert complete(stubs, result_of(assignment, result=result)) == [ACCEPTED]
        done = get(stubs, assignment.run)
        if kept:
            assert (done.state, done.result) == (TaskRun.SUCCEEDED, result)
        else:
            assert (done.state, done.error.type, done.error.name) == (TaskRun.FAILED, "system", "resultTooLarge")

    def test_an_error_is_kept_as_it_was_reported(self, stubs, assignment):
        error = {"type": "E", "name": "Boom", "message": "m" * 8192, "stack": "s" * 65_536}
        complete(stubs, result_of(assignment, error=error))
        done = get(stubs, assignment.run)
        assert done.state == TaskRun.FAILED
        assert {field: getattr(done.error, field) for field in error} == error

    @pytest.mark.parametrize(("field", "size"), [("type", 257), ("name", 257), ("message", 8193), ("stack", 65_537)])
    def test_an_error_that_is_too_long_is_refused(self, stubs, assignment, refused, field, size):
        request = CompleteTaskRunsRequest(results=[result_of(assignment, error={field: "x" * size})])
        assert refused(stubs.workers.CompleteTaskRuns, request).fields == [f"results[0].error.{field}"]
        assert get(stubs, assignment.run).state == TaskRun.RUNNING

    def test_a_result_can_be_reported_again_and_only_the_first_counts(self, stubs, assignment):
        first = result_of(assignment, result={"number_value": 1})
        again = result_of(assignment, result={"number_value": 2})
        assert complete(stubs, first) == [ACCEPTED]
        assert complete(stubs, first, again) == [ACCEPTED, ACCEPTED]
        assert get(stubs, assignment.run).result.number_value == 1

    def test_each_result_of_a_batch_is_judged_by_itself_in_order(self, stubs):
        create(stubs)
        run_many(stubs, 3)
        first, second, third = claim(stubs, 3)
        stale = result_of(second)
        stale.lease_token = "stolen"
        unknown = RunResult(run=UNKNOWN, attempt=1, lease_token="x", cancelled=True)
        answers = complete(stubs, result_of(first), stale, unknown, result_of(third))
        assert answers == [ACCEPTED, LOST, LOST, ACCEPTED]
        states = [get(stubs, each.run).state for each in (first, second, third)]
        assert states == [TaskRun.SUCCEEDED, TaskRun.RUNNING, TaskRun.SUCCEEDED]

    @pytest.mark.parametrize("change", [{"attempt": 2}, {"lease_token": "stolen"}], ids=str)
    def test_without_the_lease_nothing_changes(self, stubs, assignment, change):
        result = result_of(assignment)
        for field, value in change.items():
            setattr(result, field, value)
        assert complete(stubs, result) == [LOST]
        assert get(stubs, assignment.run).state == TaskRun.RUNNING

    def test_a_lease_that_has_ended_changes_nothing(self, stubs, assignment, crank):
        crank(31 * SECOND)
        assert complete(stubs, result_of(assignment)) == [LOST]
        assert get(stubs, assignment.run).error.name == "zombieTaskCleaned"

    def test_a_run_may_cancel_itself(self, stubs, assignment):
        complete(stubs, result_of(assignment, cancelled=True))
        done = get(stubs, assignment.run)
        assert (done.state, done.state_reason) == (TaskRun.CANCELLED, "WORKER_CANCELLED")

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"run": "nightly"}, "results[0].run"),
            ({"run": ""}, "results[0].run"),
            ({"attempt": 0}, "results[0].attempt"),
            ({"lease_token": ""}, "results[0].lease_token"),
            ({"cancelled": False}, "results[0].cancelled"),
        ],
        ids=str,
    )
    def test_a_result_at_fault_is_refused(self, stubs, assignment, refused, fields, field):
        result = RunResult(**fence(assignment) | {"cancelled": True} | fields)
        refusal = refused(stubs.workers.CompleteTaskRuns, CompleteTaskRunsRequest(results=[result]))
        assert (refusal.code, refusal.fields) == (grpc.StatusCode.INVALID_ARGUMENT, [field])

    def test_a_result_without_an_outcome_is_refused(self, stubs, assignment, refused):
        request = CompleteTaskRunsRequest(results=[RunResult(**fence(assignment))])
        assert refused(stubs.workers.CompleteTaskRuns, request).code == grpc.StatusCode.INVALID_ARGUMENT


class TestRenew:
    def test_a_lease_that_is_renewed_goes_on(self, stubs, assignment, crank):
        ends = []
        for _ in range(10):
            crank(10 * SECOND)
            [renewed] = renew(stubs, lease_of(assignment))
            assert renewed.status == LeaseRenewal.RENEWED
            ends.append(renewed.lease_expire_time.seconds - START // SECOND)
        assert ends == list(range(40, 140, 10))
        assert get(stubs, assignment.run).state == TaskRun.RUNNING

    def test_a_run_that_is_to_be_cancelled_says_so(self, stubs, assignment):
        stubs.runs.CancelTaskRun(CancelTaskRunRequest(name=assignment.run.name))
        [renewed] = renew(stubs, lease_of(assignment))
        assert (renewed.status, renewed.cancel_requested) == (LeaseRenewal.RENEWED, True)

    def test_a_lease_that_is_lost_says_so_beside_one_that_is_not(self, stubs):
        create(stubs)
        run_many(stubs, 2)
        first, second = claim(stubs, 2)
        complete(stubs, result_of(first))
        lost, kept = renew(stubs, lease_of(first), lease_of(second))
        assert (lost.status, lost.HasField("lease_expire_time")) == (LeaseRenewal.LEASE_LOST, False)
        assert kept.status == LeaseRenewal.RENEWED

    def test_progress_stays_as_it_was_said_last(self, stubs, assignment):
        renew(stubs, lease_of(assignment, progress={"ratio": 0.25, "message": "first"}))
        renew(stubs, lease_of(assignment))
        progress = get(stubs, assignment.run).progress
        assert (progress.ratio, progress.message) == (0.25, "first")

    @pytest.mark.parametrize("ratio", [-0.1, 1.1, math.nan, math.inf])
    def test_a_ratio_outside_0_to_1_is_refused(self, stubs, assignment, refused, ratio):
        request = RenewLeasesRequest(leases=[lease_of(assignment, progress={"ratio": ratio})])
        assert "leases[0].progress.ratio" in refused(stubs.workers.RenewLeases, request).fields
