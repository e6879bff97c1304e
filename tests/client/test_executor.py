"""The executor alone: what it does with runs that have not begun."""

import asyncio
import threading

import pytest

from taskwheel._worker.executor import Executor
from taskwheel._worker.outbox import Outbox
from taskwheel.v1 import task_run_pb2, worker_service_pb2

Cancellation = worker_service_pb2.Cancellation


def assignments(handler: str, count: int) -> list[worker_service_pb2.Assignment]:
    return [
        worker_service_pb2.Assignment(
            run=task_run_pb2.TaskRun(name=f"runs/{number}", handler=handler, attempt=1), lease_token="t"
        )
        for number in range(count)
    ]


class Bench:
    """An executor of size 1 whose handlers wait for `go`."""

    def __init__(self) -> None:
        self.outbox = Outbox()
        self.go = asyncio.Event()
        self.begun: asyncio.Queue[str] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self._go_threads = threading.Event()
        self.executor = Executor({"plain": self._plain, "async": self._async}, 1, self.outbox)

    def _plain(self, run):
        self._loop.call_soon_threadsafe(self.begun.put_nowait, run.name)
        self._go_threads.wait(10)
        return run.name

    async def _async(self, run):
        self.begun.put_nowait(run.name)
        await self.go.wait()
        return run.name

    def let_go(self) -> None:
        self.go.set()
        self._go_threads.set()

    async def reported(self, count: int) -> worker_service_pb2.WorkRequest:
        """All that is sent until `count` results and releases were."""
        whole = worker_service_pb2.WorkRequest()
        while len(whole.results) + len(whole.releases) < count:
            await self.outbox.changed()
            while frame := self.outbox.frame():
                whole.MergeFrom(frame)
        return whole


@pytest.fixture
async def bench():
    bench = Bench()
    yield bench
    bench.let_go()
    bench.executor.close()


KINDS = pytest.mark.parametrize("kind", ["plain", "async"])


@KINDS
async def test_what_exceeds_the_size_waits_and_then_runs(bench, kind):
    bench.executor.assign(assignments(kind, 3))
    assert await bench.begun.get() == "runs/0"
    assert len(bench.outbox.held) == 3
    bench.let_go()
    report = await bench.reported(3)
    assert [result.result.string_value for result in report.results] == ["runs/0", "runs/1", "runs/2"]


@KINDS
async def test_draining_hands_back_what_has_not_begun(bench, kind):
    bench.executor.assign(assignments(kind, 3))
    await bench.begun.get()
    bench.executor.drain()
    bench.let_go()
    report = await bench.reported(3)
    assert [result.run for result in report.results] == ["runs/0"]
    assert sorted(lease.run for lease in report.releases) == ["runs/1", "runs/2"]


@KINDS
async def test_what_is_assigned_while_draining_is_handed_back(bench, kind):
    bench.executor.drain()
    bench.executor.assign(assignments(kind, 2))
    report = await bench.reported(2)
    assert len(report.releases) == 2
    assert bench.begun.empty()


@KINDS
async def test_a_run_that_is_cancelled_before_it_begins_never_does(bench, kind):
    bench.executor.assign(assignments(kind, 2))
    await bench.begun.get()
    bench.executor.cancel(Cancellation(run="runs/1", attempt=1, reason="CANCEL_REQUESTED"))
    bench.let_go()
    report = await bench.reported(2)
    assert [result.WhichOneof("outcome") for result in report.results] == ["result", "cancelled"]
    assert bench.begun.empty()


async def test_a_task_that_is_cancelled_before_its_first_step_still_reports(bench):
    bench.executor.assign(assignments("async", 1))
    bench.executor.cancel(Cancellation(run="runs/0", attempt=1, reason="CANCEL_REQUESTED"))
    report = await bench.reported(1)
    assert report.results[0].cancelled
    assert bench.begun.empty()


async def test_a_run_that_comes_again_under_another_lease_replaces_the_one_that_was_lost(bench):
    bench.executor.assign(assignments("async", 1))
    await bench.begun.get()
    [again] = assignments("async", 1)
    again.lease_token = "new"
    bench.executor.assign([again])
    bench.let_go()
    report = await bench.reported(1)
    assert [result.lease_token for result in report.results] == ["new"]


async def test_a_cancellation_of_another_attempt_or_an_unknown_run_is_ignored(bench):
    bench.executor.assign(assignments("async", 1))
    await bench.begun.get()
    bench.executor.cancel(Cancellation(run="runs/0", attempt=2, reason="CANCEL_REQUESTED"))
    bench.executor.cancel(Cancellation(run="runs/9", attempt=1, reason="LEASE_LOST"))
    bench.let_go()
    report = await bench.reported(1)
    assert report.results[0].result.string_value == "runs/0"
