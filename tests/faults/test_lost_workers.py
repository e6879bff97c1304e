"""Workers that are killed, and workers that wake up when their leases have gone."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.struct_pb2 import NULL_VALUE

from taskwheel.v1.log_entry_pb2 import LogEntry
from taskwheel.v1.worker_service_pb2 import (
    Acknowledgement,
    AppendLogsRequest,
    CompleteTaskRunsRequest,
    Lease,
    LeaseRenewal,
    RenewLeasesRequest,
    RunResult,
)
from tests.faults.api import Api, create_tasks, final_state, log_of, reason_of
from tests.faults.checker import ZOMBIE, check
from tests.faults.held import begun, start_held_runs
from tests.faults.history import Acknowledged, Begun, History, Policy, Run, Told, read
from tests.faults.processes import Server, connect, now, until, workers
from tests.faults.size import size

KILLS = size(20, 1000)
AT_A_TIME = 5
RUNS_EACH = 4
LEASE = 1.0
# Beyond the end of the lease: what a run may take to be noticed.
SLACK = 1.0
SEED = 20260302


def _policies(ids: Iterable[str], attempts: int = 2) -> dict[str, Policy]:
    """Return for each worker a task that is retried when it is lost, and one that is not."""
    kinds = {"safe": Policy(max_attempts=attempts, retry_on_lost=True), "bare": Policy(max_attempts=attempts)}
    return {f"{worker}-{kind}": policy for worker in ids for kind, policy in kinds.items()}


async def _under_way(history: History, runs: Iterable[str]) -> None:
    await until(lambda: set(runs) <= begun(history), "the runs are under way")


async def _stored(api: Api, runs: Iterable[str]) -> list[Run]:
    stored = (await final_state(api)).runs
    return [stored[name] for name in runs]


async def _done(api: Api, runs: Iterable[str]) -> list[Run]:
    """Wait until all of `runs` have ended, and return them."""

    async def done() -> list[Run]:
        found = await _stored(api, runs)
        return found if all(run.done for run in found) else []

    found: list[Run] = await until(done, "the runs end")
    return found


def _worker_of(run: Run) -> str:
    return run.task_id.rpartition("-")[0]


@pytest.mark.timeout(size(240, 4 * 3600))
async def test_killed_workers_lose_their_leases_in_time_and_nothing_else_is_touched(
    tmp_path: Path, history: History, figure: Callable[..., None]
) -> None:
    draw = random.Random(SEED)
    victims = [f"victim-{number}" for number in range(KILLS)]
    policies = _policies(["survivor", *victims])
    delays: list[float] = []
    path = history.path
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(Server(tmp_path, lease=f"{LEASE:g}s"))
        api = Api(await stack.enter_async_context(connect(server.target)))
        await create_tasks(api, {task: task.rpartition("-")[0] for task in policies}, policies)
        others = await stack.enter_async_context(workers(server.target, path, {"survivor": ["survivor"]}))
        spared = await start_held_runs(api, history, ["survivor-safe", "survivor-bare"] * 8)
        await _under_way(history, spared)
        for first in range(0, KILLS, AT_A_TIME):
            group = victims[first : first + AT_A_TIME]
            async with workers(server.target, path, {worker: [worker] for worker in group}) as processes:
                kinds = ["safe", "bare"] * (RUNS_EACH // 2)
                names = await start_held_runs(api, history, [f"{worker}-{kind}" for worker in group for kind in kinds])
                await _under_way(history, names)
                killed = {}
                for worker in draw.sample(group, AT_A_TIME):
                    processes[worker].kill()
                    killed[worker] = now()
                for run in await _done(api, names):
                    end = "RETRIED" if run.task_id.endswith("-safe") else "FAILED"
                    assert (run.state, run.error_name) == (end, ZOMBIE), run
                    delays.append(run.end_time - killed[_worker_of(run)])
        assert {run.state for run in await _stored(api, spared)} == {"RUNNING"}
        retries = [run.retried_by_run for run in (await final_state(api)).runs.values() if run.retried_by_run]
        others |= await stack.enter_async_context(workers(server.target, path, {"successor": victims}))
        await _under_way(history, retries)
        for process in others.values():
            process.send(signal.SIGUSR1)
        assert {run.state for run in await _done(api, [*spared, *retries])} == {"SUCCEEDED"}
        final = await final_state(api)
    figure(kills=KILLS, runs=len(delays), seed=SEED)
    figure(lost_after_median=sorted(delays)[len(delays) // 2], lost_after_max=max(delays))
    assert check(read(path), final, policies) == []
    assert len(delays) == len(retries) * 2 == KILLS * RUNS_EACH
    assert min(delays) > 0, "a lease ended while its worker lived"
    assert max(delays) <= LEASE + SLACK


async def test_a_worker_that_wakes_after_its_lease_changes_nothing(tmp_path: Path, history: History) -> None:
    policies = _policies(["sleeper"], attempts=50)
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(Server(tmp_path, lease=f"{LEASE:g}s"))
        api = Api(await stack.enter_async_context(connect(server.target)))
        await create_tasks(api, dict.fromkeys(policies, "sleeper"), policies)
        sleeper = await stack.enter_async_context(workers(server.target, history.path, {"sleeper": ["sleeper"]}))
        names = await start_held_runs(api, history, list(policies))
        await _under_way(history, names)
        sleeper["sleeper"].send(signal.SIGSTOP)
        lost = await _done(api, names)
        leases = {record.run: record for record in read(history.path) if isinstance(record, Begun)}
        for run in lost:
            await _insist(api, leases[run.name])
        # It wakes with its work done; its reports, renewals and lines are on their way before it hears of its loss.
        sleeper["sleeper"].send(signal.SIGUSR1)
        sleeper["sleeper"].send(signal.SIGCONT)

        def answered() -> bool:
            answers = {record.run: record.status for record in read(history.path) if isinstance(record, Acknowledged)}
            return answers.keys() >= set(names) and all(answers[name] == "LEASE_LOST" for name in names)

        await until(answered, "the late reports are refused")
        told = {record.run for record in read(history.path) if isinstance(record, Told) and record.what == "LEASE_LOST"}
        assert told >= set(names)
        assert await _stored(api, names) == lost
        assert {run.error_name for run in lost} == {ZOMBIE}
        assert [await log_of(api, name) for name in names] == [[], []]
        # The retries of the one that is safe went to the same worker, each under a lease of its own.
        await until(lambda: _succeeded(api), "the last attempt ends")
        final = await final_state(api)
    assert check(read(history.path), final, policies) == []


async def test_runs_outlive_a_server_that_is_away_for_longer_than_their_leases(
    tmp_path: Path, history: History
) -> None:
    policies = _policies(["patient"])
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(Server(tmp_path, lease=f"{LEASE:g}s"))
        api = Api(await stack.enter_async_context(connect(server.target)))
        await create_tasks(api, dict.fromkeys(policies, "patient"), policies)
        patient = await stack.enter_async_context(workers(server.target, history.path, {"patient": ["patient"]}))
        names = await start_held_runs(api, history, list(policies))
        await _under_way(history, names)
        for end in (server.process.kill, server.stop):
            if ending := end():
                await ending
            away = now()
            await until(lambda: now() > away + 2 * LEASE, "every lease has run out")  # noqa: B023 - awaited at once
            await server.start()
            back = now()
            await until(lambda: now() > back + 2 * LEASE, "a lease passes unless it is renewed")  # noqa: B023
            assert {run.state for run in await _stored(api, names)} == {"RUNNING"}
        patient["patient"].send(signal.SIGUSR1)
        assert {run.state for run in await _done(api, names)} == {"SUCCEEDED"}
        final = await final_state(api)
    begun = [record.run for record in read(history.path) if isinstance(record, Begun)]
    assert sorted(begun) == sorted(names), "each was executed once"
    assert check(read(history.path), final, policies) == []


async def _succeeded(api: Api) -> bool:
    return "SUCCEEDED" in {run.state for run in (await final_state(api)).runs.values()}


async def _insist(api: Api, lease: Begun) -> None:
    """Say under an ended lease all that a worker can say, with unary calls."""
    which: dict[str, Any] = {"run": lease.run, "attempt": lease.attempt, "lease_token": lease.token}
    renewed = await api.workers.RenewLeases(RenewLeasesRequest(leases=[Lease(**which)]))
    assert [renewal.status for renewal in renewed.leases] == [LeaseRenewal.LEASE_LOST]
    results = [RunResult(**which, cancelled=True), RunResult(**which), RunResult(**which)]
    results[1].result.null_value = NULL_VALUE
    results[2].error.name = "Late"
    completed = await api.workers.CompleteTaskRuns(CompleteTaskRunsRequest(results=results))
    assert [each.status for each in completed.acknowledgements] == [Acknowledgement.LEASE_LOST] * 3
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await api.workers.AppendLogs(AppendLogsRequest(**which, entries=[LogEntry(message="late")]))
    assert refused.value.code() is grpc.StatusCode.ABORTED
    assert reason_of(refused.value)[0] == "LEASE_LOST"
