"""The checker finds nothing in a good history, and finds each breach that a bad one has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.faults.checker import RULES
from tests.faults.history import Acknowledged, Begun, Call, Event, History, Reported, Resumed, Seen, read
from tests.faults.story import ZOMBIE, Story, call


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
