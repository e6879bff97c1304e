"""Runs that concurrent callers start together keep each an outcome of its own."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import taskwheel
from taskwheel._transport import Transport
from tests.client.proxy import Proxy
from tests.client.relay import PATIENCE, Relay

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
RUN, BATCH = "RunTask", "BatchRunTasks"


@pytest.fixture
def relay(server, client):
    client.create_task("work", handler="work", tags=["t"], labels={"l": "1"}, payload={"n": -1})
    relay = Relay(server.address)
    yield relay
    relay.close()


@pytest.fixture
async def far(relay):
    """An AsyncClient that coalesces, behind the relay."""
    async with taskwheel.AsyncClient(relay.address) as far:
        yield far


async def behind(relay, first, *others):
    """Start the others while the first is on its way; answer them all, as tasks."""
    relay.hold()
    tasks = [asyncio.ensure_future(first)]
    await asyncio.to_thread(relay.arrived.get, timeout=PATIENCE)
    tasks += map(asyncio.ensure_future, others)
    await asyncio.sleep(0)
    return tasks


async def together(relay, *calls):
    """What the calls answer or raise, all but the first started while that one is on its way."""
    tasks = await behind(relay, *calls)
    relay.release()
    return await asyncio.gather(*tasks, return_exceptions=True)


def stored(client):
    return sorted(client.list_runs(full=True), key=lambda run: run.uid)


async def test_runs_started_while_one_is_on_its_way_go_together_in_the_order_of_the_calls(relay, far, client):
    runs = await together(relay, *(far.task("work").run({"n": n}) for n in range(32)))
    assert relay.calls == [RUN, BATCH]
    assert [run.payload["n"] for run in runs] == list(range(32))
    assert [run.uid for run in stored(client)] == [run.uid for run in runs]
    assert [run.payload["n"] for run in stored(client)] == list(range(32))


def test_threads_share_batches_too(relay, monkeypatch):
    queued = threading.Semaphore(0)
    promise = Transport.promise

    def counted(transport):
        queued.release()
        return promise(transport)

    monkeypatch.setattr(Transport, "promise", counted)
    with taskwheel.Client(relay.address) as far, ThreadPoolExecutor(32) as threads:
        relay.hold()
        first = threads.submit(far.task("work").run, {"n": 0})
        relay.arrived.get(timeout=PATIENCE)
        others = [threads.submit(far.task("work").run, {"n": n}) for n in range(1, 32)]
        for _ in others:
            assert queued.acquire(timeout=PATIENCE)
        relay.release()
        assert [run.result(PATIENCE).payload for run in [first, *others]] == [{"n": n} for n in range(32)]
    assert relay.calls == [RUN, BATCH]


async def test_more_than_a_thousand_runs_are_several_batches(relay, far):
    runs = await together(relay, *(far.task("work").run({"n": n}) for n in range(1502)))
    assert [run.payload["n"] for run in runs] == list(range(1502))
    assert relay.calls == [RUN, BATCH, BATCH]


async def test_one_call_after_another_goes_alone(relay, far):
    for n in range(3):
        assert (await far.task("work").run({"n": n})).payload == {"n": n}
    assert relay.calls == [RUN] * 3


async def test_a_client_that_does_not_coalesce_sends_each_run_alone(relay):
    async with taskwheel.AsyncClient(relay.address, coalesce=False) as far:
        await together(relay, *(far.task("work").run({"n": n}) for n in range(3)))
    assert relay.calls == [RUN] * 3


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"priority": 7, "schedule_time": NOON},
        {"tags": ["a"], "labels": {"k": "v"}},
        {"request_id": "mine"},
    ],
)
async def test_a_run_looks_as_if_it_had_gone_alone(relay, far, fields):
    alone, (_, coalesced) = (
        await far.task("work").run({"a": [1, {"b": None}]}, **{**fields, "request_id": ""}),
        await together(relay, far.task("work").run({"n": 0}), far.task("work").run({"a": [1, {"b": None}]}, **fields)),
    )
    assert relay.calls == [RUN, RUN, BATCH]
    for own in ("name", "uid", "root_run", "request_id"):
        setattr(alone.raw, own, getattr(coalesced.raw, own))
    assert coalesced == alone
    assert coalesced.state_reason == "NO_WORKER"


async def test_a_run_without_payload_goes_alone_and_has_that_of_the_task(relay, far):
    runs = await together(relay, far.task("work").run({"n": 0}), far.task("work").run(), far.task("work").run())
    assert relay.calls == [RUN] * 3
    assert [run.payload for run in runs] == [{"n": 0}, {"n": -1}, {"n": -1}]


async def test_a_run_that_is_done_already_is_answered_with_its_result(relay, far, client, start):
    start(work=lambda run: run.payload)
    once = client.task("work").run({"n": 1}, request_id="once")
    client.wait(once, timeout=PATIENCE)
    _, again, other = await together(
        relay,
        far.task("work").run({"n": 0}),
        far.task("work").run({"n": 1}, request_id="once"),
        far.task("work").run({"n": 2}),
    )
    assert (again.uid, again.result, again.payload) == (once.uid, {"n": 1}, {"n": 1})
    assert other.payload == {"n": 2}


@pytest.mark.parametrize(
    ("task", "fields", "error", "reason"),
    [
        ("absent", {}, taskwheel.NotFound, "TASK_NOT_FOUND"),
        ("namespaces/other/tasks/work", {}, taskwheel.NotFound, "TASK_NOT_FOUND"),
        ("not a name", {}, taskwheel.InvalidArgument, "INVALID_FIELDS"),
        ("work", {"tags": [""]}, taskwheel.InvalidArgument, "INVALID_FIELDS"),
        ("work", {"request_id": "used"}, taskwheel.AlreadyExists, "REQUEST_ID_REUSED"),
    ],
)
async def test_a_run_at_fault_fails_alone(relay, far, client, task, fields, error, reason):
    client.task("work").run({"other": 1}, request_id="used")
    with pytest.raises(error) as alone:
        await far.task(task).run({"n": -2}, **fields)
    good = [far.task("work").run({"n": n}) for n in range(4)]
    first, fault, *others = await together(relay, good[0], far.task(task).run({"n": -2}, **fields), *good[1:])
    assert (type(fault), str(fault), fault.reason) == (error, str(alone.value), alone.value.reason)
    assert [run.payload["n"] for run in [first, *others]] == list(range(4))
    assert len(stored(client)) == 5


async def test_a_caller_that_is_cancelled_before_its_run_is_sent_starts_none(relay, far, client):
    tasks = await behind(relay, *(far.task("work").run({"n": n}) for n in range(4)))
    tasks[2].cancel()
    relay.release()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(answers[2], asyncio.CancelledError)
    assert [run.payload["n"] for run in stored(client)] == [0, 1, 3]


async def test_a_caller_that_is_cancelled_leaves_the_others_of_its_batch_alone(relay, far, client):
    tasks = await behind(relay, *(far.task("work").run({"n": n}) for n in range(4)))
    tasks[0].cancel()
    await asyncio.to_thread(relay.arrived.get, timeout=PATIENCE)
    tasks[1].cancel()
    await asyncio.sleep(0)
    relay.release()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(answer, asyncio.CancelledError) for answer in answers] == [True, True, False, False]
    assert {run.payload["n"] for run in stored(client)} >= {1, 2, 3}
    assert (await far.task("work").run({"n": 9})).payload == {"n": 9}


async def test_each_call_has_a_deadline_and_the_client_goes_on_behind_it(relay, far):
    await far.server_info()
    relay.arrived.get()
    far._transport.timeout = 1
    tasks = await behind(relay, *(far.task("work").run({"n": n}) for n in range(3)))
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(answer) for answer in answers] == [taskwheel.DeadlineExceeded] * 3
    relay.release()
    far._transport.timeout = PATIENCE
    assert (await far.task("work").run({"n": 9})).payload == {"n": 9}


def test_a_thread_has_a_deadline_too(relay):
    with taskwheel.Client(relay.address) as far, ThreadPoolExecutor(2) as threads:
        far.server_info()
        relay.arrived.get()
        far._core._transport.timeout = 1
        relay.hold()
        first = threads.submit(far.task("work").run, {"n": 0})
        relay.arrived.get(timeout=PATIENCE)
        for late in (threads.submit(far.task("work").run, {"n": 1}), first):
            with pytest.raises(taskwheel.DeadlineExceeded):
                late.result(PATIENCE)


async def test_a_server_that_is_not_there_is_the_error_of_each(relay, far):
    relay.before = lambda context: context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
    answers = await together(relay, *(far.task("work").run({"n": n}) for n in range(4)))
    assert [type(answer) for answer in answers] == [taskwheel.Unavailable] * 4
    assert len({id(answer) for answer in answers}) == 4
    assert relay.calls == [RUN] * 4 + [BATCH] * 4


async def test_a_connection_cut_between_commit_and_reply_gives_one_run_a_call(relay, client):
    proxy = Proxy(relay.address)
    relay.after = lambda _: proxy.cut() if relay.calls.count(relay.calls[-1]) == 1 else None
    async with taskwheel.AsyncClient(proxy.address) as far:
        runs = await together(relay, *(far.task("work").run({"n": n}) for n in range(8)))
    proxy.close()
    assert relay.calls == [RUN, RUN, BATCH, BATCH]
    assert [run.uid for run in stored(client)] == [run.uid for run in runs]


async def test_runs_in_different_names_never_share_a_batch(relay):
    caller = contextvars.ContextVar("caller", default="nobody")

    async with taskwheel.AsyncClient(relay.address, metadata=lambda: [("caller", caller.get())]) as far:

        async def run(name):
            caller.set(name)
            return await far.task("work").run({"name": name})

        await together(relay, run("ann"), run("bob"), run("ann"), run("bob"), run("ann"))
    sent = sorted((metadata["caller"], call) for metadata, call in zip(relay.metadata, relay.calls, strict=True))
    assert sent == [("ann", BATCH), ("ann", RUN), ("bob", BATCH), ("bob", RUN)]


async def test_callers_of_a_client_that_is_closed_do_not_wait_for_ever(relay):
    far = taskwheel.AsyncClient(relay.address)
    tasks = await behind(relay, *(far.task("work").run({"n": n}) for n in range(3)))
    await far.close()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(answer, BaseException) for answer in answers)


FAULTS = st.sampled_from(["none", "none", "refused", "lost", "cut"])
CALLS = st.lists(st.sampled_from(["good", "good", "good", "absent", "cancelled"]), min_size=2, max_size=24)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(calls=CALLS, faults=st.lists(FAULTS, max_size=6))
def test_whatever_happens_to_a_call_there_is_one_run_for_each_that_was_answered(relay, client, calls, faults):
    asyncio.run(check(relay, client, calls, list(faults)))


def misbehave(relay, proxy, faults):
    """Have the next call to the relay meet the last fault, and so on."""
    lock = threading.Lock()
    met: dict[int, str] = {}

    def before(context):
        with lock:
            met[id(context)] = faults.pop() if faults else "none"
        if met[id(context)] == "refused":
            context.abort(grpc.StatusCode.UNAVAILABLE, "refused")

    def after(context):
        if met[id(context)] == "cut":
            proxy.cut()
        if met[id(context)] == "lost":
            context.abort(grpc.StatusCode.UNAVAILABLE, "lost")

    relay.before, relay.after = before, after


async def check(relay, client, calls, faults):
    proxy = Proxy(relay.address)
    seen = {run.uid for run in stored(client)}
    misbehave(relay, proxy, faults)
    async with taskwheel.AsyncClient(proxy.address) as far:

        async def one(n, kind):
            return await far.task("absent" if kind == "absent" else "work").run({"n": n})

        tasks = [asyncio.ensure_future(one(n, kind)) for n, kind in enumerate(calls)]
        await asyncio.sleep(0)
        for task, kind in zip(tasks, calls, strict=True):
            if kind == "cancelled":
                task.cancel()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
    proxy.close()
    runs: dict[int, list[str]] = {n: [] for n in range(len(calls))}
    for run in stored(client):
        if run.uid not in seen:
            runs[run.payload["n"]].append(run.uid)
    for n, (kind, answer) in enumerate(zip(calls, answers, strict=True)):
        if isinstance(answer, taskwheel.TaskRun):
            assert (answer.payload, runs[n], kind) == ({"n": n}, [answer.uid], "good")
        elif kind == "absent":
            assert isinstance(answer, taskwheel.NotFound | taskwheel.Unavailable), answer
            assert runs[n] == []
        else:
            assert isinstance(answer, asyncio.CancelledError if kind == "cancelled" else taskwheel.Unavailable), answer
            assert len(runs[n]) <= 1
