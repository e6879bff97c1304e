"""The cases: what is asked of the server, and what it is compared with."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from google.protobuf.struct_pb2 import Struct

from benchmarks import processes
from benchmarks.hand import HANDLER, TASK, HandWheel
from benchmarks.measure import Case, Figure, Reading
from benchmarks.recording import Twin
from taskwheel.v1.event_service_pb2 import WatchEventsRequest
from taskwheel.v1.schedule_pb2 import Schedule
from taskwheel.v1.task_pb2 import Task, WorkerTarget
from taskwheel.v1.task_run_service_pb2 import GetTaskRunRequest, ListTaskRunsRequest
from taskwheel.v1.task_run_service_pb2_grpc import TaskRunServiceStub
from taskwheel.v1.task_service_pb2 import (
    BatchRunTasksRequest,
    CreateTaskRequest,
    ListTasksRequest,
    PreviewScheduleRequest,
    RunTaskRequest,
)
from taskwheel.v1.task_service_pb2_grpc import TaskServiceStub

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.processes import Listener, Load

RUN = "/taskwheel.v1.TaskService/RunTask"
BATCH = "/taskwheel.v1.TaskService/BatchRunTasks"
_WATCH = "/taskwheel.v1.EventService/WatchEvents"
_PAYLOAD = Struct()
_PAYLOAD.update({"to": "ann@example.org", "subject": "Your report is ready", "report": 4711, "urgent": False})
PAYLOAD = _PAYLOAD.SerializeToString()
# A RunTask request, serialised.
SINGLE = RunTaskRequest(name=TASK, payload=_PAYLOAD).SerializeToString()
STREAMS = 2
CREDIT = 500
PAUSE = [0.02, 0.05]
SUBSCRIBERS = 1_000
SCHEDULES = 10_000
MIB = 1024 * 1024


@dataclass(frozen=True)
class Bench:
    """What all cases share.

    Args:
        load: the load generator.
        folder: for files.
        scale: how much of the full amount of work is done.
        template: a database that every server starts with a copy of; None: an empty one.
    """

    load: Load
    folder: Path
    scale: float = 1.0
    template: Path | None = None

    def amount(self, full: int, step: int = 1) -> int:
        """Return how much of `full` to do, a multiple of `step`."""
        return max(step, round(full * self.scale / step) * step)

    @contextmanager
    def room(self) -> Iterator[Path]:
        """Make a folder for one case."""
        with tempfile.TemporaryDirectory(dir=self.folder) as name:
            yield Path(name)

    def database(self, folder: Path) -> Path:
        """Return the file of a server's database, a copy of the template if there is one."""
        database = folder / "server.db"
        if self.template:
            shutil.copyfile(self.template, database)
        return database

    @contextmanager
    def server(self) -> Iterator[Listener]:
        """Start a server that has the task `bench`."""
        with self.room() as folder:
            database = self.database(folder)
            with processes.server(database) as server, processes.channel(server.target) as channel:
                task = Task(worker=WorkerTarget(handler=HANDLER))
                TaskServiceStub(channel).CreateTask(CreateTaskRequest(task_id=TASK, task=task))
                yield server

    @contextmanager
    def twin(self) -> Iterator[Twin]:
        """Make the baseline of SQL."""
        with self.room() as folder, closing(Twin(folder, self.template)) as twin:
            yield twin


def batch(runs: int) -> bytes:
    request = RunTaskRequest(name=TASK, payload=_PAYLOAD)
    return BatchRunTasksRequest(requests=[request] * runs).SerializeToString()


def _timed(process: Listener, runs: int, work: Callable[[], dict[str, Any]]) -> Reading:
    before = process.cpu
    seconds = work()["seconds"]
    return Reading(runs / seconds, 1e6 * (process.cpu - before) / runs)


