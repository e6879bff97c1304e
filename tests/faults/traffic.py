"""Load: callers, workers and subscribers at once, each writing down what it saw, through any number of servers."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any, Self

import grpc

from taskwheel.v1.event_service_pb2 import ListEventsRequest, WatchEventsRequest
from taskwheel.v1.task_run_pb2 import TaskRun
from taskwheel.v1.task_run_service_pb2 import CancelTaskRunRequest, GetTaskRunRequest, ListTaskRunsRequest
from taskwheel.v1.task_service_pb2 import (
    BatchRunTasksRequest,
    CreateTaskRequest,
    PauseTaskRequest,
    RunTaskRequest,
)
from taskwheel.v1.worker_service_pb2 import (
    Acknowledgement,
    AppendLogsRequest,
    Assignment,
    ClaimTaskRunsRequest,
    CompleteTaskRunsRequest,
)
from tests.faults.api import Api, create_tasks, final_state, log_of, reason_of, task_of
from tests.faults.checker import ALLOWED, EXPECTED, check
from tests.faults.history import Acknowledged, Begun, Call, Final, History, Policy, Reported, Resumed, Seen, read
from tests.faults.processes import PATIENCE, connect, now, until
from tests.faults.worker import Worker, outcome_of

CALLERS = 12
DEADLINE = 10.0
POLICIES: Mapping[str, Policy] = {
    "plain": Policy(),
    "retried": Policy(max_attempts=3, retry_on_lost=True),
    "by-hand": Policy(max_attempts=4, retry_on_lost=True),
    "limited": Policy(max_attempts=4, retry_on_lost=True, max_concurrent_runs=5),
    "every-second": Policy(max_attempts=4, retry_on_lost=True, interval=1.0),
}
# How often a caller does what.
_MIX = {"run": 60, "batch": 6, "get": 16, "cancel": 8, "create": 4, "hand": 6}


class Traffic:
    """Everything that talks to the server, an async context manager that works inside its block.

    Args:
        target: where the server is, whenever it is there.
        history: to write to.
        seed: of everything that is drawn.
    """

    def __init__(self, target: str, history: History, seed: int) -> None:
        self._history = history
        self._random = random.Random(seed)
        self._target = target
        self._stack = AsyncExitStack()
        self._callers: list[asyncio.Task[None]] = []
        self._known: list[str] = []
        self._numbers = iter(range(1, 10**9))
        self.acknowledged = 0
        self.positions = {"subscriber-0": 0, "subscriber-1": 0}
        self.ends: dict[str, tuple[str, dict[str, str]]] = {}

    async def __aenter__(self) -> Self:
        channels = [await self._stack.enter_async_context(connect(self._target)) for _ in range(3)]
        self.api, streams, subscribers = map(Api, channels)
        handlers = {task_id: "by-hand" if task_id == "by-hand" else "work" for task_id in POLICIES}
        await create_tasks(self.api, handlers, POLICIES)
        workers = [Worker(streams, f"worker-{number}", ["work"], self._history) for number in range(2)]
        self._others = [
            *(asyncio.create_task(worker.run()) for worker in workers),
            *(asyncio.create_task(self._subscribe(subscribers, name)) for name in self.positions),
        ]
        self._callers = [asyncio.create_task(self._call_on()) for _ in range(CALLERS)]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in (*self._callers, *self._others):
            task.cancel()
        await asyncio.gather(*self._callers, *self._others, return_exceptions=True)
        await self._stack.aclose()

    def check_alive(self) -> None:
        """Raise what ended a caller, a worker or a subscriber, if anything did."""
        for task in (*self._callers, *self._others):
            if task.done():
                task.result()
                raise AssertionError("a client ended")

    async def settle(self) -> Final:
        """Stop calling, wait until all runs have ended and all subscribers know, and return what is stored."""
        for task in self._callers:
            task.cancel()
        await asyncio.gather(*self._callers, return_exceptions=True)
        self._callers = []
        await self.api.tasks.PauseTask(PauseTaskRequest(name="every-second"), wait_for_ready=True)
        hand = asyncio.create_task(self._claim_on())
        open_runs = ListTaskRunsRequest(filter="done = false", page_size=1)

        async def ended() -> bool:
            self.check_alive()
            return (await self.api.runs.ListTaskRuns(open_runs)).total_size == 0

        await until(ended, "all runs end", 2 * PATIENCE)
        hand.cancel()
        newest = (await self.api.events.ListEvents(ListEventsRequest(page_size=1))).events[0].sequence
        await until(lambda: set(self.positions.values()) == {newest}, "the subscribers arrive at the end")
        final = await final_state(self.api)
        written = {
            record.request["run"]
            for record in read(self._history.path)
            if isinstance(record, Call) and record.method == "AppendLogs"
        }
        final.logs = {run: await log_of(self.api, run) for run in sorted(written)}
        return final

    async def _claim_on(self) -> None:
        while True:
            await self._hand()

    async def _call_on(self) -> None:
        deeds: dict[str, Callable[[], Awaitable[None]]] = {
            "run": self._run,
            "batch": self._batch,
            "get": self._get,
            "cancel": self._cancel,
            "create": self._create,
            "hand": self._hand,
        }
        while True:
            (deed,) = self._random.choices(list(deeds), [_MIX[name] for name in deeds])
            await deeds[deed]()

    async def _record(
        self, rpc: Any, message: Any, request: dict[str, Any], summary: Callable[[Any], dict[str, Any]]
    ) -> Any:
        """Make a call and write it down; return its answer, or None."""
        began = now()
        answer, status = None, "OK"
        method = type(message).__name__.removesuffix("Request")
        try:
            answer = await rpc(message, timeout=DEADLINE, wait_for_ready=True)
        except grpc.aio.AioRpcError as error:
            status = error.code().name
        except asyncio.CancelledError:
            status = "CANCELLED"
            raise
        finally:
            told = None if answer is None else summary(answer)
            self._history.add(
                Call(method=method, request=request, status=status, began=began, ended=now(), answer=told)
            )
        assert status in {"OK"} | EXPECTED | ALLOWED.get(method, set()), f"{method} ended {status}"
        self.acknowledged += answer is not None
        return answer

    async def _again(self, *call: Any) -> Any:
        """Make a call until it is answered, as it may be repeated."""
        while (answer := await self._record(*call)) is None:
            pass
        return answer

    def _drawn(self) -> tuple[RunTaskRequest, dict[str, Any]]:
        n = next(self._numbers)
        task_id = self._random.choice(["plain", "plain", "retried", "limited", "by-hand"])
        deed = "fail" if self._random.random() < 0.15 else "succeed"
        request = RunTaskRequest(name=task_id, request_id=f"request-{n}")
        request.payload.update({"n": n, "do": deed})
        return request, {"task": task_id, "request_id": request.request_id, "n": n}

    async def _run(self) -> None:
        message, asked = self._drawn()
        run = await self._again(
            self.api.tasks.RunTask, message, {"runs": [asked]}, lambda answer: {"runs": [answer.name]}
        )
        self._known.append(run.name)

    async def _batch(self) -> None:
        drawn = [self._drawn() for _ in range(self._random.randint(2, 8))]
        message = BatchRunTasksRequest(requests=[request for request, _ in drawn])
        await self._again(
            self.api.tasks.BatchRunTasks,
            message,
            {"runs": [asked for _, asked in drawn]},
            lambda answer: {"runs": [run.name for run in answer.task_runs]},
        )

    def _known_run(self) -> str | None:
        return self._random.choice(self._known[-200:]) if self._known else None

    async def _get(self) -> None:
        if name := self._known_run():
            await self._record(
                self.api.runs.GetTaskRun,
                GetTaskRunRequest(name=name),
                {"run": name},
                lambda run: {"state": TaskRun.State.Name(run.state), "done": run.done},
            )

    async def _cancel(self) -> None:
        if name := self._known_run():
            await self._record(
                self.api.runs.CancelTaskRun,
                CancelTaskRunRequest(name=name),
                {"run": name},
                lambda run: {"state": TaskRun.State.Name(run.state)},
            )

    async def _create(self) -> None:
        task_id = f"task-{next(self._numbers)}"
        message = CreateTaskRequest(task_id=task_id, task=task_of("none", Policy()), request_id=task_id)
        await self._again(self.api.tasks.CreateTask, message, {"task_id": task_id}, lambda task: {"uid": task.uid})

    async def _hand(self) -> None:
        """Claim a few runs and work them with unary calls, as by hand."""
        worker_id = f"hand-{next(self._numbers)}"
        claimed = await self._record(
            self.api.workers.ClaimTaskRuns,
            ClaimTaskRunsRequest(worker_id=worker_id, handlers=["by-hand"], max_runs=16),
            {},
            lambda answer: {"runs": len(answer.assignments)},
        )
        for assignment in claimed.assignments if claimed else ():
            self._history.add(
                Begun(
                    worker=worker_id,
                    run=assignment.run.name,
                    attempt=assignment.run.attempt,
                    token=assignment.lease_token,
                    at=now(),
                )
            )
        for assignment in claimed.assignments if claimed else ():
            await self._write_log(assignment)
            await self._complete(worker_id, assignment)

    async def _write_log(self, assignment: Assignment) -> None:
        run, token = assignment.run.name, assignment.lease_token
        message = AppendLogsRequest(run=run, attempt=assignment.run.attempt, lease_token=token)
        for number in range(3):
            message.entries.add(message=f"{token} {number}")
        lines = [entry.message for entry in message.entries]
        request = {"run": run, "token": token, "lines": lines}
        await self._record(self.api.workers.AppendLogs, message, request, lambda _: {})

    async def _complete(self, worker_id: str, assignment: Assignment) -> None:
        result, outcome = outcome_of(assignment)
        run, token = result.run, result.lease_token
        self._history.add(Reported(worker=worker_id, run=run, token=token, outcome=outcome, at=now()))
        answer = await self._again(
            self.api.workers.CompleteTaskRuns, CompleteTaskRunsRequest(results=[result]), {}, lambda _: {}
        )
        status = Acknowledgement.Status.Name(answer.acknowledgements[0].status)
        self._history.add(Acknowledged(worker=worker_id, run=run, token=token, status=status, at=now()))

    async def _subscribe(self, api: Api, name: str) -> None:
        while True:
            after = self.positions[name]
            self._history.add(Resumed(subscriber=name, after=after, at=now()))
            stream = api.events.WatchEvents(WatchEventsRequest(after_sequence=after), wait_for_ready=True)
            try:
                async for response in stream:
                    for event in response.events:
                        self._history.add(
                            Seen(subscriber=name, sequence=event.sequence, type=event.type, run=event.run, at=now())
                        )
                    self.positions[name] = response.sequence
            except grpc.aio.AioRpcError as error:
                self.ends[name] = reason_of(error)
                if error.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise


async def judge(traffic: Traffic, history: History) -> Final:
    """Let traffic come to its end, and assert that every promise was kept."""
    final = await traffic.settle()
    breaches = check(read(history.path), final, POLICIES)
    listed = "\n".join(breaches[:20])
    assert not breaches, f"{len(breaches)} breaches, history in {history.path}:\n{listed}"
    return final
