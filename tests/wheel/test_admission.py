"""Admit: what a new run is made of, request ids, batches that go in whole or not at all."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from taskwheel_server.clock import HOUR, SECOND
from taskwheel_server.errors import AlreadyExists, NotFound, TaskwheelError
from taskwheel_server.model.names import TaskRef
from taskwheel_server.model.state import State, Trigger
from taskwheel_server.wheel.commands import AdmitRuns, CreateTask, NewRun
from tests.wheel.handwheel import START, HandWheel

INT32 = 2**31


def test_a_run_copies_what_its_task_says(wheel: HandWheel) -> None:
    task = wheel.task(
        payload=b"task's",
        priority=7,
        tags='["a"]',
        labels='{"k":"v"}',
        run_timeout=5 * SECOND,
        start_deadline=HOUR,
        creator_application="someone",
    )
    run = wheel.run(creator_application="app", creator_user="ann")
    stored = wheel.get(run)
    assert (stored.handler, stored.task_uid, stored.task_id) == ("h", task.uid, "t")
    assert (stored.payload, stored.priority, stored.tags, stored.labels) == (b"task's", 7, '["a"]', '{"k":"v"}')
    assert (stored.run_timeout, stored.start_deadline) == (5 * SECOND, HOUR)
    # Whoever asked for the run is its creator, not the task's.
    assert (stored.creator_application, stored.creator_user) == ("app", "ann")
    assert (stored.trigger, stored.attempt, stored.scheduled_time) == (Trigger.MANUAL, 1, None)
    assert stored.schedule_time == stored.create_time == START


@pytest.mark.parametrize(
    ("asked", "column", "stored"),
    [
        ({"payload": b""}, "payload", b""),
        ({"payload": b"x"}, "payload", b"x"),
        ({"priority": 0}, "priority", 0),
        ({"priority": INT32 - 1}, "priority", INT32 - 1),
        ({"priority": -INT32}, "priority", -INT32),
        # Tags add up, each once, the task's first.
        ({"tags": ("b", "a")}, "tags", '["a", "b"]'),
        # Of a label that both have, the request's value wins.
        ({"labels": {"k": "mine", "l": "w"}}, "labels", '{"k": "mine", "l": "w"}'),
    ],
)
def test_a_request_overrides_or_adds_to_the_task(
    wheel: HandWheel, asked: dict[str, Any], column: str, stored: object
) -> None:
    wheel.task(payload=b"task's", priority=7, tags='["a"]', labels='{"k":"v"}')
    assert getattr(wheel.get(wheel.run(**asked)), column) == stored


@pytest.mark.parametrize(
    ("schedule_time", "state"),
    [
        (None, State.READY),
        (START, State.READY),
        # A time in the past is kept, and the run starts now.
        (START - HOUR, State.READY),
        (START + 1, State.WAITING),
    ],
)
def test_a_run_starts_when_it_is_due(wheel: HandWheel, schedule_time: int | None, state: State) -> None:
    wheel.task()
    run = wheel.run(schedule_time=schedule_time)
    assert run.state is state
    assert run.schedule_time == (START if schedule_time is None else schedule_time)
    wheel.advance(1)
    assert wheel.claim_one().uid == run.uid


def test_a_run_is_answered_as_admitted_though_the_same_turn_claims_it(wheel: HandWheel) -> None:
    wheel.task()
    worker = wheel.worker()
    run = wheel.run()
    assert run.state is State.READY
    assert worker.take_one().state is State.RUNNING
    assert wheel.events(run) == ["run_pending", "run_started"]


def test_a_run_needs_two_transactions_from_request_to_success(wheel: HandWheel) -> None:
    wheel.task()
    worker = wheel.worker()
    turns = len(wheel.outcomes)
    run = wheel.run()
    assert wheel.succeed(worker.take_one(), b"done")
    assert len(wheel.outcomes) - turns == 2
    assert (wheel.get(run).state, wheel.get(run).result) == (State.SUCCEEDED, b"done")


def test_a_task_created_in_the_same_turn_can_be_run(wheel: HandWheel) -> None:
    created = wheel.send(CreateTask(task=wheel.new_task()))
    admitted = wheel.send(AdmitRuns(runs=[wheel.new_run()]))
    wheel.turn()
    assert admitted.result()[0].task_uid == created.result().uid


# Request ids.


def test_the_same_request_gives_the_run_as_it_is_now(wheel: HandWheel) -> None:
    wheel.task()
    run = wheel.run(request_id="r", request_digest=b"1")
    claimed = wheel.claim_one()
    assert wheel.run(request_id="r", request_digest=b"1").state is State.RUNNING
    wheel.succeed(claimed, b"result")
    again = wheel.run(request_id="r", request_digest=b"1")
    assert (again.uid, again.state, again.result) == (run.uid, State.SUCCEEDED, b"result")
    assert len(wheel.runs()) == 1


def test_a_request_is_still_known_after_a_restart(wheel: HandWheel) -> None:
    wheel.task()
    run = wheel.run(request_id="r", request_digest=b"1")
    wheel.restart()
    assert wheel.run(request_id="r", request_digest=b"1").uid == run.uid


@pytest.mark.parametrize("other", [{"request_digest": b"2"}, {"task": "u", "request_digest": b"1"}])
def test_a_request_id_stands_for_one_request(wheel: HandWheel, other: dict[str, Any]) -> None:
    wheel.task()
    wheel.task("u")
    wheel.run(request_id="r", request_digest=b"1")
    with pytest.raises(AlreadyExists) as refused:
        wheel.run(request_id="r", **other)
    assert refused.value.reason == "REQUEST_ID_REUSED"
    assert len(wheel.runs()) == 1


def test_a_request_id_is_one_run_within_a_batch_and_within_a_turn(wheel: HandWheel) -> None:
    wheel.task()
    twice = AdmitRuns(runs=[wheel.new_run(request_id="r", request_digest=b"1") for _ in range(2)])
    once = AdmitRuns(runs=[wheel.new_run(request_id="r", request_digest=b"1")])
    tickets = wheel.send(twice), wheel.send(once)
    wheel.turn()
    assert len({run.uid for ticket in tickets for run in ticket.result()}) == 1
    assert len(wheel.runs()) == 1
    assert wheel.events().count("run_pending") == 1


def test_a_batch_that_contradicts_itself_is_refused_whole(wheel: HandWheel) -> None:
    wheel.task()
    batch = [wheel.new_run(request_id="r", request_digest=digest) for digest in (b"1", b"2")]
    with pytest.raises(AlreadyExists):
        wheel.call(AdmitRuns(runs=batch))
    assert wheel.runs() == []
    # The refused batch has not used the request id up.
    assert wheel.run(request_id="r", request_digest=b"2").state is State.READY


# Batches.


def test_a_batch_with_one_bad_run_admits_none_and_leaves_its_neighbours_alone(wheel: HandWheel) -> None:
    wheel.task()
    first = wheel.send(AdmitRuns(runs=[wheel.new_run()]))
    bad = wheel.send(AdmitRuns(runs=[wheel.new_run(), wheel.new_run("missing"), wheel.new_run()]))
    last = wheel.send(AdmitRuns(runs=[wheel.new_run(), wheel.new_run()]))
    wheel.turn()
    with pytest.raises(NotFound):
        bad.result()
    assert len(wheel.runs()) == len(first.result()) + len(last.result()) == 3


def test_a_batch_is_answered_in_its_order(wheel: HandWheel) -> None:
    wheel.task()
    known = wheel.run(request_id="k")
    batch = [wheel.new_run(), wheel.new_run(request_id="k"), wheel.new_run()]
    answered = wheel.call(AdmitRuns(runs=batch))
    assert [run.uid for run in answered] == [batch[0].uid, known.uid, batch[2].uid]


@pytest.mark.parametrize(
    ("ref", "hint"),
    [
        (TaskRef("default", "missing"), None),
        (TaskRef("default", "T"), "did you mean 't'"),
        (TaskRef("default", uid="00000000-0000-7000-8000-000000000000"), None),
        (TaskRef("other", "t"), None),
    ],
)
def test_a_missing_task_is_named_and_a_near_one_suggested(wheel: HandWheel, ref: TaskRef, hint: str | None) -> None:
    wheel.task()
    with pytest.raises(NotFound) as missing:
        wheel.call(AdmitRuns(runs=[NewRun(wheel.wheel.minter.mint(), ref)]))
    assert missing.value.reason == "TASK_NOT_FOUND"
    assert (ref.uid or ref.task_id) in missing.value.message
    assert ("did you mean" in missing.value.message) is (hint is not None)
    assert (hint or "") in missing.value.message


def test_a_task_can_be_named_by_its_uid(wheel: HandWheel) -> None:
    task = wheel.task()
    assert wheel.run(task).task_uid == task.uid


# Tags and labels, for filters.


def test_tags_and_labels_are_findable_for_runs_and_tasks(wheel: HandWheel) -> None:
    task = wheel.task(tags='["a"]', labels='{"k":"v"}')
    run = wheel.run(tags=("b",), labels={"k": "w"})
    snapshot = wheel.store.read(lambda connection: connection.exec_driver_sql("SELECT * FROM labels").fetchall())
    assert {tuple(row) for row in snapshot} == {
        ("", "a", task.uid),
        ("k", "v", task.uid),
        ("", "a", run.uid),
        ("", "b", run.uid),
        ("k", "w", run.uid),
    }
    wheel.update(tags='["c"]', labels="")
    # The invariants at the end of each test compare the side table with the rows.
    assert json.loads(wheel.get(run).tags) == ["a", "b"]


# Creating tasks.


def test_a_task_is_created_once_per_request_id(wheel: HandWheel) -> None:
    task = wheel.task(request_id="r", request_digest=b"1")
    again = wheel.call(CreateTask(task=wheel.new_task(request_id="r", request_digest=b"1")))
    assert again.uid == task.uid
    with pytest.raises(AlreadyExists) as reused:
        wheel.task("other", request_id="r", request_digest=b"2")
    assert reused.value.reason == "REQUEST_ID_REUSED"
    assert wheel.events() == ["task_created"]


def test_a_task_id_is_taken_until_its_task_is_deleted(wheel: HandWheel) -> None:
    wheel.task()
    with pytest.raises(AlreadyExists) as taken:
        wheel.task()
    assert taken.value.reason == "TASK_ALREADY_EXISTS"


def test_of_two_creations_in_one_turn_the_first_wins(wheel: HandWheel) -> None:
    first = wheel.send(CreateTask(task=wheel.new_task()))
    second = wheel.send(CreateTask(task=wheel.new_task(handler="other")))
    wheel.turn()
    assert first.result().handler == "h"
    with pytest.raises(TaskwheelError):
        second.result()


def test_later_edits_touch_later_runs_only(wheel: HandWheel) -> None:
    wheel.task(run_timeout=SECOND)
    before = wheel.run()
    wheel.update(handler="other", run_timeout=None, payload=b"new", priority=3)
    assert wheel.get(before) == replace(before)
    after = wheel.run()
    assert (after.handler, after.run_timeout, after.payload, after.priority) == ("other", None, b"new", 3)
