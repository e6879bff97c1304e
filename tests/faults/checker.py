"""Judges a history against what is stored at the end: what was acknowledged is there, what is there is explained.

It reads nothing but its arguments. Every rule yields a sentence for each breach.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from typing import TypeVar

from tests.faults.history import Acknowledged, Begun, Call, Final, Policy, Record, Reported, Resumed, Run, Seen

ZOMBIE = "zombieTaskCleaned"
# What a call may end with, beside OK, when servers are killed, stopped and starved.
EXPECTED = {"UNAVAILABLE", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "CANCELLED"}
# And what a caller may be told because of its own request.
ALLOWED = {"CancelTaskRun": {"FAILED_PRECONDITION"}, "AppendLogs": {"ABORTED"}}
_ENDS = {
    "run_succeeded": "SUCCEEDED",
    "run_failed": "FAILED",
    "task_failed": "FAILED",
    "run_cancelled": "CANCELLED",
    "run_retried": "RETRIED",
    "run_skipped": "SKIPPED",
}
_FOLLOWERS = {
    "": {"run_pending", "run_skipped"},
    "run_pending": {"run_started", "run_cancelled", "run_failed"},
    "run_started": {"run_pending", "run_cancelling", "run_succeeded", "run_failed", "run_cancelled", "run_retried"},
    "run_cancelling": {"run_succeeded", "run_cancelled"},
    "run_failed": {"task_failed"},
}
_REPORTED_STATES = {"result": {"SUCCEEDED"}, "error": {"FAILED", "RETRIED", "CANCELLED"}, "cancelled": {"CANCELLED"}}

T = TypeVar("T")


class Evidence:
    """A history, sorted, beside the final state.

    Args:
        history: in any order.
        final: what is stored.
        policies: of tasks, by id.
    """

    def __init__(self, history: Sequence[Record], final: Final, policies: Mapping[str, Policy]) -> None:
        self._history = history
        self.final = final
        self.policies = policies

    def of(self, kind: type[T]) -> list[T]:
        """Return the records of one kind."""
        return [record for record in self._history if isinstance(record, kind)]

    @cached_property
    def calls(self) -> list[Call]:
        return self.of(Call)

    def acknowledged(self, *methods: str) -> list[tuple[Call, dict[str, object]]]:
        """Return the calls of some methods that ended well, with their answers."""
        return [(call, call.answer or {}) for call in self.calls if call.method in methods and call.status == "OK"]

    @cached_property
    def reported(self) -> dict[tuple[str, str], str]:
        """The outcome reported, by run and token."""
        return {(record.run, record.token): record.outcome for record in self.of(Reported)}

    @cached_property
    def answers(self) -> dict[tuple[str, str], set[str]]:
        """What reports were answered, by run and token."""
        answers: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        for record in self.of(Acknowledged):
            answers[record.run, record.token].add(record.status)
        return answers

    @cached_property
    def started(self) -> dict[str, list[Call]]:
        """The calls that asked for a run, by request id."""
        asked: defaultdict[str, list[Call]] = defaultdict(list)
        for call in self.calls:
            for run in call.request.get("runs", ()):
                asked[run["request_id"]].append(call)
        return asked


def check(history: Sequence[Record], final: Final, policies: Mapping[str, Policy]) -> list[str]:
    """Return every breach of a promise; none if all were kept.

    Args:
        history: of all clients, in any order.
        final: what is stored when everything has ended.
        policies: what the tasks promise, by id.
    """
    evidence = Evidence(history, final, policies)
    return [f"{rule.__name__.strip('_')}: {breach}" for rule in RULES for breach in rule(evidence)]


def _every_call_ends_as_promised(evidence: Evidence) -> Iterator[str]:
    for call in evidence.calls:
        if call.status not in {"OK"} | EXPECTED | ALLOWED.get(call.method, set()):
            yield f"{call.method} ended {call.status}: {call.request}"


def _acknowledged_tasks_are_kept(evidence: Evidence) -> Iterator[str]:
    for call, answer in evidence.acknowledged("CreateTask"):
        task_id = call.request["task_id"]
        if evidence.final.tasks.get(task_id) != answer["uid"]:
            yield f"task {task_id} is {evidence.final.tasks.get(task_id)}, acknowledged as {answer['uid']}"


def _acknowledged_runs_are_kept(evidence: Evidence) -> Iterator[str]:
    for call, answer in evidence.acknowledged("RunTask", "BatchRunTasks"):
        names = answer["runs"]
        assert isinstance(names, list)
        if len(names) != len(call.request["runs"]):
            yield f"{len(names)} runs answered to {call.request}"
        for asked, name in zip(call.request["runs"], names, strict=False):
            run = evidence.final.runs.get(name)
            if run is None:
                yield f"{name} is gone"
            elif (run.task_id, run.request_id, run.n) != (asked["task"], asked["request_id"], asked["n"]):
                yield f"{name} is not what was asked for: {asked} {run}"


def _each_request_has_one_run(evidence: Evidence) -> Iterator[str]:
    counts = Counter(run.request_id for run in evidence.final.runs.values() if run.request_id)
    yield from (f"{count} runs of request {request_id}" for request_id, count in counts.items() if count > 1)
    for run in evidence.final.runs.values():
        if run.trigger == "MANUAL" and run.request_id not in evidence.started:
            yield f"nobody asked for {run}"


def _batches_are_whole(evidence: Evidence) -> Iterator[str]:
    stored = {run.request_id for run in evidence.final.runs.values()}
    for call in evidence.calls:
        if call.method == "BatchRunTasks":
            there = [run["request_id"] in stored for run in call.request["runs"]]
            if any(there) and not all(there):
                yield f"a part of the batch is stored: {call.request}"


def _nothing_is_executed_twice_under_one_lease(evidence: Evidence) -> Iterator[str]:
    begun = evidence.of(Begun)
    for (run, token), count in Counter((record.run, record.token) for record in begun).items():
        if count > 1:
            yield f"{run} was begun {count} times under {token}"
    starts = Counter(event.run for event in evidence.final.events if event.type == "run_started")
    for run, tokens in Counter(run for run, _ in {(record.run, record.token) for record in begun}).items():
        if tokens > starts[run]:
            yield f"{run} was begun under {tokens} leases and started {starts[run]} times"
    for record in begun:
        stored = evidence.final.runs.get(record.run)
        if stored is None or stored.attempt != record.attempt:
            yield f"what was begun is not stored: {record} {stored}"


def _accepted_results_are_kept(evidence: Evidence) -> Iterator[str]:
    for (name, token), answers in evidence.answers.items():
        run = evidence.final.runs.get(name)
        outcome = evidence.reported[name, token]
        if len(answers) > 1:
            yield f"the report of {name} under {token} was answered {sorted(answers)}"
        elif run is None:
            yield f"{name} is gone"
        elif answers == {"ACCEPTED"}:
            marked = outcome == "cancelled" or run.state == "CANCELLED" or run.mark == token
            if run.state not in _REPORTED_STATES[outcome] or not marked:
                yield f"{outcome} under {token} was accepted: {run}"


def _refused_results_change_nothing(evidence: Evidence) -> Iterator[str]:
    for (name, token), answers in evidence.answers.items():
        run = evidence.final.runs.get(name)
        if answers == {"LEASE_LOST"} and run and run.mark == token:
            yield f"a report under {token} was refused, and stands: {run}"


def _every_end_is_explained(evidence: Evidence) -> Iterator[str]:
    cancelled = {call.request["run"] for call in evidence.calls if call.method == "CancelTaskRun"}
    began = {record.run for record in evidence.of(Begun)}
    for run in evidence.final.runs.values():
        outcome = evidence.reported.get((run.name, run.mark)) if run.mark else None
        match run.state:
            case "SUCCEEDED":
                explained = outcome == "result"
            case "FAILED" | "RETRIED":
                lost = run.error_name == ZOMBIE and run.state_reason == "LEASE_LOST" and run.start_time > 0
                explained = lost if not run.mark else outcome == "error"
            case "CANCELLED":
                explained = run.name in cancelled
            case _:
                explained = False
        if not explained:
            yield f"{'begun' if run.name in began else 'not begun'}: {run}"


def _acknowledged_cancellations_hold(evidence: Evidence) -> Iterator[str]:
    for call, answer in evidence.acknowledged("CancelTaskRun"):
        run = evidence.final.runs.get(call.request["run"])
        if run is None or run.state not in ({"CANCELLED"} if answer["state"] == "CANCELLED" else _ENDS.values()):
            yield f"cancelled ({answer['state']}), and now {run}"


def _an_end_is_for_good(evidence: Evidence) -> Iterator[str]:
    for call, answer in evidence.acknowledged("GetTaskRun"):
        run = evidence.final.runs.get(call.request["run"])
        if run is None or (answer["done"] and run.state != answer["state"]):
            yield f"{call.request['run']} was {answer['state']}, and now {run}"


def _failures_are_retried_as_promised(evidence: Evidence) -> Iterator[str]:
    for run in evidence.final.runs.values():
        policy = evidence.policies.get(run.task_id, Policy())
        retried = run.attempt < policy.max_attempts and (run.error_name != ZOMBIE or policy.retry_on_lost)
        if run.state in {"FAILED", "RETRIED"} and (run.state == "RETRIED") != retried:
            yield f"{policy}: {run}"


def _retry_chains_are_complete(evidence: Evidence) -> Iterator[str]:
    runs = evidence.final.runs
    for run in runs.values():
        if (run.state == "RETRIED") != bool(run.retried_by_run):
            yield f"RETRIED without a next attempt, or the other way about: {run}"
        if run.retried_by_run and not _goes_on(run, runs.get(run.retried_by_run)):
            yield f"the next attempt does not go on: {run} {runs.get(run.retried_by_run)}"
        if len(run.retry_for_runs) != run.attempt - 1:
            yield f"attempt {run.attempt} after {len(run.retry_for_runs)}: {run}"
        if run.retry_for_runs:
            last = runs.get(run.retry_for_runs[-1])
            if last is None or last.retried_by_run != run.name:
                yield f"the attempt before does not lead here: {run} {last}"


def _goes_on(run: Run, later: Run | None) -> bool:
    return later is not None and (later.attempt, later.retry_for_runs, later.root_run, later.n, later.task_id) == (
        run.attempt + 1,
        (*run.retry_for_runs, run.name),
        run.root_run,
        run.n,
        run.task_id,
    )


def _events_are_numbered_without_holes(evidence: Evidence) -> Iterator[str]:
    sequences = [event.sequence for event in evidence.final.events]
    if sequences != list(range(1, len(sequences) + 1)):
        yield _first_break(sequences)


def _first_break(sequences: Sequence[int]) -> str:
    for index, sequence in enumerate(sequences, 1):
        if index != sequence:
            return f"{sequence} in place of {index}"
    return "nothing"


def _subscribers_see_each_event_once_and_in_order(evidence: Evidence) -> Iterator[str]:
    stored = {(event.sequence, event.type, event.run) for event in evidence.final.events}
    seen: defaultdict[str, list[Seen]] = defaultdict(list)
    for record in evidence.of(Seen):
        seen[record.subscriber].append(record)
    for subscriber, records in seen.items():
        sequences = [record.sequence for record in records]
        if sequences != list(range(1, len(evidence.final.events) + 1)):
            yield f"{subscriber} saw {len(sequences)} of {len(evidence.final.events)}: {_first_break(sequences)}"
        for record in records:
            if (record.sequence, record.type, record.run) not in stored:
                yield f"{subscriber} saw what is not stored: {record}"
    for resumed in evidence.of(Resumed):
        if resumed.after > len(evidence.final.events):
            yield f"resumed after what is not stored: {resumed}"


def _events_tell_the_life_of_each_run(evidence: Evidence) -> Iterator[str]:
    last: dict[str, str] = {}
    for event in evidence.final.events:
        if event.run:
            if event.type not in _FOLLOWERS.get(last.get(event.run, ""), set()):
                yield f"{event} after {last.get(event.run)}"
            last[event.run] = event.type
    for run in evidence.final.runs.values():
        end = "task_failed" if run.state == "FAILED" else "run_" + run.state.lower()
        if last.pop(run.name, "") != end:
            yield f"the last event is not {end}: {run}"
    yield from (f"events of {run}, which is not stored" for run in last)


def _every_slot_has_one_run(evidence: Evidence) -> Iterator[str]:
    slots: defaultdict[str, list[float]] = defaultdict(list)
    for run in evidence.final.runs.values():
        if run.scheduled_time and run.attempt == 1:
            slots[run.task_id].append(run.scheduled_time)
    for task_id, times in slots.items():
        interval = evidence.policies[task_id].interval
        for earlier, later in pairwise(sorted(times)):
            if abs(later - earlier - interval) > 1e-6:
                yield f"{task_id} has slots at {earlier} and {later}"


def _acknowledged_logs_are_kept(evidence: Evidence) -> Iterator[str]:
    asked: defaultdict[str, list[str]] = defaultdict(list)
    for call in evidence.calls:
        if call.method == "AppendLogs":
            asked[call.request["run"]] += call.request["lines"]
    for call, _ in evidence.acknowledged("AppendLogs"):
        stored = evidence.final.logs.get(call.request["run"], [])
        positions = [stored.index(line) if line in stored else -1 for line in call.request["lines"]]
        if -1 in positions or positions != sorted(positions):
            yield f"{call.request} is stored as {stored}"
    for run, lines in evidence.final.logs.items():
        if len(set(lines)) != len(lines) or not set(lines) <= set(asked[run]):
            yield f"the log of {run} has what nobody wrote, or twice: {lines}"


def _everything_has_ended(evidence: Evidence) -> Iterator[str]:
    yield from (f"not done: {run}" for run in evidence.final.runs.values() if not run.done)


RULES: tuple[Callable[[Evidence], Iterator[str]], ...] = (
    _every_call_ends_as_promised,
    _acknowledged_tasks_are_kept,
    _acknowledged_runs_are_kept,
    _each_request_has_one_run,
    _batches_are_whole,
    _nothing_is_executed_twice_under_one_lease,
    _accepted_results_are_kept,
    _refused_results_change_nothing,
    _every_end_is_explained,
    _acknowledged_cancellations_hold,
    _an_end_is_for_good,
    _failures_are_retried_as_promised,
    _retry_chains_are_complete,
    _events_are_numbered_without_holes,
    _subscribers_see_each_event_once_and_in_order,
    _events_tell_the_life_of_each_run,
    _every_slot_has_one_run,
    _acknowledged_logs_are_kept,
    _everything_has_ended,
)
