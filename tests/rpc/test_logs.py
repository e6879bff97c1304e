"""AppendLogs and StreamTaskRunLogs."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import pytest

from taskwheel.v1.log_entry_pb2 import LogEntry
from taskwheel.v1.task_run_service_pb2 import (
    CancelTaskRunRequest,
    StreamTaskRunLogsRequest,
    StreamTaskRunLogsResponse,
)
from taskwheel.v1.worker_service_pb2 import AppendLogsRequest
from taskwheel_server.clock import DAY, SECOND
from tests.conftest import START, refusal_of
from tests.rpc.hands import all_of, claim, complete, create, fail, fence, finish, get, log_of, result_of, run_task

RETRY = {"max_attempts": 3, "fixed_delays": {"delays": [{"seconds": 5}]}}


@pytest.fixture
def assignment(stubs):
    create(stubs)
    run_task(stubs)
    [assignment] = claim(stubs)
    return assignment


def append(stubs, assignment, *messages, **fields) -> None:
    stubs.workers.AppendLogs(log_of(assignment, *messages, **fields))


def stream(stubs, run, **fields) -> Iterator[StreamTaskRunLogsResponse]:
    return stubs.runs.StreamTaskRunLogs(StreamTaskRunLogsRequest(name=getattr(run, "name", run), **fields))


def entries(stubs, run, **fields) -> list[LogEntry]:
    return [entry for response in stream(stubs, run, **fields) for entry in response.entries]


def messages(stubs, run, **fields) -> list[str]:
    return [entry.message for entry in entries(stubs, run, **fields)]


class TestAppend:
    def test_entries_are_numbered_in_order_and_answered_as_they_were_written(self, stubs, assignment):
        written = LogEntry(level=LogEntry.ERROR, stream=LogEntry.STDERR, message="zwölf\n", time={"seconds": 12})
        written.fields.update({"user": {"id": 7}})
        stubs.workers.AppendLogs(AppendLogsRequest(**fence(assignment), entries=[written, LogEntry(message="b")]))
        append(stubs, assignment, "c")
        first, second, third = entries(stubs, assignment.run)
        assert [entry.sequence for entry in (first, second, third)] == [1, 2, 3]
        written.sequence, written.run = 1, assignment.run.name
        assert first == written
        assert (second.level, second.stream, second.HasField("fields")) == (LogEntry.INFO, LogEntry.LOG, False)
        assert second.time.seconds == START // SECOND
        assert get(stubs, assignment.run).log_count == 3

    @pytest.mark.parametrize(
        ("entry", "field"),
        [
            ({"message": "x" * 65_537}, "entries[0].message"),
            ({"message": "ü" * 32_769}, "entries[0].message"),
            ({"message": "x", "stream": LogEntry.SYSTEM}, "entries[0].stream"),
            ({"message": "x", "level": 9}, "entries[0].level"),
            ({"message": "x", "time": {"seconds": -1}}, "entries[0].time"),
            ({"message": "x", "fields": {"a": "y" * 65_536}}, "entries[0].fields"),
            ({"message": "x" * 60_000, "fields": {"a": "y" * 6_000}}, "entries[0].fields"),
        ],
    )
    def test_all_of_the_entries_are_refused_if_one_is_at_fault(self, stubs, assignment, refused, entry, field):
        bad = LogEntry(**{name: value for name, value in entry.items() if name != "fields"})
        if "fields" in entry:
            bad.fields.update(entry["fields"])
        request = AppendLogsRequest(**fence(assignment), entries=[bad, LogEntry(message="good")])
        refusal = refused(stubs.workers.AppendLogs, request)
        assert (refusal.code, refusal.fields) == (grpc.StatusCode.INVALID_ARGUMENT, [field])
        assert entries(stubs, assignment.run) == []

    def test_an_entry_of_64_kib_is_taken(self, stubs, assignment):
        append(stubs, assignment, "x" * 65_536)
        assert messages(stubs, assignment.run) == ["x" * 65_536]

    def test_after_16_mib_one_last_entry_of_the_system_says_so(self, stubs, assignment):
        for _ in range(5):
            append(stubs, assignment, *["x" * 65_000] * 60)
        got = entries(stubs, assignment.run)
        assert (got[-1].stream, got[-1].level) == (LogEntry.SYSTEM, LogEntry.WARNING)
        assert "16 MiB" in got[-1].message
        assert len(got) == 258
        assert [entry.sequence for entry in got] == list(range(1, 259))

    @pytest.mark.parametrize("change", [{"attempt": 2}, {"lease_token": "stolen"}], ids=str)
    def test_without_the_lease_nothing_is_stored(self, stubs, assignment, refused, change):
        request = log_of(assignment, "x")
        for field, value in change.items():
            setattr(request, field, value)
        refusal = refused(stubs.workers.AppendLogs, request)
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.ABORTED, "LEASE_LOST")
        assert refusal.metadata == {"run": assignment.run.name}
        assert entries(stubs, assignment.run) == []

    def test_a_lease_that_has_ended_stores_nothing(self, stubs, assignment, refused, crank):
        crank(31 * SECOND)
        assert refused(stubs.workers.AppendLogs, log_of(assignment, "x")).reason == "LEASE_LOST"


class TestStream:
    @pytest.mark.parametrize("after", range(4))
    def test_it_can_be_resumed_after_every_entry(self, stubs, assignment, after):
        append(stubs, assignment, "1", "2", "3")
        assert messages(stubs, assignment.run, after_sequence=after) == ["1", "2", "3"][after:]

    @pytest.mark.parametrize(
        ("min_level", "expected"),
        [
            (LogEntry.LEVEL_UNSPECIFIED, ["D", "I", "W", "E"]),
            (LogEntry.DEBUG, ["D", "I", "W", "E"]),
            (LogEntry.INFO, ["I", "W", "E"]),
            (LogEntry.WARNING, ["W", "E"]),
            (LogEntry.ERROR, ["E"]),
        ],
    )
    def test_lesser_levels_are_left_out(self, stubs, assignment, min_level, expected):
        for level, message in enumerate("DIWE", start=1):
            append(stubs, assignment, message, level=level)
        assert messages(stubs, assignment.run, min_level=min_level) == expected

    def test_without_follow_it_ends_at_what_is_stored(self, stubs, assignment):
        append(stubs, assignment, "so far")
        assert messages(stubs, assignment.run) == ["so far"]

    def test_a_run_without_entries_has_none(self, stubs, assignment):
        assert entries(stubs, assignment.run) == []

    def test_with_follow_it_goes_on_until_the_run_is_done(self, stubs, assignment):
        append(stubs, assignment, "1")
        call = stream(stubs, assignment.run, follow=True)
        for number in range(2, 20):
            assert [entry.message for entry in next(call).entries] == [str(number - 1)]
            append(stubs, assignment, str(number))
        assert next(call).entries[0].message == "19"
        complete(stubs, result_of(assignment))
        assert list(call) == []

    def test_with_follow_a_pending_run_is_awaited(self, server, stubs):
        create(stubs)
        run = run_task(stubs)
        call = stream(stubs, run, follow=True)
        [assignment] = claim(stubs)
        append(stubs, assignment, "at last")
        assert next(call).entries[0].message == "at last"
        complete(stubs, result_of(assignment))
        assert list(call) == []

    def test_with_follow_a_run_that_is_cancelled_ends_it(self, stubs):
        create(stubs)
        run = run_task(stubs)
        call = stream(stubs, run, follow=True)
        stubs.runs.CancelTaskRun(CancelTaskRunRequest(name=run.name))
        assert list(call) == []

    def test_entries_of_another_run_are_not_shown(self, stubs, assignment):
        other = run_task(stubs)
        append(stubs, assignment, "mine")
        assert entries(stubs, other) == []

    def test_a_long_log_comes_in_batches_of_at_most_3_mib(self, stubs, assignment):
        for _ in range(2):
            append(stubs, assignment, *["x" * 65_000] * 60)
        batches = list(stream(stubs, assignment.run))
        assert [len(batch.entries) for batch in batches] == [48, 48, 24]
        assert all(batch.ByteSize() < 3.1 * 1024 * 1024 for batch in batches)

    @pytest.mark.parametrize(
        ("name", "code", "reason"),
        [
            ("nightly", grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD"),
            ("019ca945-0a00-7000-8000-000000000000", grpc.StatusCode.NOT_FOUND, "RUN_NOT_FOUND"),
            ("01900000-0000-7000-8000-000000000000", grpc.StatusCode.NOT_FOUND, "RUN_EXPIRED"),
        ],
    )
    def test_what_is_no_run_has_no_log(self, stubs, refused, name, code, reason):
        refusal = refused(all_of(stubs.runs.StreamTaskRunLogs), StreamTaskRunLogsRequest(name=name, follow=True))
        assert (refusal.code, refusal.reason) == (code, reason)

    def test_the_log_goes_with_the_run(self, stubs, assignment, refused, crank):
        append(stubs, assignment, "x")
        complete(stubs, result_of(assignment))
        crank(7 * DAY)
        refusal = refused(all_of(stubs.runs.StreamTaskRunLogs), StreamTaskRunLogsRequest(name=assignment.run.name))
        assert refusal.reason == "RUN_EXPIRED"


class TestRetries:
    @pytest.fixture
    def chain(self, stubs, crank):
        """The names of three attempts, each of which wrote two entries; the last one succeeded."""
        create(stubs, retry_policy=RETRY)
        run_task(stubs)
        names = []
        for number in (1, 2):
            [assignment] = claim(stubs)
            append(stubs, assignment, f"{number}a", f"{number}b")
            fail(stubs, assignment)
            names.append(assignment.run.name)
            crank(5 * SECOND)
        [assignment] = claim(stubs)
        append(stubs, assignment, "3a", "3b")
        complete(stubs, result_of(assignment))
        return [*names, assignment.run.name]

    @pytest.mark.parametrize("follow", [False, True])
    def test_it_goes_through_the_attempts_in_order(self, stubs, chain, follow):
        got = entries(stubs, chain[0], follow=follow, follow_retries=True)
        assert [entry.message for entry in got] == ["1a", "1b", "2a", "2b", "3a", "3b"]
        assert [entry.run for entry in got] == [name for name in chain for _ in range(2)]
        assert [entry.sequence for entry in got] == [1, 2] * 3

    def test_without_follow_retries_it_ends_with_the_attempt(self, stubs, chain):
        assert messages(stubs, chain[0], follow=True) == ["1a", "1b"]

    @pytest.mark.parametrize(
        ("attempt", "after", "expected"), [(0, 1, "1b 2a 2b 3a 3b"), (1, 2, "3a 3b"), (2, 1, "3b")]
    )
    def test_it_can_be_resumed_in_any_attempt(self, stubs, chain, attempt, after, expected):
        got = messages(stubs, chain[attempt], after_sequence=after, follow=True, follow_retries=True)
        assert got == expected.split()

    def test_with_follow_it_waits_for_attempts_that_are_to_come(self, stubs, crank):
        create(stubs, retry_policy=RETRY)
        run = run_task(stubs)
        call = stream(stubs, run, follow=True, follow_retries=True)
        for number in (1, 2):
            [assignment] = claim(stubs)
            append(stubs, assignment, str(number))
            assert next(call).entries[0].message == str(number)
            fail(stubs, assignment)
            crank(5 * SECOND)
        finish(stubs)
        assert list(call) == []


def test_a_server_that_stops_ends_a_follow_with_its_place(server, stubs, assignment):
    append(stubs, assignment, "1", "2")
    call = stream(stubs, assignment.run, follow=True)
    assert len(next(call).entries) == 2
    server.loop.call_soon_threadsafe(server.server.feed.close)
    with pytest.raises(grpc.RpcError) as caught:
        next(call)
    refusal = refusal_of(caught.value)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN")
    assert refusal.metadata == {"run": assignment.run.name, "after_sequence": "2"}
