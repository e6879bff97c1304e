"""WatchEvents and ListEvents."""

from __future__ import annotations

import re

import grpc
import pytest

from taskwheel.v1.event_pb2 import Event
from taskwheel.v1.event_service_pb2 import ListEventsRequest, WatchEventsRequest
from taskwheel.v1.task_run_pb2 import TaskRun
from taskwheel.v1.task_run_service_pb2 import CancelTaskRunRequest
from taskwheel.v1.task_service_pb2 import DeleteTaskRequest, PauseTaskRequest, RenameTaskRequest, ResumeTaskRequest
from taskwheel_server.clock import DAY, SECOND
from taskwheel_server.db import event_reads
from tests.conftest import Stubs, refusal_of
from tests.rpc.hands import (
    Hand,
    Watch,
    all_of,
    claim,
    create,
    fail,
    finish,
    get,
    lease_of,
    list_events,
    run_many,
    run_task,
)

UUID_7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def everything(stubs) -> list[Event]:
    return list(list_events(stubs, order_by="sequence", page_size=1000).events)


@pytest.fixture
def history(stubs, crank):
    """A life of two tasks: a run that succeeds, one that is retried and fails, one that is cancelled."""
    create(stubs)
    create(stubs, "other", handler="o", retry_policy={"max_attempts": 2, "fixed_delays": {"delays": [{"seconds": 5}]}})
    run_task(stubs)
    finish(stubs, result={"number_value": 1})
    run_task(stubs, "other")
    for _ in range(2):
        [assignment] = claim(stubs, handler="o", worker_id="w2")
        fail(stubs, assignment)
        crank(5 * SECOND)
    run = run_task(stubs)
    stubs.runs.CancelTaskRun(CancelTaskRunRequest(name=run.name, reason="no more"))
    return everything(stubs)


class TestOrder:
    def test_every_change_is_an_event_in_order_and_without_holes(self, history):
        assert [event.sequence for event in history] == list(range(1, len(history) + 1))
        assert [event.type for event in history] == [
            *("task_created", "task_created"),
            *("run_pending", "run_started", "run_succeeded"),
            *("run_pending", "run_started", "run_retried", "run_pending"),
            *("run_started", "run_failed", "task_failed"),
            *("run_pending", "run_cancelled"),
        ]

    def test_the_uid_is_a_uuid_of_version_7_that_is_always_the_same(self, stubs, history):
        assert all(UUID_7.fullmatch(event.uid) for event in history)
        assert len({event.uid for event in history}) == len(history)
        assert Watch(stubs, 0).take(len(history)) == history

    def test_a_watch_can_be_resumed_after_every_event(self, stubs, history):
        for after in range(1, len(history)):
            watch = Watch(stubs, after)
            assert watch.start == after
            assert watch.take(len(history)) == history[after:]
            watch.cancel()

    def test_without_a_place_it_begins_with_what_comes_next(self, stubs, history):
        watch = Watch(stubs)
        assert watch.start == len(history)
        run = run_task(stubs)
        assert [event.run for event in watch.take(watch.start + 1)] == [run.name]

    def test_a_resume_from_the_newest_event_waits(self, stubs, history):
        watch = Watch(stubs, len(history))
        create(stubs, "third")
        assert [event.type for event in watch.take(len(history) + 1)] == ["task_created"]

    def test_many_events_come_in_pages_of_a_thousand(self, stubs):
        create(stubs)
        for _ in range(3):
            run_many(stubs, 900)
        responses = stubs.events.WatchEvents(WatchEventsRequest(after_sequence=0))
        pages = [next(responses) for _ in range(4)]
        responses.cancel()
        assert [len(page.events) for page in pages] == [0, 1000, 1000, 701]
        assert [page.sequence for page in pages] == [0, 1000, 2000, 2701]

    def test_a_page_of_large_events_ends_at_three_mebibytes(self, stubs):
        for index in range(5):
            task = {"text": "x" * 1_000_000}
            create(stubs, f"t{index}", payload=task)
        responses = stubs.events.WatchEvents(WatchEventsRequest(after_sequence=0))
        pages = [next(responses) for _ in range(3)]
        responses.cancel()
        assert [len(page.events) for page in pages] == [0, 3, 2]


