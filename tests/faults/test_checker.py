"""The checker finds nothing in a good history, and finds each breach that a bad one has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.faults.checker import RULES, check
from tests.faults.history import (
    Acknowledged,
    Begun,
    Call,
    Event,
    Final,
    History,
    Policy,
    Record,
    Reported,
    Resumed,
    Run,
    Seen,
    by_name,
    read,
)

POLICIES = {
    "once": Policy(),
    "twice": Policy(max_attempts=2),
    "safe": Policy(max_attempts=2, retry_on_lost=True),
    "clock": Policy(interval=1.0),
}
ZOMBIE: dict[str, Any] = {"error_name": "zombieTaskCleaned", "state_reason": "LEASE_LOST", "start_time": 5.0}


def call(method: str, status: str = "OK", answer: dict[str, Any] | None = None, **request) -> Call:
    return Call(method=method, request=request, status=status, answer=answer, began=1.0, ended=2.0)


def asked(n: int, task: str) -> dict[str, Any]:
    return {"task": task, "request_id": f"q{n}", "n": n}


def worked(run: str, token: str, outcome: str, attempt: int = 1) -> list[Record]:
    return [
        Begun(worker="w", run=run, attempt=attempt, token=token, at=1.0),
        Reported(worker="w", run=run, token=token, outcome=outcome, at=2.0),
        Acknowledged(worker="w", run=run, token=token, status="ACCEPTED", at=3.0),
    ]


class Story:
    """A history and what is stored after it; each is at hand to be spoilt.

    once     a: succeeds; its first call had no answer      e: cancelled while pending       g: its lease was lost
    twice    b: fails, and is retried by b2, which fails
    safe     c: its lease is lost, retried by c2, whose worker reports twice
    clock    s1, s2: two slots
    """

    def __init__(self) -> None:
        lives = {
            "a": "pending started succeeded",
            "b": "pending started retried",
            "b2": "pending started failed task_failed",
            "c": "pending started retried",
            "c2": "pending started succeeded",
            "e": "pending cancelled",
            "g": "pending started failed task_failed",
            "s1": "pending started succeeded",
            "s2": "pending started succeeded",
        }
        told = [("task_created", "")]
        for run, life in lives.items():
            told += [(kind if kind == "task_failed" else f"run_{kind}", run) for kind in life.split()]
        self.events = [Event(sequence=index, type=kind, run=run) for index, (kind, run) in enumerate(told, 1)]
        first: dict[str, Any] = {"root_run": "b", "n": 2, "task_id": "twice", "error_name": "Planned"}
        lost: dict[str, Any] = {"root_run": "c", "n": 3, "task_id": "safe"}
        slot: dict[str, Any] = {"task_id": "clock", "state": "SUCCEEDED", "trigger": "SCHEDULE"}
        self.runs = by_name(
            [
                Run(name="a", task_id="once", state="SUCCEEDED", request_id="q1", n=1, mark="ta", root_run="a"),
                Run(name="b", state="RETRIED", request_id="q2", mark="tb", retried_by_run="b2", **first),
                Run(name="b2", state="FAILED", attempt=2, trigger="RETRY", mark="tb2", retry_for_runs=("b",), **first),
                Run(name="c", state="RETRIED", request_id="q3", retried_by_run="c2", **lost, **ZOMBIE),
                Run(
                    name="c2", state="SUCCEEDED", trigger="RETRY", attempt=2, mark="tc2", retry_for_runs=("c",), **lost
                ),
                Run(name="e", task_id="once", state="CANCELLED", request_id="q4", n=4, root_run="e"),
                Run(name="g", task_id="once", state="FAILED", request_id="q5", n=5, root_run="g", **ZOMBIE),
                Run(name="s1", scheduled_time=1.0, mark="ts1", root_run="s1", **slot),
                Run(name="s2", scheduled_time=2.0, mark="ts2", root_run="s2", **slot),
            ]
        )
        self.history: list[Record] = [
            call("CreateTask", task_id="once", answer={"uid": "u1"}),
            call("RunTask", "UNAVAILABLE", runs=[asked(1, "once")]),
            call("RunTask", runs=[asked(1, "once")], answer={"runs": ["a"]}),
            call("BatchRunTasks", runs=[asked(2, "twice"), asked(3, "safe")], answer={"runs": ["b", "c"]}),
            call("BatchRunTasks", "UNAVAILABLE", runs=[asked(8, "once"), asked(9, "once")]),
            call("RunTask", runs=[asked(4, "once")], answer={"runs": ["e"]}),
            call("RunTask", "UNAVAILABLE", runs=[asked(5, "once")]),
            call("CancelTaskRun", run="e", answer={"state": "CANCELLED"}),
            call("CancelTaskRun", "FAILED_PRECONDITION", run="a"),
            call("GetTaskRun", run="a", answer={"state": "SUCCEEDED", "done": True}),
            call("GetTaskRun", run="b2", answer={"state": "RUNNING", "done": False}),
            call("AppendLogs", run="a", token="ta", lines=["one", "two"], answer={}),
            call("AppendLogs", "UNAVAILABLE", run="a", token="ta", lines=["three"]),
            *worked("a", "ta", "result"),
            *worked("b", "tb", "error"),
            *worked("b2", "tb2", "error", 2),
            *worked("c2", "tc2", "result", 2),
            Acknowledged(worker="w", run="c2", token="tc2", status="ACCEPTED", at=4.0),
            Begun(worker="w", run="g", attempt=1, token="tg", at=1.0),
            Reported(worker="w", run="g", token="tg", outcome="result", at=9.0),
            Acknowledged(worker="w", run="g", token="tg", status="LEASE_LOST", at=9.0),
            *worked("s1", "ts1", "result"),
            *worked("s2", "ts2", "result"),
            Resumed(subscriber="x", after=0, at=0.0),
            Resumed(subscriber="x", after=7, at=3.0),
            *(
                Seen(subscriber="x", sequence=event.sequence, type=event.type, run=event.run, at=1.0)
                for event in self.events
            ),
        ]
        self.tasks = {"once": "u1", "twice": "u2", "safe": "u3", "clock": "u4"}
        self.logs = {"a": ["one", "two", "three"]}

    def breaches(self) -> list[str]:
        final = Final(runs=self.runs, events=self.events, tasks=self.tasks, logs=self.logs)
        return check(self.history, final, POLICIES)

    def change(self, name: str, **fields) -> None:
        self.runs[name] = replace(self.runs[name], **fields)

    def drop(self, *kinds: type[Record], **fields) -> None:
        self.history = [
            record
            for record in self.history
            if not (isinstance(record, kinds) and fields.items() <= vars(record).items())
        ]

    def renumber(self, *, without: int | None = None, also: Event | None = None) -> None:
        if without is not None:
            del self.events[without]
        if also:
            self.events.append(also)
        self.events = [replace(event, sequence=index) for index, event in enumerate(self.events, 1)]
        seen = [
            Seen(subscriber="x", sequence=event.sequence, type=event.type, run=event.run, at=1.0)
            for event in self.events
        ]
        self.drop(Seen)
        self.history += seen

    def lose(self, name: str) -> None:
        del self.runs[name]
        self.events = [event for event in self.events if event.run != name]
        self.renumber()


def test_a_good_history_has_no_breach() -> None:
    assert Story().breaches() == []


def test_a_good_history_has_no_breach_in_any_order() -> None:
    story = Story()
    story.history.sort(key=lambda record: not isinstance(record, Seen))
    assert story.breaches() == []


# What is done to the story, and the rule that must notice.
BAD: dict[str, tuple[str, Callable[[Story], object]]] = {
    "a call ends with INTERNAL": (
        "every_call_ends_as_promised",
        lambda story: story.history.append(call("RunTask", "INTERNAL", runs=[])),
    ),
    "a call is refused that nothing was wrong with": (
        "every_call_ends_as_promised",
        lambda story: story.history.append(call("RunTask", "FAILED_PRECONDITION", runs=[])),
    ),
    "an acknowledged task is gone": ("acknowledged_tasks_are_kept", lambda story: story.tasks.pop("once")),
    "an acknowledged task was made again": (
        "acknowledged_tasks_are_kept",
        lambda story: story.tasks.update(once="u9"),
    ),
    "an acknowledged run is gone": ("acknowledged_runs_are_kept", lambda story: story.lose("e")),
    "an acknowledged run of a batch is gone": ("acknowledged_runs_are_kept", lambda story: story.lose("c")),
    "an acknowledged run has another payload": (
        "acknowledged_runs_are_kept",
        lambda story: story.change("a", n=77),
    ),
    "an acknowledged run is another task's": (
        "acknowledged_runs_are_kept",
        lambda story: story.change("a", task_id="twice"),
    ),
    "a repeated call made a second run": (
        "each_request_has_one_run",
        lambda story: story.change("g", request_id="q1"),
    ),
    "a run came from nowhere": ("each_request_has_one_run", lambda story: story.change("g", request_id="q77")),
    "half a batch is stored": ("batches_are_whole", lambda story: story.change("g", request_id="q8")),
    "two workers began a run under one lease": (
        "nothing_is_executed_twice_under_one_lease",
        lambda story: story.history.append(Begun(worker="v", run="a", attempt=1, token="ta", at=9.0)),
    ),
    "a run was begun again without a start": (
        "nothing_is_executed_twice_under_one_lease",
        lambda story: story.history.append(Begun(worker="v", run="a", attempt=1, token="tz", at=9.0)),
    ),
    "a run was begun that is not stored": (
        "nothing_is_executed_twice_under_one_lease",
        lambda story: story.history.append(Begun(worker="v", run="zz", attempt=1, token="tz", at=9.0)),
    ),
    "a run was begun under another attempt": (
        "nothing_is_executed_twice_under_one_lease",
        lambda story: story.change("a", attempt=2),
    ),
    "an accepted result is lost": (
        "accepted_results_are_kept",
        lambda story: story.change("a", **ZOMBIE, state="FAILED"),
    ),
    "an accepted result was replaced": ("accepted_results_are_kept", lambda story: story.change("a", mark="other")),
    "an accepted error became a success": (
        "accepted_results_are_kept",
        lambda story: story.change("b2", state="SUCCEEDED"),
    ),
    "one report was accepted, then refused": (
        "accepted_results_are_kept",
        lambda story: story.history.append(Acknowledged(worker="w", run="a", token="ta", status="LEASE_LOST", at=9.0)),
    ),
    "a refused result stands": (
        "refused_results_change_nothing",
        lambda story: story.change("g", state="SUCCEEDED", mark="tg"),
    ),
    "a success that nobody reported": (
        "every_end_is_explained",
        lambda story: story.drop(Reported, Acknowledged, run="a"),
    ),
    "a failure that nobody reported": (
        "every_end_is_explained",
        lambda story: story.drop(Reported, Acknowledged, run="b2"),
    ),
    "a lost lease of a run that never started": (
        "every_end_is_explained",
        lambda story: story.change("g", start_time=0.0),
    ),
    "a cancellation that nobody asked for": (
        "every_end_is_explained",
        lambda story: story.drop(Call, method="CancelTaskRun", status="OK"),
    ),
    "a skipped run": ("every_end_is_explained", lambda story: story.change("e", state="SKIPPED")),
    "a run cancelled for certain ran": (
        "acknowledged_cancellations_hold",
        lambda story: story.change("e", state="SUCCEEDED"),
    ),
    "a run that had ended is another way": (
        "an_end_is_for_good",
        lambda story: story.history.append(call("GetTaskRun", run="a", answer={"state": "FAILED", "done": True})),
    ),
    "a run that was read is gone": ("an_end_is_for_good", lambda story: story.lose("b2")),
    "an error was not retried": (
        "failures_are_retried_as_promised",
        lambda story: story.change("b", state="FAILED", retried_by_run=""),
    ),
    "a lost lease was not retried": (
        "failures_are_retried_as_promised",
        lambda story: story.change("c", state="FAILED", retried_by_run=""),
    ),
    "a lost lease was retried against the policy": (
        "failures_are_retried_as_promised",
        lambda story: story.change("g", state="RETRIED"),
    ),
    "there was an attempt too many": (
        "failures_are_retried_as_promised",
        lambda story: story.change("b2", state="RETRIED"),
    ),
    "the next attempt is missing": ("retry_chains_are_complete", lambda story: story.lose("c2")),
    "the attempt before is missing": ("retry_chains_are_complete", lambda story: story.lose("c")),
    "the next attempt is not named": (
        "retry_chains_are_complete",
        lambda story: story.change("b", retried_by_run=""),
    ),
    "the next attempt forgot where it came from": (
        "retry_chains_are_complete",
        lambda story: story.change("b2", retry_for_runs=()),
    ),
    "the next attempt has another payload": ("retry_chains_are_complete", lambda story: story.change("b2", n=9)),
    "the next attempt has another root": (
        "retry_chains_are_complete",
        lambda story: story.change("c2", root_run="c2"),
    ),
    "a stored event is missing": ("events_are_numbered_without_holes", lambda story: story.events.pop(4)),
    "a stored event is there twice": (
        "events_are_numbered_without_holes",
        lambda story: story.events.insert(4, story.events[4]),
    ),
    "a subscriber missed an event": (
        "subscribers_see_each_event_once_and_in_order",
        lambda story: story.drop(Seen, sequence=9),
    ),
    "a subscriber missed the end": (
        "subscribers_see_each_event_once_and_in_order",
        lambda story: story.history.pop(),
    ),
    "a subscriber saw an event twice": (
        "subscribers_see_each_event_once_and_in_order",
        lambda story: story.history.append(story.history[-1]),
    ),
    "a subscriber saw events out of order": (
        "subscribers_see_each_event_once_and_in_order",
        lambda story: story.history.append(story.history.pop(-2)),
    ),
    "a subscriber saw an event that was then another": (
        "subscribers_see_each_event_once_and_in_order",
        lambda story: story.events.__setitem__(-1, replace(story.events[-1], type="run_failed")),
    ),
    "a subscriber was ahead of the store": (
        "subscribers_see_each_event_once_and_in_order",
        lambda story: story.history.append(Resumed(subscriber="x", after=99, at=9.0)),
    ),
    "a run succeeded that was not started": (
        "events_tell_the_life_of_each_run",
        lambda story: story.renumber(without=2),
    ),
    "a run ended twice": (
        "events_tell_the_life_of_each_run",
        lambda story: story.renumber(also=Event(sequence=0, type="run_succeeded", run="a")),
    ),
    "the end of a run has no event": (
        "events_tell_the_life_of_each_run",
        lambda story: story.renumber(without=-1),
    ),
    "events tell of a run that is not stored": ("events_tell_the_life_of_each_run", lambda story: story.runs.pop("g")),
    "a slot was left out": ("every_slot_has_one_run", lambda story: story.change("s2", scheduled_time=3.0)),
    "a slot has two runs": ("every_slot_has_one_run", lambda story: story.change("s2", scheduled_time=1.0)),
    "an acknowledged line is gone": ("acknowledged_logs_are_kept", lambda story: story.logs.update(a=["one"])),
    "lines changed places": ("acknowledged_logs_are_kept", lambda story: story.logs.update(a=["two", "one"])),
    "a line is there twice": (
        "acknowledged_logs_are_kept",
        lambda story: story.logs.update(a=["one", "two", "two"]),
    ),
    "a line that nobody wrote": (
        "acknowledged_logs_are_kept",
        lambda story: story.logs.update(a=["one", "two", "four"]),
    ),
    "a run is stuck": (
        "everything_has_ended",
        lambda story: story.change("e", state="PENDING", done=False),
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_history_is_found_out(case: str) -> None:
    rule, spoil = BAD[case]
    story = Story()
    spoil(story)
    assert rule in {breach.partition(":")[0] for breach in story.breaches()}


def test_every_rule_can_be_broken() -> None:
    assert {rule for rule, _ in BAD.values()} == {rule.__name__.strip("_") for rule in RULES}


def test_a_history_is_read_as_it_was_written(history: History) -> None:
    story = Story()
    for record in story.history:
        history.add(record)
    assert read(history.path) == story.history