@contextmanager
def batch_enqueue(bench: Bench) -> Iterator[Case]:
    """Batches of 500 from 2 callers."""
    runs, size = bench.amount(50_000, 500), 500
    request = batch(size)
    with bench.server() as server, bench.twin() as twin:

        def ours() -> list[Reading]:
            calls = {"method": BATCH, "request": request, "callers": 2, "calls": runs // size}
            return [_timed(server, runs, lambda: bench.load("unary", target=server.target, **calls))]

        yield Case(
            (Figure("batch enqueue, 2 callers × 500", "runs/s", 0.5, by_ratio=True),),
            ours,
            lambda: [twin.measure(runs, twin.wheel.enqueue, runs, size, PAYLOAD)],
            "sqlite3",
        )


def _worked(bench: Bench, server: Listener, runs: int, **enqueuing: Any) -> Reading:
    streams = {"handler": HANDLER, "streams": STREAMS, "credit": CREDIT, "runs": runs}
    nothing = {"method": BATCH, "request": b"", "callers": 0, "calls": 0}
    return _timed(server, runs, lambda: bench.load("worked", target=server.target, **streams, **nothing | enqueuing))


@contextmanager
def drain(bench: Bench) -> Iterator[Case]:
    """Stored runs, worked on two streams until all results are stored."""
    runs, size = bench.amount(20_000, 500), 500
    request = batch(size)
    with bench.server() as server, bench.twin() as twin:

        def ours() -> list[Reading]:
            calls = runs // size
            bench.load("unary", target=server.target, method=BATCH, request=request, callers=1, calls=calls - 1)
            return [_worked(bench, server, runs)]

        def baseline() -> list[Reading]:
            twin.wheel.enqueue(runs, size, PAYLOAD)
            return [twin.measure(runs, twin.wheel.drain, runs, CREDIT)]

        figure = Figure("drain, 2 streams", "runs/s", 0.5, by_ratio=True)
        yield Case((figure,), ours, baseline, "sqlite3")


@contextmanager
def enqueue_and_work(bench: Bench) -> Iterator[Case]:
    """Batches of 200 from 2 callers, worked on two streams meanwhile."""
    runs, size = bench.amount(20_000, 200), 200
    calls = {"method": BATCH, "request": batch(size), "callers": 2, "calls": runs // size}
    with bench.server() as server, bench.twin() as twin:
        yield Case(
            (Figure("enqueue and work, batches of 200, 2 streams", "runs/s", 0.5, by_ratio=True),),
            lambda: [_worked(bench, server, runs, **calls)],
            lambda: [twin.measure(runs, twin.wheel.enqueue_and_drain, runs, size, CREDIT, PAYLOAD)],
            "sqlite3",
        )


@contextmanager
def one_call_per_run(bench: Bench) -> Iterator[Case]:
    """RunTask from 1 and from 32 callers, beside a bare server whose answers are as long."""
    amounts = {1: bench.amount(1_000), 32: bench.amount(4_000)}

    def measure(listener: Listener) -> list[Reading]:
        def readings(callers: int, calls: int) -> Reading:
            arguments = {"method": RUN, "request": SINGLE, "callers": callers, "calls": calls}
            return _timed(listener, calls, lambda: bench.load("unary", target=listener.target, **arguments))

        return [readings(callers, calls) for callers, calls in amounts.items()]

    with bench.server() as server:
        sample = bench.load("unary", target=server.target, method=RUN, request=SINGLE, callers=1, calls=1)
        with processes.echo(bytes.fromhex(sample["reply"])) as echo:
            yield Case(
                (
                    # Each run waits for a disk of its own, as the bare call does not: no goal.
                    Figure("RunTask, 1 caller", "runs/s"),
                    Figure("RunTask, 32 callers", "runs/s", 0.8, by_ratio=True),
                ),
                lambda: measure(server),
                lambda: measure(echo),
                "bare gRPC",
            )


@contextmanager
def idle(bench: Bench) -> Iterator[Case]:
    """A run every 20 to 50 ms: from before RunTask until a worker's stream has it; beside it, a bare call's return."""
    calls = bench.amount(200)
    arguments = {"method": RUN, "request": SINGLE, "calls": calls, "pause": PAUSE}

    def percentiles(process: Listener, command: str, **more: Any) -> list[Reading]:
        before = process.cpu
        latencies = sorted(bench.load(command, target=process.target, **arguments, **more)["latencies"])
        cpu = 1e6 * (process.cpu - before) / calls
        return [Reading(1000 * latencies[int(len(latencies) * share)], cpu) for share in (0.5, 0.99)]

    with bench.server() as server, processes.echo(b"x" * 500) as echo:
        yield Case(
            (
                Figure("idle, enqueue to handler, p50", "ms", 2, rising=False),
                Figure("idle, enqueue to handler, p99", "ms", 5, rising=False),
            ),
            lambda: percentiles(server, "idle", handler=HANDLER),
            lambda: percentiles(echo, "paced"),
            "bare gRPC",
        )


@contextmanager
def due_at_once(bench: Bench) -> Iterator[Case]:
    """Schedules due in the same second: until all are stored as runs."""
    count = bench.amount(SCHEDULES)

    def ours() -> list[Reading]:
        with bench.room() as folder:
            database = bench.database(folder)
            with closing(HandWheel(f"sqlite:///{database}")) as wheel:
                first = (wheel.now() // 1_000_000 + 8) * 1_000_000
                wheel.create_schedules(count, first)
            with processes.server(database) as server, closing(sqlite3.connect(database)) as reader:
                if time.time() > first / 1e6 - 0.5:
                    raise RuntimeError("the schedules were due before the server was up")
                time.sleep(max(0.0, first / 1e6 - 0.3 - time.time()))
                before, start = server.cpu, _newest(reader)
                while _newest(reader) < start + count:
                    time.sleep(0.002)
                return [Reading(1000 * (time.time() - first / 1e6), 1e6 * (server.cpu - before) / count)]

    with bench.twin() as twin:

        def baseline() -> list[Reading]:
            first = twin.wheel.now() // 1_000_000 * 1_000_000 + 60_000_000
            twin.wheel.create_schedules(count, first)
            reading = twin.measure(count, twin.wheel.tick, first)
            return [Reading(1000 * count / reading.value, reading.cpu)]

        yield Case(
            (Figure(f"{count:,} schedules due at once, all stored", "ms", rising=False),), ours, baseline, "sqlite3"
        )


def _newest(reader: sqlite3.Connection) -> int:
    sequence: int = reader.execute("SELECT sequence FROM namespaces").fetchone()[0]
    return sequence


@contextmanager
def ready(bench: Bench) -> Iterator[Case]:
    """A cold start until the first answer, and the memory after a call of every kind."""

    def ours() -> list[Reading]:
        with bench.room() as folder:
            database = bench.database(folder)
            began = time.perf_counter()
            with processes.server(database) as server:
                seconds = time.perf_counter() - began
                _touch_everything(server.target)
                return [Reading(1000 * seconds, None), Reading(server.rss / MIB)]

    def baseline() -> list[Reading]:
        began = time.perf_counter()
        with processes.echo() as echo:
            return [Reading(1000 * (time.perf_counter() - began)), Reading(echo.rss / MIB)]

    yield Case(
        (Figure("ready", "ms", 1000, rising=False), Figure("memory, everything imported", "MiB", 120, rising=False)),
        ours,
        baseline,
        "bare gRPC",
    )


def _touch_everything(target: str) -> None:
    with processes.channel(target) as channel:
        tasks, runs = TaskServiceStub(channel), TaskRunServiceStub(channel)
        daily = Schedule(cron="0 9 * * 1-5", time_zone="Europe/Berlin")
        task = Task(worker=WorkerTarget(handler=HANDLER), schedules=[daily])
        tasks.CreateTask(CreateTaskRequest(task_id=TASK, task=task))
        run = tasks.RunTask(RunTaskRequest(name=TASK, payload=_PAYLOAD))
        runs.GetTaskRun(GetTaskRunRequest(name=run.name))
        runs.ListTaskRuns(ListTaskRunsRequest(filter="state = PENDING AND priority >= 0"))
        tasks.ListTasks(ListTasksRequest(filter='task_id = "bench"', order_by="create_time desc"))
        tasks.PreviewSchedule(PreviewScheduleRequest(schedule=daily, count=5))


@contextmanager
def watch(bench: Bench) -> Iterator[Case]:
    """1,000 subscribers of all events: memory of each, and events delivered, a wave of 100 at a time."""
    waves, size = bench.amount(10), 100
    request = WatchEventsRequest().SerializeToString()
    published = batch(size)
    answers: dict[str, Any] = {}

    def fan_out(listener: Listener, kind: dict[str, Any]) -> Sequence[Reading]:
        methods = {"target": listener.target, "method": kind["subscribe"], "request": kind["hello"]}
        idle_rss = listener.rss
        bench.load("subscribe", streams=SUBSCRIBERS, **methods)
        room = (listener.rss - idle_rss) / SUBSCRIBERS / 1024
        before = listener.cpu
        publish = {"method": kind["publish"], "request": kind["body"], "stamped": kind["stamped"]}
        answer = bench.load("fan_out", target=listener.target, waves=waves, events=size, **publish)
        answers.update(answer)
        cpu = 1e6 * (listener.cpu - before) / (waves * size)
        bench.load("unsubscribe")
        delivered = waves * size * SUBSCRIBERS
        return [Reading(room), Reading(delivered / answer["seconds"], cpu)]

    def ours() -> Sequence[Reading]:
        kind = {"subscribe": _WATCH, "hello": request, "publish": BATCH, "body": published, "stamped": False}
        with bench.server() as server:
            return fan_out(server, kind)

    def baseline() -> Sequence[Reading]:
        # As many bytes a wave as ours, in one message.
        body = b"x" * (answers["bytes"] // SUBSCRIBERS // waves)
        kind = {"subscribe": "/Subscribe", "hello": b"\x10\x01", "publish": "/Publish", "body": body, "stamped": True}
        with processes.echo() as echo:
            return fan_out(echo, kind)

    yield Case(
        (
            Figure("1,000 subscribers, memory of each", "KiB", 50, rising=False),
            Figure("1,000 subscribers, events delivered", "events/s"),
        ),
        ours,
        baseline,
        "bare gRPC",
    )
