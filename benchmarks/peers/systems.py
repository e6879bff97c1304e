"""What is measured: taskwheel, and each peer as shipped or as its makers tune it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from benchmarks.peers import services
from benchmarks.peers.site import Command, Site
from benchmarks.peers.toolchains import go_drivers, node_drivers, python_environment


@dataclass(frozen=True)
class System:
    """A queue and its surroundings.

    Args:
        name: what it is called in the table.
        driver: builds its driver and returns the command line that the scenario follows.
        services: starts what it needs.
        queued: how many runs are drained, and enqueued and worked at once; what takes some seconds.
        single: how many runs one caller enqueues one by one; many callers four times as many.
        schedules: how many schedules are due at once, in turn.
        lead: seconds that it takes to register the most of them.
        environment: variables for the driver.
        skips: scenarios that would tell nothing new.
    """

    name: str
    driver: Callable[[], Command]
    services: Callable[[Site], None]
    queued: int = 40_000
    single: int = 4_000
    schedules: tuple[int, ...] = (1_000, 10_000)
    lead: int = 20
    environment: Mapping[str, str] = field(default_factory=dict)
    skips: tuple[str, ...] = ()


def _ours(module: str) -> Callable[[], Command]:
    return lambda: [sys.executable, "-m", f"benchmarks.peers.python.{module}"]


def _go(peer: str) -> Callable[[], Command]:
    return lambda: [go_drivers(), peer]


def _node(script: str) -> Callable[[], Command]:
    return lambda: ["node", node_drivers() / script]


def _python(module: str) -> Callable[[], Command]:
    return lambda: [python_environment(), "-m", f"benchmarks.peers.python.{module}"]


_TUNED_RIVER = {"RIVER_MAX_WORKERS": "1000", "RIVER_FETCH_COOLDOWN_MS": "5"}

OURS = (
    System("taskwheel, SQLite", _ours("taskwheel_peer"), services.taskwheel_on_sqlite),
    System("taskwheel, SQLite, Go client", _go("taskwheel"), services.taskwheel_on_sqlite),
    System(
        "taskwheel, PostgreSQL, plain calls",
        _go("plain"),
        services.taskwheel_on_postgres,
        skips=("drain", "at_once", "schedules"),
    ),
    System("taskwheel, PostgreSQL", _ours("taskwheel_peer"), services.taskwheel_on_postgres, lead=60),
    System("taskwheel, PostgreSQL, Go client", _go("taskwheel"), services.taskwheel_on_postgres, lead=60),
)
PEERS = (
    System("River, MaxWorkers 1000, cooldown 5 ms", _go("river"), services.postgres, environment=_TUNED_RIVER),
    System("River as shipped", _go("river"), services.postgres, queued=5_000, skips=("schedules",)),
    System("graphile-worker, local queue", _node("graphile_worker.js"), services.postgres),
    System("BullMQ, Redis as shipped", _node("bullmq.js"), services.redis, single=16_000),
    System("BullMQ, Redis appendfsync always", _node("bullmq.js"), services.durable_redis, single=8_000),
    System("asynq, Redis as shipped", _go("asynq"), services.redis, single=32_000),
    System("asynq, Redis appendfsync always", _go("asynq"), services.durable_redis, queued=10_000, single=8_000),
    System("Celery, Redis", _python("celery_peer"), services.redis, queued=20_000, single=2_000, lead=30),
    System(
        "Temporal's dev server",
        _python("temporal_peer"),
        services.temporal,
        queued=500,
        single=200,
        schedules=(1_000,),
        lead=60,
    ),
)
