"""What who waits for a run hears of it, at a server whose clock goes."""

import threading

import pytest

import taskwheel
from taskwheel.cli import waiting
from taskwheel_server.clock import SystemClock


@pytest.fixture
def clock() -> SystemClock:
    return SystemClock()


@pytest.fixture
def echo(run):
    assert run("task create echo").code == 0


def test_a_run_that_no_worker_can_take_is_told(run, echo):
    told = "waits: no worker is connected for handler 'echo'"
    started = run("task run echo -o name")
    assert told in started.err
    name = started.out.strip()
    shown = run(f"run get {name}")
    assert "NO_WORKER" in shown.out
    assert told in shown.err
    assert run(f"run wait {name} --timeout 0").err.count(told) == 1


@pytest.fixture
def impatient(monkeypatch):
    """Hints come at once."""
    monkeypatch.setattr(waiting, "_LOOK_AFTER", 0.01)
    monkeypatch.setattr(waiting, "_INTERVAL", 0.01)


@pytest.mark.parametrize("how", ["--wait", "--follow"])
def test_who_waits_hears_once_that_no_worker_can_take_the_run(run, echo, impatient, how):
    outcome = run(f"task run echo {how} --timeout 500ms")
    assert outcome.code == 9
    assert outcome.err.count("no worker is connected") == 1


def test_who_waits_for_a_run_that_is_worked_hears_nothing(run, echo, working, impatient):
    assert run("task run echo --wait").err == ""


def test_who_stops_waiting_hears_where_the_run_stands(run, server):
    worker = taskwheel.Worker(server.address)
    begun, end = threading.Event(), threading.Event()

    @worker.handler("slow")
    def slow(_: taskwheel.Run) -> None:
        begun.set()
        end.wait(20)

    working = threading.Thread(target=worker.run)
    working.start()
    run("task create slow")
    name = run("task run slow -o name").out.strip()
    assert begun.wait(20)
    waited = run(f"run wait {name} --timeout 0")
    followed = run("task run slow --follow --timeout 300ms")
    end.set()
    worker.stop()
    working.join(15)
    for outcome in (waited, followed):
        assert outcome.code == 9
        assert "is still RUNNING; it goes on" in outcome.err


def test_who_follows_hears_of_attempts_that_fail(run, working):
    run("task create fail --max-attempts 3 --retry-delay 10ms")
    followed = run("task run fail --follow")
    first, second, last = followed.err.splitlines()
    assert followed.code == 1
    assert first.startswith("attempt 1 failed: ValueError: no luck; attempt 2 at 20")
    assert second.startswith("attempt 2 failed: ValueError: no luck; attempt 3 at 20")
    assert last.startswith("error: ")
