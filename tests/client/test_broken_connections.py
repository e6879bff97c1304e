"""What outlives a connection that breaks."""

import asyncio
import threading

import pytest

import taskwheel
from taskwheel_server.app import Settings
from tests.client.proxy import Proxy
from tests.conftest import RunningServer


@pytest.fixture
def proxy(server):
    proxy = Proxy(server.address)
    yield proxy
    proxy.close()


@pytest.fixture
def far(proxy):
    """A client behind the proxy."""
    with taskwheel.Client(proxy.address) as far:
        yield far


def test_a_watch_goes_on_where_it_broke(client, far, proxy):
    events = far.watch_events()
    client.create_task("a", handler="a")
    assert next(events).task.endswith("/a")
    proxy.cut()
    client.create_task("b", handler="b")
    client.create_task("c", handler="c")
    assert [next(events).task[-1] for _ in range(2)] == ["b", "c"]
    proxy.cut()
    client.create_task("d", handler="d")
    assert next(events).sequence == 4
    events.close()


def test_following_a_log_goes_on_where_it_broke(client, far, proxy, start):
    steps = [threading.Event() for _ in range(2)]

    def talk(run):
        run.log.info("one")
        for step in steps:
            step.wait(10)
            run.log.info("more")

    start(talk=talk)
    client.create_task("talk", handler="talk")
    entries = far.follow_logs(client.task("talk").run())
    assert next(entries).sequence == 1
    proxy.cut()
    steps[0].set()
    assert next(entries).sequence == 2
    proxy.cut()
    steps[1].set()
    assert [entry.sequence for entry in entries] == [3]


def test_following_a_log_that_has_no_entry_yet_outlives_an_outage(client, far, proxy):
    client.create_task("wait", handler="wait")
    run = client.task("wait").run()
    ended = threading.Event()

    def follow() -> None:
        assert not list(far.follow_logs(run))
        ended.set()

    threading.Thread(target=follow, daemon=True).start()
    assert not ended.wait(1)
    proxy.refusing = True
    proxy.cut()
    assert not ended.wait(1)
    proxy.refusing = False
    client.cancel(run)
    assert ended.wait(15)


def test_waiting_goes_on_through_a_break(client, far, proxy, start):
    client.create_task("a", handler="a")
    run = client.task("a").run()
    waiting = threading.Thread(target=lambda: answers.append(far.wait(run, timeout=20)))
    answers: list[taskwheel.TaskRun] = []
    far.server_info()
    waiting.start()
    proxy.cut()
    start(a=lambda _: "done")
    waiting.join(20)
    assert [answer.result for answer in answers] == ["done"]


def test_a_wait_that_begins_in_an_outage_goes_on_once_that_is_over(client, far, proxy):
    client.create_task("a", handler="a")
    run = client.task("a").run()
    far.server_info()
    proxy.refusing = True
    proxy.cut()
    ended = threading.Event()

    def wait() -> None:
        assert far.wait(run, timeout=20).state == "CANCELLED"
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    assert not ended.wait(1)
    proxy.refusing = False
    client.cancel(run)
    assert ended.wait(15)


def test_a_wait_for_a_server_that_never_answered_is_refused_at_once(far, proxy):
    proxy.refusing = True
    with pytest.raises(taskwheel.Unavailable):
        far.wait("0197a000-0000-7000-8000-000000000000", timeout=600)


async def test_the_async_client_goes_on_too(client, proxy):
    async with taskwheel.AsyncClient(proxy.address) as far:
        events = await far.watch_events()
        client.create_task("a", handler="a")
        assert (await anext(events)).sequence == 1
        proxy.cut()
        client.create_task("b", handler="b")
        assert (await anext(events)).sequence == 2


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_a_result_outlives_the_stream_it_was_to_go_on(client, proxy, start, kind):
    begun, go = threading.Event(), threading.Event()

    def plain(_):
        begun.set()
        go.wait(10)
        return "kept"

    async def awaited(_):
        begun.set()
        await asyncio.get_running_loop().run_in_executor(None, go.wait, 10)
        return "kept"

    start(proxy.address, work=plain if kind == "plain" else awaited)
    client.create_task("work", handler="work")
    run = client.task("work").run()
    assert begun.wait(10)
    proxy.refusing = True
    proxy.cut()
    go.set()
    proxy.refusing = False
    done = client.wait(run, timeout=20)
    assert (done.result, done.attempt) == ("kept", 1)


