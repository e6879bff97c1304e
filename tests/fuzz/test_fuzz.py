"""Mutated requests over every rpc of a real server.

FUZZ_SEED      draws other requests             FUZZ_REQUESTS   how many, in all; on PostgreSQL a fifth
FUZZ_CASE      `Service/Method:index` alone, as a failure names it
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from google.protobuf.descriptor import MethodDescriptor

from taskwheel.v1.admin_service_pb2 import GetServerInfoRequest
from taskwheel.v1.event_service_pb2 import ListEventsRequest, WatchEventsRequest
from taskwheel.v1.task_run_service_pb2 import (
    GetTaskRunRequest,
    ListTaskRunsRequest,
    StreamTaskRunLogsRequest,
)
from taskwheel.v1.task_service_pb2 import (
    BatchRunTasksRequest,
    CreateTaskRequest,
    GetTaskRequest,
    ListTasksRequest,
    PreviewScheduleRequest,
    RunTaskRequest,
)
from taskwheel.v1.worker_service_pb2 import AppendLogsRequest, ClaimTaskRunsRequest
from tests.faults.api import Api, pages
from tests.faults.processes import Server
from tests.fuzz.calls import Caller, Outcome
from tests.fuzz.contract import methods, name_of
from tests.fuzz.generate import Generator, World, words
from tests.fuzz.judge import breaches
from tests.fuzz.ledger import Ledger

SEED = int(os.environ.get("FUZZ_SEED", "20260304"))
REQUESTS = int(os.environ.get("FUZZ_REQUESTS", "50000"))
CASE = os.environ.get("FUZZ_CASE", "")
CONNECTIONS = 4
AT_A_TIME = 16
MIB = 1024 * 1024
# Beyond what it had before: caches of 64 MiB for each of five connections, and what the requests themselves take.
MAX_GROWTH = 512 * MIB
FAST = 0.25
RUNS = 1000
TASKS = [f"fuzz-{number}" for number in range(12)]


async def _world(api: Api, ledger: Ledger) -> World:
    """Create tasks, runs, leases and logs to point at."""
    for task_id in TASKS:
        request = CreateTaskRequest(task_id=task_id)
        request.task.worker.handler = "fuzz-held"
        if task_id == "fuzz-1":
            request.task.schedules.add(cron="0 0 1 1 *")
        ledger.uids.add((await api.tasks.CreateTask(request)).uid)
        ledger.granted["CreateTask"] += 1
    batch = BatchRunTasksRequest(requests=[RunTaskRequest(name=TASKS[n % len(TASKS)]) for n in range(RUNS)])
    runs = (await api.tasks.BatchRunTasks(batch)).task_runs
    ledger.uids.update(run.uid for run in runs)
    # Some stay PENDING.
    claim = ClaimTaskRunsRequest(worker_id="holder", handlers=["fuzz-held"], max_runs=RUNS - 50)
    leases = [
        (each.run.name, each.run.attempt, each.lease_token)
        for each in (await api.workers.ClaimTaskRuns(claim)).assignments
    ]
    for run_name, attempt, token in leases[:50]:
        logs = AppendLogsRequest(run=run_name, attempt=attempt, lease_token=token)
        logs.entries.add(message="line")
        await api.workers.AppendLogs(logs)
    tokens = [
        (await api.tasks.ListTasks(ListTasksRequest(page_size=1))).next_page_token,
        (await api.runs.ListTaskRuns(ListTaskRunsRequest(page_size=1))).next_page_token,
        (await api.events.ListEvents(ListEventsRequest(page_size=1))).next_page_token,
    ]
    assert all(tokens)
    return World(words(TASKS, [run.name for run in runs], tokens), leases)


class Fuzz:
    """Sends every case, and keeps count.

    Args:
        generator: draws the requests.
        ledger: takes down what was granted.
        folder: for requests that found a breach.
    """

    def __init__(self, generator: Generator, ledger: Ledger, folder: Path) -> None:
        self._generator = generator
        self._ledger = ledger
        self._folder = folder
        self.breaches: list[str] = []
        self.statuses: dict[str, Counter[str]] = {}
        self.slowest: dict[str, tuple[float, int]] = {}

    async def send_all(self, target: str, cases: Iterator[tuple[MethodDescriptor, int]]) -> None:
        callers = [Caller(target) for _ in range(CONNECTIONS)]
        senders = [self._send(callers[number % CONNECTIONS], cases) for number in range(AT_A_TIME)]
        await asyncio.gather(*senders)
        for caller in callers:
            await caller.channel.close()

    async def _send(self, caller: Caller, cases: Iterator[tuple[MethodDescriptor, int]]) -> None:
        for method, index in cases:
            requests = self._generator.requests(method, index)
            outcome = await caller.call(method, requests)
            self._ledger.note(method, outcome)
            self._judge(method, index, requests, outcome)

    def _judge(self, method: MethodDescriptor, index: int, requests: list[bytes], outcome: Outcome) -> None:
        name = name_of(method)
        self.statuses.setdefault(name, Counter())[outcome.status] += 1
        self.slowest[name] = max(self.slowest.get(name, (0.0, 0)), (outcome.seconds, index))
        for breach in breaches(method, outcome, max(map(len, requests))):
            case = f"{name}:{index}"
            self.breaches.append(f"{case}: {breach} [{outcome.status}: {outcome.message}]")
            for number, request in enumerate(requests):
                file = self._folder / f"{case.replace('/', '.')}.{number}.bin"
                file.write_bytes(request)


def _cases(requests: int) -> list[tuple[MethodDescriptor, int]]:
    """Return every case, in an order drawn from the seed."""
    every = methods()
    cases = [(method, index) for index in range(-(-requests // len(every))) for method in every]
    if CASE:
        cases = [(method, index) for method, index in cases if f"{name_of(method)}:{index}" == CASE]
    random.Random(SEED).shuffle(cases)
    return cases


@pytest.mark.timeout(600)
async def test_mutated_requests_are_answered_as_promised_and_leave_nothing_behind(
    tmp_path: Path, database_url: str, figure: Callable[..., None]
) -> None:
    ledger = Ledger()
    async with Server(tmp_path, lease="1h", database_url=database_url) as server:
        caller = Caller(server.target)
        api = Api(caller.channel)
        fuzz = Fuzz(Generator(SEED, await _world(api, ledger)), ledger, tmp_path)
        cases = _cases(REQUESTS if database_url.startswith("sqlite") or CASE else REQUESTS // 5)
        memory = server.process.memory()
        began = time.monotonic()
        await fuzz.send_all(server.target, iter(cases))
        figure(seed=SEED, requests=len(cases), seconds=time.monotonic() - began)
        for name, statuses in sorted(fuzz.statuses.items()):
            slowest, index = fuzz.slowest[name]
            figure(**{name: f"{dict(statuses.most_common())}, slowest {slowest:.3f} s (:{index})"})
        assert server.process.status is None, "the server died"
        grown = server.process.memory() - memory
        figure(memory_before_mib=memory / MIB, memory_grown_mib=grown / MIB)
        figure(slowest_answer_after=await _slowest_answer(api))
        assert not fuzz.breaches, f"{len(fuzz.breaches)} breaches with FUZZ_SEED={SEED}:\n" + "\n".join(
            fuzz.breaches[:50]
        )
        assert list(await _stored_breaches(api, ledger)) == []
        assert grown <= MAX_GROWTH
        assert await _slowest_answer(api) <= FAST
        assert await server.stop() == 0
        await caller.channel.close()


async def _slowest_answer(api: Api) -> float:
    """Return how long the slower ones of a hundred plain calls take, s."""
    taken = []
    for _ in range(100):
        began = time.perf_counter()
        await api.admin.GetServerInfo(GetServerInfoRequest())
        await api.tasks.ListTasks(ListTasksRequest(page_size=10))
        taken.append(time.perf_counter() - began)
    return sorted(taken)[95]


async def _stored_breaches(api: Api, ledger: Ledger) -> list[str]:
    """Read back all that is stored, in every way, and return what is wrong with it."""
    tasks = [task async for page in pages(api.tasks.ListTasks, ListTasksRequest(page_size=1000)) for task in page.tasks]
    whole = ListTaskRunsRequest(page_size=1000, view=ListTaskRunsRequest.FULL)
    runs = [run async for page in pages(api.runs.ListTaskRuns, whole) for run in page.task_runs]
    ordered = ListEventsRequest(page_size=1000, order_by="sequence")
    events = [event async for page in pages(api.events.ListEvents, ordered) for event in page.events]
    for task in tasks:
        assert (await api.tasks.GetTask(GetTaskRequest(name=task.name))).uid == task.uid
        await api.tasks.PreviewSchedule(PreviewScheduleRequest(task=task.name))
    for run in [run for run in runs if run.log_count] + random.Random(SEED).sample(runs, min(300, len(runs))):
        assert (await api.runs.GetTaskRun(GetTaskRunRequest(name=run.name))).uid == run.uid
        stream = api.runs.StreamTaskRunLogs(StreamTaskRunLogsRequest(name=run.name))
        assert sum([len(response.entries) async for response in stream]) == run.log_count
    seen: list[int] = []
    async for response in api.events.WatchEvents(WatchEventsRequest(after_sequence=0)):
        seen += [event.sequence for event in response.events]
        if response.sequence >= events[-1].sequence:
            break
    assert seen[: len(events)] == [event.sequence for event in events] == list(range(1, len(events) + 1))
    return list(ledger.breaches(tasks, runs, events))
