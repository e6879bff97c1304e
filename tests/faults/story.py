"""A short history of everything that may well happen, and what is stored after it, to be spoilt in tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.faults.checker import check
from tests.faults.history import (
    Acknowledged,
    Begun,
    Call,
    Event,
    Final,
    Policy,
    Record,
    Reported,
    Resumed,
    Run,
    Seen,
    by_name,
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