class TestSnapshots:
    def test_a_task_is_shown_as_the_event_left_it(self, stubs):
        first = create(stubs, payload={"a": 1}, tags=["x"])
        stubs.tasks.PauseTask(PauseTaskRequest(name="nightly", reason="holiday"))
        stubs.tasks.ResumeTask(ResumeTaskRequest(name="nightly"))
        renamed = stubs.tasks.RenameTask(RenameTaskRequest(name="nightly", new_task_id="daily"))
        stubs.tasks.DeleteTask(DeleteTaskRequest(name="daily"))
        created, paused, resumed, moved, deleted = everything(stubs)
        assert created.task_snapshot == first
        assert (paused.type, paused.task_snapshot.pause.reason) == ("task_paused", "holiday")
        assert (resumed.type, resumed.task_snapshot.paused) == ("task_resumed", False)
        assert (moved.type, moved.task, moved.task_snapshot) == ("task_renamed", renamed.name, renamed)
        assert (deleted.type, deleted.task) == ("task_deleted", renamed.name)
        assert {event.run for event in (created, paused, resumed, moved, deleted)} == {""}

    def test_a_run_is_shown_as_it_was_at_the_event_long_after_its_end(self, stubs, history):
        states = [event.run_snapshot.state for event in history if event.HasField("run_snapshot")]
        assert states == [
            *(TaskRun.PENDING, TaskRun.RUNNING, TaskRun.SUCCEEDED),
            *(TaskRun.PENDING, TaskRun.RUNNING, TaskRun.RETRIED, TaskRun.PENDING),
            *(TaskRun.RUNNING, TaskRun.FAILED),
            *(TaskRun.PENDING, TaskRun.CANCELLED),
        ]
        for event in history:
            run = event.run_snapshot
            if event.HasField("run_snapshot"):
                assert run.name == event.run
                assert run.done == (run.state >= TaskRun.SUCCEEDED)
                assert run.state_change_time == run.update_time == event.time
                assert run.HasField("end_time") == run.done
                assert run.HasField("start_time") == (run.state in (2, 4, 5, 7))
                assert bool(run.worker) == run.HasField("start_time")
                assert run.HasField("error") == (run.state in (TaskRun.FAILED, TaskRun.RETRIED))
                assert bool(run.retried_by_run) == (run.state == TaskRun.RETRIED)
                assert not run.HasField("payload")
                assert not run.HasField("result")

    def test_the_last_snapshot_is_the_run_as_lists_show_it(self, stubs, history):
        run = get(stubs, history[4].run)
        run.ClearField("payload")
        run.ClearField("result")
        assert history[4].run_snapshot == run

    def test_a_run_that_failed_makes_one_task_failed_and_one_that_is_retried_none(self, history):
        [failed] = [event for event in history if event.type == "task_failed"]
        assert failed.task_failed.id == failed.run.rpartition("/")[2]
        assert failed.task_failed.function_name == "other"
        error = failed.task_failed.error
        assert (error.type, error.name) == ("E", "Boom")
        assert not failed.HasField("run_snapshot")

    def test_a_run_that_was_handed_back_has_not_started_in_its_second_pending_event(self, stubs):
        create(stubs)
        run_task(stubs)
        [first] = claim(stubs)
        hand = Hand(stubs, "other")
        hand.send(releases=[lease_of(first)])
        hand.until("acknowledgements")
        hand.close()
        finish(stubs)
        back = everything(stubs)[3]
        assert (back.type, back.run_snapshot.state_reason) == ("run_pending", "HANDED_BACK")
        assert not back.run_snapshot.HasField("start_time")
        assert back.run_snapshot.worker == ""


