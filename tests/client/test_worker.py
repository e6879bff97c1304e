"""Workers at a real server."""

import asyncio
import threading
import time

import grpc
import pytest

import taskwheel
from taskwheel_server.clock import SECOND


@pytest.fixture
def create(client):
    """Create a task whose handler has its name."""

    def create_task(name, **fields):
        client.create_task(name, handler=name, **fields)
        return client.task(name)

    return create_task


async def doubled_later(run):
    await asyncio.sleep(0)
    return {"n": 2 * run.payload["n"]}


def doubled(run):
    return {"n": 2 * run.payload["n"]}


class Doubler:
    async def __call__(self, run):
        return {"n": 2 * run.payload["n"]}


@pytest.mark.parametrize("handler", [doubled, doubled_later, Doubler()])
def test_the_handler_gets_the_payload_and_its_value_is_the_result(create, start, handler):
    start(double=handler)
    assert create("double").run_with_result({"n": 21}, timeout=10) == {"n": 42}


@pytest.mark.parametrize("value", [None, 0, "text", [1, {"a": None}], {"a": 1.5}, True])
def test_any_json_value_is_a_result(create, start, value):
    start(give=lambda _: value)
    assert create("give").run_with_result(timeout=10) == value


def test_the_run_tells_the_handler_about_itself(create, start):
    def tell(run):
        return [run.name, run.uid, run.task, run.handler, run.attempt, run.tags, run.labels, run.payload]

    start(tell=tell)
    task = create("tell", tags=["a"], labels={"k": "v"})
    run = task.run()
    name, uid, *rest = task.run_with_result(timeout=10)
    assert name.endswith(uid)
    assert rest == ["namespaces/default/tasks/tell", "tell", 1, ["a"], {"k": "v"}, {}]
    assert run.task_id == "tell"


class CardDeclined(Exception):
    pass


def declined(_: taskwheel.Run) -> None:
    raise CardDeclined("by the bank")


async def declined_later(_):
    raise CardDeclined("by the bank")


@pytest.mark.parametrize("handler", [declined, declined_later])
def test_what_a_handler_raises_is_the_error_of_the_run(create, start, handler):
    start(pay=handler)
    with pytest.raises(taskwheel.RunFailed, match="CardDeclined: by the bank") as caught:
        create("pay").run_with_result(timeout=10)
    error = caught.value.run.error
    assert error is not None
    assert (error.name, error.type, error.message) == (
        "CardDeclined",
        f"{CardDeclined.__module__}.CardDeclined",
        "by the bank",
    )
    assert handler.__name__ in error.stack
    assert "executor" not in error.stack


def leave(_):
    raise SystemExit(3)


async def leave_later(_):
    raise SystemExit(3)


def huge(_):
    raise ValueError("x" * 100_000)


@pytest.mark.parametrize(
    ("handler", "name", "message"),
    [
        (lambda _: object(), "UnsupportedValue", "result: object is not JSON"),
        (lambda _: {"n": 2**60}, "UnsupportedValue", "result.n: an integer beyond 2^53"),
        (lambda _: "x" * 2**20, "resultTooLarge", "more than 1 MiB"),
        (leave, "SystemExit", "3"),
        (leave_later, "SystemExit", "3"),
        (huge, "ValueError", "xxx"),
    ],
)
def test_what_cannot_be_a_result_is_an_error_and_the_worker_goes_on(create, start, handler, name, message):
    start(odd=handler)
    task = create("odd")
    for _ in range(2):
        with pytest.raises(taskwheel.RunFailed) as caught:
            task.run_with_result(timeout=10)
        error = caught.value.run.error
        assert error is not None
        assert (error.name, len(error.message) <= 8192) == (name, True)
        assert message in error.message


def test_a_failed_attempt_is_tried_again_by_its_name(create, start, client, server):
    start(flaky=lambda run: run.attempt if run.attempt == 3 else declined(run))
    task = create("flaky", retry_policy=taskwheel.retry(4, delays=[0], only=["CardDeclined"]))
    assert task.run_with_result(timeout=10) == 3


def test_logs_can_be_followed_and_read_again(create, start, client):
    go = threading.Event()

    def talk(run):
        run.log.info("begun", step=1)
        go.wait(10)
        run.log.error("ended")

    start(talk=talk)
    run = create("talk").run()
    entries = client.follow_logs(run)
    first = next(entries)
    assert (first.level, first.message, first.fields, first.sequence) == ("INFO", "begun", {"step": 1}, 1)
    go.set()
    assert [entry.message for entry in entries] == ["ended"]
    assert [entry.message for entry in client.follow_logs(run, follow=False)] == ["begun", "ended"]
    assert [entry.message for entry in client.follow_logs(run, min_level="ERROR")] == ["ended"]
    assert [entry.message for entry in client.follow_logs(run, after=1)] == ["ended"]


def test_a_line_right_before_the_result_is_not_lost(create, start, client):
    start(talk=lambda run: run.log.info("done"))
    run = client.wait(create("talk").run(), timeout=10)
    assert [entry.message for entry in client.follow_logs(run)] == ["done"]


def test_the_last_progress_is_kept(create, start, client):
    start(work=lambda run: run.progress(0.5, "half"))
    done = client.wait(create("work").run(), timeout=10)
    assert (done.progress.ratio, done.progress.message) == (0.5, "half")


