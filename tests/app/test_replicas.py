"""Two servers on one PostgreSQL, as their callers see them: whom they asked makes no difference."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

import taskwheel
from taskwheel_server.app import Settings
from tests.conftest import RunningServer


@pytest.fixture
def database_url(postgresql) -> str:
    return postgresql.fresh()


@pytest.fixture
def other(server, database_url, clock) -> Iterator[RunningServer]:
    running = RunningServer(Settings(listen="127.0.0.1:0", database_url=database_url), clock)
    running.start()
    acquainted(server, running)
    yield running
    running.stop()


def acquainted(*servers: RunningServer) -> None:
    """Wait until each knows that another is there: from then on hints are sent."""
    for running in servers:
        store = running.server.store
        while store._hearing is None or store._hearing.alone or not store.hears:
            assert store._hearing is None or store._hearing._thread.is_alive()


@pytest.fixture
def here(server, other) -> Iterator[taskwheel.Client]:
    with taskwheel.Client(server.address) as client:
        yield client


@pytest.fixture
def there(other) -> Iterator[taskwheel.Client]:
    with taskwheel.Client(other.address) as client:
        yield client


@pytest.fixture
def work_there(other) -> Iterator[Callable[..., None]]:
    """Start a worker at the other server."""
    workers: list[tuple[taskwheel.Worker, threading.Thread]] = []

    def start(**handlers: Callable[[taskwheel.Run], object]) -> None:
        worker = taskwheel.Worker(other.address, grace=5)
        for name, function in handlers.items():
            worker.handler(name)(function)
        thread = threading.Thread(target=worker.run)
        thread.start()
        workers.append((worker, thread))

    yield start
    for worker, _ in workers:
        worker.stop()
    for _, thread in workers:
        thread.join(15)


def test_a_run_asked_for_here_is_worked_there_and_waited_for_here(here, work_there) -> None:
    here.create_task("t", handler="h")
    work_there(h=lambda run: {"sum": run.payload["a"] + 1})
    assert here.run_with_result("t", {"a": 1}, timeout=20) == {"sum": 2}


def test_logs_of_a_run_that_is_worked_there_are_followed_here(here, work_there) -> None:
    here.create_task("t", handler="h")

    def talk(run: taskwheel.Run) -> None:
        for line in ("one", "two", "three"):
            run.log.info(line)

    run = here.task("t").run()
    work_there(h=talk)
    assert [entry.message for entry in here.follow_logs(run.name)] == ["one", "two", "three"]


def test_a_run_cancelled_here_stops_on_its_worker_there(here, work_there) -> None:
    here.create_task("t", handler="h")
    stopped = threading.Event()
    begun = threading.Event()

    def patient(run: taskwheel.Run) -> None:
        begun.set()
        while not run.cancelled:
            pass
        stopped.set()
        run.raise_if_cancelled()

    run = here.task("t").run()
    work_there(h=patient)
    assert begun.wait(20)
    here.cancel(run.name)
    assert stopped.wait(20)
    assert here.wait(run.name, timeout=20).state == "CANCELLED"


def test_events_of_both_are_watched_here_in_one_order(here, there) -> None:
    here.create_task("t", handler="h")
    runs = [(here, there)[number % 2].task("t").run() for number in range(20)]
    with closing(here.watch_events(after=0)) as watched:
        seen = [next(watched) for _ in range(21)]
    assert [event.sequence for event in seen] == list(range(1, 22))
    assert [event.run for event in seen[1:]] == [run.name for run in runs]