class TestRange:
    def test_after_zero_is_never_out_of_range(self, stubs):
        assert Watch(stubs, 0).start == 0

    @pytest.mark.parametrize("ahead", [1, 1000, 2**63 - 1 - 14])
    def test_a_place_ahead_of_the_newest_event_is_refused(self, stubs, history, refused, ahead):
        newest = len(history)
        refusal = refused(all_of(stubs.events.WatchEvents), WatchEventsRequest(after_sequence=newest + ahead))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.OUT_OF_RANGE, "SEQUENCE_AHEAD")
        assert refusal.metadata == {"oldest_sequence": "1", "newest_sequence": str(newest)}

    def test_a_place_before_the_oldest_event_that_is_kept_is_refused(self, stubs, history, refused, crank):
        crank(3 * DAY)
        create(stubs, "late")
        crank(5 * DAY)
        oldest = newest = len(history) + 1
        refusal = refused(all_of(stubs.events.WatchEvents), WatchEventsRequest(after_sequence=oldest - 2))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.OUT_OF_RANGE, "EVENTS_COMPACTED")
        assert refusal.metadata == {"oldest_sequence": str(oldest), "newest_sequence": str(newest)}
        for after, first in [(0, oldest), (oldest - 1, oldest)]:
            assert Watch(stubs, after).take(newest)[0].sequence == first
        assert [event.sequence for event in everything(stubs)] == [oldest]
        assert list_events(stubs).total_size == 1

    def test_when_all_has_been_deleted_the_place_is_kept(self, stubs, history, refused, crank):
        crank(30 * DAY)
        assert everything(stubs) == []
        assert Watch(stubs, 0).start == Watch(stubs, len(history)).start == len(history)
        refusal = refused(all_of(stubs.events.WatchEvents), WatchEventsRequest(after_sequence=1))
        assert refusal.reason == "EVENTS_COMPACTED"

    @pytest.mark.parametrize(
        ("fields", "code", "reason"),
        [
            ({"after_sequence": -1}, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD"),
            ({"parent": "nonsense"}, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD"),
            ({"parent": "namespaces/other"}, grpc.StatusCode.NOT_FOUND, "NAMESPACE_NOT_FOUND"),
            ({"filter": "colour = red"}, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD"),
            ({"filter": "type = run_flown"}, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD"),
        ],
    )
    def test_what_cannot_be_watched_is_refused(self, stubs, refused, fields, code, reason):
        refusal = refused(all_of(stubs.events.WatchEvents), WatchEventsRequest(**fields))
        assert (refusal.code, refusal.reason) == (code, reason)


CASES = [
    ("", range(1, 15)),
    ("sequence > 3 AND sequence <= 5", [4, 5]),
    ("type = run_started", [4, 7, 10]),
    ("type = run_failed OR type = task_failed", [11, 12]),
    ("NOT type = run_started AND sequence < 6", [1, 2, 3, 5]),
    ("task = nightly", [1, 3, 4, 5, 13, 14]),
    ("task = namespaces/default/tasks/other AND type = task_created", [2]),
    ("task = nothing", []),
    ("task_id = other", [2, 6, 7, 8, 9, 10, 11, 12]),
    ('task_id = "o*" AND type = run_started', [7, 10]),
    ("task_uid = {nightly}", [1, 3, 4, 5, 13, 14]),
    ("run = {run}", [3, 4, 5]),
    ("run = runs/{run} AND type = run_pending", [3]),
    ("run:*", range(3, 15)),
    ("-run:*", [1, 2]),
    ("worker = w2", [7, 8, 10, 11, 12]),
    ("worker:w", [4, 5, 7, 8, 10, 11, 12]),
    ('state_reason = "no more"', [14]),
    ("state_reason = NOT_DUE", [9]),
    ('time > "2026-03-01T12:00:00Z"', [10, 11, 12, 13, 14]),
]


class TestFilters:
    @pytest.mark.parametrize(("text", "sequences"), CASES, ids=[text for text, _ in CASES])
    def test_lists_and_watches_read_them_alike(self, stubs, history, text, sequences):
        filter_ = text.format(nightly=history[0].task_snapshot.uid, run=history[2].run.rpartition("/")[2])
        page = list_events(stubs, filter_, order_by="sequence")
        assert [event.sequence for event in page.events] == list(sequences)
        assert page.total_size == len(sequences)
        # A mark at the end, which every filter lets through as a gap in the list of events.
        watch = Watch(stubs, 0, filter_)
        taken = watch.take(sequences[-1]) if sequences else []
        assert [event.sequence for event in taken] == list(sequences)
        watch.cancel()

    def test_a_watch_sends_only_what_matches_of_what_comes(self, stubs, history):
        watch = Watch(stubs, filter="type = run_succeeded")
        run = run_task(stubs)
        finish(stubs)
        response = next(watch.call)
        assert [(event.type, event.run) for event in response.events] == [("run_succeeded", run.name)]
        assert response.sequence == response.events[0].sequence


class TestList:
    @pytest.mark.parametrize("order_by", ["", "sequence desc", "sequence", "sequence asc"])
    @pytest.mark.parametrize("page_size", [1, 4, 14, 50])
    def test_pages_follow_each_other_without_gap_or_repetition(self, stubs, history, order_by, page_size):
        listed, token = [], ""
        while True:
            page = list_events(stubs, order_by=order_by, page_size=page_size, page_token=token)
            assert len(page.events) <= page_size
            assert page.total_size == len(history)
            listed += page.events
            token = page.next_page_token
            if not token:
                break
        assert listed == (history if order_by in ("sequence", "sequence asc") else history[::-1])

    def test_a_page_that_looked_through_much_is_short_and_the_list_goes_on(self, stubs, history, monkeypatch):
        monkeypatch.setattr(event_reads, "SPAN", 5)
        for order_by in ("sequence", "sequence desc"):
            found, token, pages = [], "", 0
            while token or not pages:
                page = list_events(stubs, "type = run_started", order_by=order_by, page_token=token)
                # Of the newest 5: the count looks through no more, either.
                assert page.total_size == 1
                found += [event.sequence for event in page.events]
                token, pages = page.next_page_token, pages + 1
            assert sorted(found) == [4, 7, 10]
            assert pages == 3

    def test_a_page_of_large_events_ends_early(self, stubs):
        for index in range(5):
            create(stubs, f"t{index}", payload={"text": "x" * 1_000_000})
        page = list_events(stubs)
        assert 0 < len(page.events) < 5
        assert page.next_page_token

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"order_by": "time"}, "order_by"),
            ({"page_token": "rubbish"}, "page_token"),
            ({"page_size": -1}, "page_size"),
            ({"filter": "("}, "filter"),
        ],
    )
    def test_what_cannot_be_listed_is_refused(self, stubs, refused, fields, field):
        refusal = refused(stubs.events.ListEvents, ListEventsRequest(**fields))
        assert (refusal.code, refusal.fields) == (grpc.StatusCode.INVALID_ARGUMENT, [field])

    def test_a_token_of_another_query_is_refused(self, stubs, history, refused):
        token = list_events(stubs, page_size=1).next_page_token
        request = ListEventsRequest(filter="run:*", page_token=token)
        assert refused(stubs.events.ListEvents, request).fields == ["page_token"]