def test_progress_is_seen_while_the_run_goes_on(create, start, client):
    go = threading.Event()

    def work(run):
        run.progress(0.25)
        go.wait(10)

    start(work=work)
    run = create("work").run()
    while not (now := client.get_run(run)).progress:
        assert not now.done
    assert now.state == "RUNNING"
    go.set()


def cancelled_plain(run):
    while True:
        run.raise_if_cancelled()
        time.sleep(0.001)


async def cancelled_async(_):
    await asyncio.Event().wait()


@pytest.mark.parametrize("handler", [cancelled_plain, cancelled_async])
def test_a_running_handler_is_asked_to_stop(create, start, client, handler):
    start(work=handler)
    events = client.watch_events(filter="type = run_started")
    run = create("work").run()
    next(events)
    assert client.cancel(run).state == "CANCELLING"
    assert client.wait(run, timeout=10).state == "CANCELLED"
    with pytest.raises(taskwheel.RunFailed, match="CANCELLED"):
        raise taskwheel.RunFailed(client.get_run(run))
    events.close()


def test_a_result_that_arrives_before_the_handler_stops_stands(create, start, client):
    began = threading.Event()

    def work(run):
        began.set()
        while not run.cancelled:
            time.sleep(0.001)
        return "done anyway"

    start(work=work)
    run = create("work").run()
    assert began.wait(10)
    client.cancel(run)
    assert client.wait(run, timeout=10).result == "done anyway"


def test_a_lost_lease_stops_the_handler_and_drops_its_result(create, start, client, crank):
    began, stopped = threading.Event(), threading.Event()

    async def work(_):
        began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            stopped.set()
            return "too late"

    start(work=work)
    run = create("work").run()
    assert began.wait(10)
    crank(31 * SECOND)
    done = client.wait(run, timeout=10)
    assert (done.state, done.error.type, done.error.name) == ("FAILED", "system", "zombieTaskCleaned")
    assert stopped.wait(10)


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_no_more_runs_are_at_work_than_allowed(create, start, client, kind):
    at_work, most = set(), []

    def plain(run):
        at_work.add(run.uid)
        most.append(len(at_work))
        time.sleep(0.002)
        at_work.discard(run.uid)

    async def awaited(run):
        at_work.add(run.uid)
        most.append(len(at_work))
        await asyncio.sleep(0.002)
        at_work.discard(run.uid)

    create("work")
    runs = client.run_many(taskwheel.RunRequest(task="work") for _ in range(30))
    start(work=plain if kind == "plain" else awaited, max_concurrent_runs=3)
    for run in runs:
        assert client.wait(run, timeout=10).state == "SUCCEEDED"
    assert max(most) <= 3


def test_a_worker_that_stops_finishes_what_it_has_begun_and_hands_back_the_rest(create, start, client):
    began, go = threading.Event(), threading.Event()

    def work(_):
        began.set()
        go.wait(10)
        return "finished"

    worker = start(work=work, max_concurrent_runs=1)
    task = create("work")
    first, second = task.run(), task.run()
    assert began.wait(10)
    worker.stop()
    go.set()
    assert client.wait(first, timeout=10).result == "finished"
    assert client.get_run(second).state == "PENDING"


def test_async_handlers_are_interrupted_when_the_grace_is_over(create, start, client):
    began = threading.Event()

    async def work(_):
        began.set()
        await asyncio.Event().wait()

    worker = start(work=work, grace=0.05)
    run = create("work").run()
    assert began.wait(10)
    worker.stop()
    done = client.wait(run, timeout=10)
    assert (done.state, done.error.name) == ("FAILED", "WorkerStopped")


def test_a_second_stop_does_not_wait_for_the_grace(create, start, client):
    began = threading.Event()

    async def work(_):
        began.set()
        await asyncio.Event().wait()

    worker = start(work=work, grace=1000)
    run = create("work").run()
    assert began.wait(10)
    worker.stop()
    worker.stop()
    assert client.wait(run, timeout=10).error.name == "WorkerStopped"


def test_a_worker_without_handlers_or_with_two_of_one_name_is_a_mistake():
    worker = taskwheel.Worker()
    with pytest.raises(ValueError, match="no handlers"):
        worker.run()
    worker.handler("a")(doubled)
    with pytest.raises(ValueError, match="already"):
        worker.handler("a")(doubled)


def test_a_worker_that_the_server_refuses_says_so(server):
    worker = taskwheel.Worker(server.address, max_concurrent_runs=0)
    worker.handler("a")(doubled)
    with pytest.raises(taskwheel.InvalidArgument):
        worker.run()


def test_an_outage_is_told_once(monkeypatch, caplog):
    worker = taskwheel.Worker("127.0.0.1:9")
    worker.handler("h")(lambda run: None)
    welcomes = [False, False, True, False, False]

    class Broken:
        def __init__(self, *_):
            self.welcomed = welcomes.pop(0)

        async def work(self):
            if not welcomes:
                worker.stop()
            raise taskwheel.Unavailable(grpc.StatusCode.UNAVAILABLE, "refused")

    monkeypatch.setattr("taskwheel._worker.worker.Stream", Broken)
    monkeypatch.setattr("taskwheel._worker.worker._FIRST_DELAY", 0.001)
    worker.run()
    told = "no connection to 127.0.0.1:9, trying again: refused [UNAVAILABLE]"
    assert [record.message for record in caplog.records] == [told] * 2