def test_a_worker_that_was_cut_off_takes_new_runs_again(client, proxy, start):
    start(proxy.address, echo=lambda run: run.payload["n"])
    client.create_task("echo", handler="echo")
    for number in range(3):
        assert client.run_with_result("echo", {"n": number}, timeout=20) == number
        proxy.cut()


def test_a_worker_that_stops_while_cut_off_ends_after_its_grace(client, proxy, start, monkeypatch):
    monkeypatch.setattr("taskwheel._worker.worker._AFTER_GRACE", 0.1)
    begun = threading.Event()

    async def work(_):
        begun.set()
        await asyncio.Event().wait()

    worker = start(proxy.address, grace=0.1, work=work)
    client.create_task("work", handler="work")
    run = client.task("work").run()
    assert begun.wait(10)
    proxy.refusing = True
    proxy.cut()
    worker.stop()
    assert client.get_run(run).state == "RUNNING"


def test_a_worker_that_stops_while_cut_off_brings_home_all_it_has_when_it_can(
    client, proxy, start, monkeypatch, caplog
):
    monkeypatch.setattr("taskwheel._worker.worker._FIRST_DELAY", 600)
    monkeypatch.setattr("taskwheel._worker.worker._LAST_DELAY", 600)
    begun, go = threading.Event(), threading.Event()

    def work(run):
        begun.set()
        go.wait(10)
        run.log.info("the last line")
        return "kept"

    worker = start(proxy.address, grace=60, work=work)
    client.create_task("work", handler="work")
    run = client.task("work").run()
    assert begun.wait(10)
    proxy.refusing = True
    proxy.cut()
    # A line that is written before the worker hears of the break may be lost with it.
    while "no connection" not in caplog.text:
        pass
    go.set()
    worker.stop()
    proxy.refusing = False
    assert client.wait(run, timeout=30).result == "kept"
    assert [entry.message for entry in client.follow_logs(run)] == ["the last line"]


def test_what_a_worker_could_not_send_in_its_grace_it_says_at_the_end(client, proxy, start, monkeypatch):
    monkeypatch.setattr("taskwheel._worker.worker._AFTER_GRACE", 0.1)
    deliver = taskwheel.Worker._deliver

    async def deliver_when_the_server_is_back(*args):
        proxy.refusing = False
        await deliver(*args)

    monkeypatch.setattr(taskwheel.Worker, "_deliver", deliver_when_the_server_is_back)
    begun = threading.Event()

    async def work(run):
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            run.log.info("the last line")

    worker = start(proxy.address, grace=0.1, work=work)
    client.create_task("work", handler="work")
    run = client.task("work").run()
    assert begun.wait(10)
    proxy.refusing = True
    proxy.cut()
    worker.stop()
    done = client.wait(run, timeout=20)
    assert (done.state, done.error.name) == ("FAILED", "WorkerStopped")
    assert [entry.message for entry in client.follow_logs(run)] == ["the last line"]


def test_a_worker_and_a_watch_outlive_a_restart_of_the_server(database_url, clock, tmp_path):
    begun, go = threading.Event(), threading.Event()
    worker = taskwheel.Worker("unset")

    @worker.handler("work")
    def work(_: taskwheel.Run) -> str:
        begun.set()
        go.wait(20)
        return "kept"

    first = RunningServer(Settings(listen="127.0.0.1:0", database_url=database_url), clock)
    first.start()
    address = worker.address = first.address
    working = threading.Thread(target=worker.run)
    working.start()
    with taskwheel.Client(address) as client:
        events = client.watch_events(filter="type = run_succeeded")
        client.create_task("work", handler="work")
        run = client.task("work").run()
        assert begun.wait(10)
        first.stop()
        second = RunningServer(Settings(listen=address, database_url=database_url), clock)
        second.start()
        go.set()
        done = client.wait(run, timeout=20)
        assert (done.result, done.attempt) == ("kept", 1)
        assert next(events).run == run.name
        events.close()
        worker.stop()
        working.join(15)
        second.stop()
