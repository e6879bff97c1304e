"""Load: callers, workers and subscribers at once, each writing down what it saw, through any number of servers."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from itertools import count, cycle
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
from tests.faults.api import Api, create_tasks, final_state, log_of, reason_of, retry_delay_of, task_of
from tests.faults.checker import ALLOWED, EXPECTED
from tests.faults.held import begun, start_held_runs
from tests.faults.history import Acknowledged, Begun, Call, Final, History, Policy, Reported, Resumed, Seen, read
from tests.faults.processes import PATIENCE, all_of, connect, now, until
from tests.faults.size import FULL
from tests.faults.worker import Worker, outcome_of

# For each server.
CALLERS = 12
# With less load nothing is tested.
MIN_CALLS_PER_SECOND = 200
# Of several servers, beside the other half of the suite on the same cores.
MIN_CALLS_PER_SECOND_BESIDE = 20
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
    """Everything that talks to the servers, an async context manager that works inside its block.

    Callers, workers and subscribers know all addresses. Each server has some that try it first.

    Args:
        targets: where the servers are, whenever they are there.
        history: to write to.
        seed: of everything that is drawn.
    """

    def __init__(self, targets: Sequence[str], history: History, seed: int) -> None:
        self._history = history
        self._random = random.Random(seed)
        self._targets = targets
        self._stack = AsyncExitStack()
        self._callers: list[asyncio.Task[None]] = []
        self._known: list[str] = []
        self._numbers = iter(range(1, 10**9))
        self.acknowledged = 0
        # What servers refused, by reason, and how often a call was made that was made most often.
        self.refusals: Counter[str] = Counter()
        self.most_tries = 0
        self._calls, self._seconds = 0, 0.0
        self.positions = {f"subscriber-{number}": 0 for number in range(max(2, len(targets)))}
        self.ends: dict[str, tuple[str, dict[str, str]]] = {}

    async def __aenter__(self) -> Self:
        callers, streams, subscribers = [cycle(await self._connect()) for _ in range(3)]
        self.api = next(callers)
        handlers = {task_id: "by-hand" if task_id == "by-hand" else "work" for task_id in POLICIES}
        await create_tasks(self.api, handlers, POLICIES)
        names = [f"worker-{number}" for number in range(len(self.positions))]
        self._workers = [Worker(next(streams), name, ["work"], self._history) for name in names]
        self._others = [
            *(asyncio.create_task(worker.run()) for worker in self._workers),
            *(asyncio.create_task(self._subscribe(next(subscribers), name)) for name in self.positions),
        ]
        self._callers = [asyncio.create_task(self._call_on(next(callers))) for _ in range(CALLERS * len(self._targets))]
        return self

    async def _connect(self) -> list[Api]:
        """Return the services for each server, by a channel that prefers it."""
        targets = [all_of(self._targets, first) for first in range(len(self._targets))]
        return [Api(await self._stack.enter_async_context(connect(target))) for target in targets]

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

    async def goes_on(self, calls: int) -> None:
        """Wait until so many more calls have been acknowledged, and count that as load."""
        began, had = time.monotonic(), self.acknowledged
        await until(lambda: self.acknowledged >= had + calls, "the load goes on")
        self._seconds += time.monotonic() - began
        self._calls += self.acknowledged - had
        self.check_alive()

    @property
    def load(self) -> float:
        """How many calls a second were acknowledged while the load went on."""
        return self._calls / self._seconds

    @property
    def least_load(self) -> int:
        """With less than this the run does not count."""
        return MIN_CALLS_PER_SECOND if FULL or len(self._targets) == 1 else MIN_CALLS_PER_SECOND_BESIDE

    @property
    def figures(self) -> dict[str, Any]:
        """What was done, and how often a server refused it."""
        return {"calls": self.acknowledged, "calls_per_second": round(self.load), "refusals": dict(self.refusals)}

    async def hold(self, task: str, count: int) -> list[str]:
        """Start runs that workers hold until `release`; return their names."""
        names = await start_held_runs(self.api, self._history, [task] * count)
        await until(lambda: set(names) <= begun(self._history), "the runs are under way")
        return names

    def release(self) -> None:
        """Have workers end what they hold."""
        for worker in self._workers:
            worker.release()

    async def settle(self) -> Final:
        """Stop calling, wait until all runs have ended and all subscribers know, and return what is stored."""
        for task in self._callers:
            task.cancel()
        await asyncio.gather(*self._callers, return_exceptions=True)
        self._callers = []
        await self.api.tasks.PauseTask(PauseTaskRequest(name="every-second"), wait_for_ready=True)
        hands = [asyncio.create_task(self._claim_on()) for _ in range(CALLERS)]
        open_runs = ListTaskRunsRequest(filter="done = false", page_size=1)

        async def ended() -> bool:
            self.check_alive()
            return (await self.api.runs.ListTaskRuns(open_runs)).total_size == 0

        await until(ended, "all runs end", 2 * PATIENCE)
        for hand in hands:
            hand.cancel()
        await asyncio.gather(*hands, return_exceptions=True)
        newest = (await self.api.events.ListEvents(ListEventsRequest(page_size=1))).events[0].sequence
        await until(lambda: set(self.positions.values()) == {newest}, "the subscribers arrive at the end")
        final = await final_state(self.api)
        written = {
            record.request["run"]
            for record in read(self._history.path)
            if isinstance(record, Call) and record.method == "AppendLogs"
        }
        logs = await asyncio.gather(*(log_of(self.api, run) for run in written))
        final.logs = dict(zip(written, logs, strict=True))
        return final

    async def _claim_on(self) -> None:
        while True:
            await self._hand(self.api)

    async def _call_on(self, api: Api) -> None:
        deeds: dict[str, Callable[[Api], Awaitable[None]]] = {
            "run": self._run,
            "batch": self._batch,
            "get": self._get,
            "cancel": self._cancel,
            "create": self._create,
            "hand": self._hand,
        }
        while True:
            (deed,) = self._random.choices(list(deeds), [_MIX[name] for name in deeds])
            await deeds[deed](api)

    async def _record(
        self, rpc: Any, message: Any, request: dict[str, Any], summary: Callable[[Any], dict[str, Any]]
    ) -> Any:
        """Make a call and write it down; return its answer, or None after the time that it is to wait."""
        began = now()
        answer, status, delay = None, "OK", 0.0
        method = type(message).__name__.removesuffix("Request")
        try:
            answer = await rpc(message, timeout=DEADLINE, wait_for_ready=True)
        except grpc.aio.AioRpcError as error:
            status = error.code().name
            delay = self._refused(error)
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
        if delay:
            await asyncio.sleep(delay)
        return answer

    def _refused(self, error: grpc.aio.AioRpcError) -> float:
        """Count what a server of ours says, and return the seconds after which it says to try again."""
        reason, _ = reason_of(error)
        self.refusals[reason] += 1
        delay = retry_delay_of(error)
        if reason and error.code().name in EXPECTED:
            assert delay, f"{reason} does not say when to try again"
        return delay or 0.0

    async def _again(self, *call: Any) -> Any:
        """Make a call until it is answered, as it may be repeated."""
        for tries in count(1):
            self.most_tries = max(self.most_tries, tries)
            if (answer := await self._record(*call)) is not None:
                return answer
        return None

    def _drawn(self) -> tuple[RunTaskRequest, dict[str, Any]]:
        n = next(self._numbers)
        task_id = self._random.choice(["plain", "plain", "retried", "limited", "by-hand"])
        deed = "fail" if self._random.random() < 0.15 else "succeed"
        request = RunTaskRequest(name=task_id, request_id=f"request-{n}")
        request.payload.update({"n": n, "do": deed})
        return request, {"task": task_id, "request_id": request.request_id, "n": n}

    async def _run(self, api: Api) -> None:
        message, asked = self._drawn()
        run = await self._again(api.tasks.RunTask, message, {"runs": [asked]}, lambda answer: {"runs": [answer.name]})
        self._known.append(run.name)

    async def _batch(self, api: Api) -> None:
        drawn = [self._drawn() for _ in range(self._random.randint(2, 8))]
        message = BatchRunTasksRequest(requests=[request for request, _ in drawn])
        await self._again(
            api.tasks.BatchRunTasks,
            message,
            {"runs": [asked for _, asked in drawn]},
            lambda answer: {"runs": [run.name for run in answer.task_runs]},
        )

    def _known_run(self) -> str | None:
        return self._random.choice(self._known[-200:]) if self._known else None

    async def _get(self, api: Api) -> None:
        if name := self._known_run():
            await self._record(
                api.runs.GetTaskRun,
                GetTaskRunRequest(name=name),
                {"run": name},
                lambda run: {"state": TaskRun.State.Name(run.state), "done": run.done},
            )

    async def _cancel(self, api: Api) -> None:
        if name := self._known_run():
            await self._record(
                api.runs.CancelTaskRun,
                CancelTaskRunRequest(name=name),
                {"run": name},
                lambda run: {"state": TaskRun.State.Name(run.state)},
            )

    async def _create(self, api: Api) -> None:
        task_id = f"task-{next(self._numbers)}"
        message = CreateTaskRequest(task_id=task_id, task=task_of("none", Policy()), request_id=task_id)
        await self._again(api.tasks.CreateTask, message, {"task_id": task_id}, lambda task: {"uid": task.uid})

    async def _hand(self, api: Api) -> None:
        """Claim a few runs and work them with unary calls, as by hand."""
        worker_id = f"hand-{next(self._numbers)}"
        claimed = await self._record(
            api.workers.ClaimTaskRuns,
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
            await self._write_log(api, assignment)
            await self._complete(api, worker_id, assignment)

    async def _write_log(self, api: Api, assignment: Assignment) -> None:
        run, token = assignment.run.name, assignment.lease_token
        message = AppendLogsRequest(run=run, attempt=assignment.run.attempt, lease_token=token)
        for number in range(3):
            message.entries.add(message=f"{token} {number}")
        lines = [entry.message for entry in message.entries]
        request = {"run": run, "token": token, "lines": lines}
        await self._record(api.workers.AppendLogs, message, request, lambda _: {})

    async def _complete(self, api: Api, worker_id: str, assignment: Assignment) -> None:
        result, outcome = outcome_of(assignment)
        run, token = result.run, result.lease_token
        self._history.add(Reported(worker=worker_id, run=run, token=token, outcome=outcome, at=now()))
        answer = await self._again(
            api.workers.CompleteTaskRuns, CompleteTaskRunsRequest(results=[result]), {}, lambda _: {}
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