class TestEnd:
    def test_a_server_that_stops_ends_each_watch_with_its_place(self, server, stubs, history):
        watches = [Watch(stubs), Watch(stubs, 0)]
        watches[1].take(len(history))
        server.loop.call_soon_threadsafe(server.server.feed.close)
        for watch in watches:
            with pytest.raises(grpc.RpcError) as caught:
                next(watch.call)
            refusal = refusal_of(caught.value)
            assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN")
            assert refusal.metadata == {"after_sequence": str(len(history))}
            assert "RetryInfo" in refusal.details[-1]

    def test_a_watch_that_is_cancelled_leaves_nothing_behind(self, server, stubs):
        async def watchers() -> int:
            return server.server.feed.watchers

        watches = [Watch(stubs) for _ in range(20)]
        assert server.run(watchers()) == 20
        for watch in watches:
            watch.cancel()
        while server.run(watchers()):
            create(stubs, f"t{id(object())}")
        assert server.run(watchers()) == 0

    def test_a_reader_that_does_not_read_is_cut_and_no_other_is_harmed(self, server, stubs):
        # Without these the client reads ahead by megabytes, asked or not.
        options = [("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 1024)]
        create(stubs)
        good = Watch(stubs)
        with grpc.insecure_channel(server.address, options) as channel:
            slow = Watch(Stubs(channel))
            for _ in range(4):
                run_many(stubs, 1000, labels={"pad": "x" * 200})

            async def inspect() -> None:
                for watcher in server.server.feed._watchers:
                    watcher.inspect()

            assert len(good.take(4001)) == 4000
            for _ in range(10):
                server.run(inspect())
            taken: list[int] = []
            with pytest.raises(grpc.RpcError) as caught:
                taken.extend(event.sequence for response in slow.call for event in response.events)
            refusal = refusal_of(caught.value)
            assert (refusal.code, refusal.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "SUBSCRIBER_TOO_SLOW")
            after = int(refusal.metadata["after_sequence"])
            assert taken == list(range(2, after + 1))
            rest = [event.sequence for event in Watch(stubs, after).take(4001)]
            assert taken + rest == list(range(2, 4002))
        run_task(stubs)
        assert [event.sequence for event in good.take(4002)] == [4002]
