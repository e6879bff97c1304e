"""A client of each kind, and workers, at the server of the test."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

import taskwheel


@pytest.fixture
def database_url(sqlite) -> str:
    """One kind is enough: what is tested here does not see it."""
    return sqlite.fresh()


@pytest.fixture
def client(server) -> Iterator[taskwheel.Client]:
    with taskwheel.Client(server.address) as client:
        yield client


@pytest.fixture
def start(server) -> Iterator[Callable[..., taskwheel.Worker]]:
    """Start a worker in a thread: `start(name=function, …, max_concurrent_runs=5)`; it is stopped after the test."""
    started: list[tuple[taskwheel.Worker, threading.Thread]] = []

    def start_worker(address: str | None = None, *, max_concurrent_runs: int = 10, grace: float = 5, **handlers):
        worker = taskwheel.Worker(address or server.address, max_concurrent_runs=max_concurrent_runs, grace=grace)
        for name, function in handlers.items():
            worker.handler(name)(function)
        thread = threading.Thread(target=worker.run, name="worker")
        thread.start()
        started.append((worker, thread))
        return worker

    yield start_worker
    for worker, _ in started:
        worker.stop()
    for _, thread in started:
        thread.join(15)
        assert not thread.is_alive()
