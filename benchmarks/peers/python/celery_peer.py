"""Celery on Redis: the stock worker with its processes, and the stock beat. No results are kept, which is its best."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from functools import cache
from pathlib import Path
from struct import Struct
from typing import Any, BinaryIO

import redis
from celery import Celery
from celery.schedules import crontab

from benchmarks.peers.python.protocol import End, Payload, Peer, Record, drive, payload, produce

MODULE = "benchmarks.peers.python.celery_peer"
REDIS = f"redis://{os.environ['REDIS_ADDRESS']}/0"
# Where the worker's processes write down each start: when, which run, when enqueued.
STARTS = "CELERY_STARTS"
# `COUNT MINUTE HOUR` for beat.
SCHEDULES = "CELERY_SCHEDULES"
LOOK = 0.01

_start = Struct("<dqd")
app = Celery(broker=REDIS, backend=None)
app.conf.update(task_ignore_result=True, timezone="UTC", broker_connection_retry_on_startup=True)


@app.task(name="noop")
def noop(**payload: Any) -> None:
    _starts().write(_start.pack(time.time(), payload["id"], payload["time"]))


@cache
def _starts() -> BinaryIO:
    return Path(os.environ[STARTS]).open("ab", buffering=0)


if SCHEDULES in os.environ:
    count, minute, hour = map(int, os.environ[SCHEDULES].split())
    app.conf.beat_schedule = {
        str(number): {"task": "noop", "schedule": crontab(minute, hour), "kwargs": payload(number)}
        for number in range(count)
    }


class CeleryPeer(Peer):
    """The queue `celery`."""

    async def setup(self) -> None:
        pass

    async def producer(self, callers: int) -> Callable[[Payload], Awaitable[object]]:
        app.connection_for_write().ensure_connection()

        # One after another: threads only make it slower.
        async def one(payload: Payload) -> None:
            noop.apply_async(kwargs=payload)

        return one

    async def fill(self, runs: int) -> None:
        await produce(await self.producer(1), runs, 1)

    async def work(self, record: Record) -> End:
        return await self._start(record, ["worker", "--without-gossip", "--without-mingle"])

    async def schedule(self, count: int, due: datetime, record: Record) -> End:
        os.environ[SCHEDULES] = f"{count} {due.minute} {due.hour}"
        beat = ["beat", "--pidfile=", f"--schedule={tempfile.mkdtemp()}/beat"]
        return await self._start(record, ["worker", "--without-gossip", "--without-mingle"], beat)

    async def left(self) -> int:
        queue = redis.Redis.from_url(REDIS)
        return int(queue.llen("celery")) + int(queue.hlen("unacked"))

    async def _start(self, record: Record, *commands: list[str]) -> End:
        os.environ[STARTS] = str(Path(tempfile.mkdtemp()) / "starts")
        celery = [sys.executable, "-m", "celery", "-A", MODULE, "--quiet"]
        processes = [
            await asyncio.create_subprocess_exec(*celery, *command, "-l", "ERROR", stdout=sys.stderr)
            for command in commands
        ]
        following = asyncio.create_task(_follow(record))
        while not await asyncio.to_thread(app.control.ping, timeout=0.5):
            pass

        async def end() -> None:
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following
            for process in processes:
                process.terminate()
            for process in processes:
                await process.wait()

        return end


async def _follow(record: Record) -> None:
    """Read what the worker's processes write down."""
    _starts()
    with Path(os.environ[STARTS]).open("rb") as starts:  # noqa: ASYNC230 - a local file does not block
        while True:
            for start, number, enqueued in _start.iter_unpack(starts.read()):
                record.note(start, number, enqueued)
            await asyncio.sleep(LOOK)


if __name__ == "__main__":
    asyncio.run(drive(CeleryPeer()))
