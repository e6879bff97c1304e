"""The command line, run inside the test."""

from __future__ import annotations

import json
import shlex
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

import taskwheel
from taskwheel.cli import main, output


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


@pytest.fixture
def database_url(sqlite) -> str:
    """One kind is enough: what is tested here does not see it."""
    return sqlite.fresh()


@pytest.fixture
def run(server, capsys, monkeypatch) -> Callable[..., Outcome]:
    """Run a command at the server of the test: `run("task get nightly")`."""
    monkeypatch.setenv("TASKWHEEL_ADDRESS", server.address)

    def run_command(line: str, *more: str) -> Outcome:
        output.console.cache_clear()
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            main([*shlex.split(line), *more])
        captured = capsys.readouterr()
        return Outcome(int(caught.value.code or 0), captured.out, captured.err)

    return run_command


@pytest.fixture
def working(server) -> Iterator[None]:
    """A worker with the handlers `echo` and `fail`."""
    worker = taskwheel.Worker(server.address)

    @worker.handler("echo")
    def echo(run: taskwheel.Run) -> Any:
        run.log.info("echoing", size=len(run.payload))
        run.progress(0.5, "half")
        return run.payload

    @worker.handler("fail")
    def fail(_: taskwheel.Run) -> None:
        raise ValueError("no luck")

    thread = threading.Thread(target=worker.run)
    thread.start()
    yield
    worker.stop()
    thread.join(15)
