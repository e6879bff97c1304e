"""Health and reflection come from libraries; bytes that are no message must not get their class names out of them."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2  # type: ignore[import-untyped]
from grpc_reflection.v1alpha import reflection_pb2  # type: ignore[import-untyped]

from tests.faults.processes import Server, connect
from tests.fuzz.generate import mutilate
from tests.fuzz.judge import REFUSALS

SEED = 20260305
REQUESTS = 200
HEALTH = health_pb2.HealthCheckRequest(service="taskwheel.v1.TaskService").SerializeToString()
QUESTION = reflection_pb2.ServerReflectionRequest(file_containing_symbol="taskwheel.v1.Task").SerializeToString()
REFLECTION = "/grpc.reflection.{}.ServerReflection/ServerReflectionInfo"


async def _ask(stream: Any, request: bytes | None) -> None:
    """Send a request, if the call has not got it yet, and read the first answer."""
    if request is not None:
        await stream.write(request)
        await stream.done_writing()
    async for _ in stream:
        break
    stream.cancel()


async def test_health_and_reflection_refuse_what_they_cannot_decode(tmp_path: Path) -> None:
    draw = random.Random(SEED)
    statuses: Counter[str] = Counter()
    async with Server(tmp_path) as server, connect(server.target) as channel:
        check: Any = channel.unary_unary("/grpc.health.v1.Health/Check")
        watch: Any = channel.unary_stream("/grpc.health.v1.Health/Watch")
        ask: list[Any] = [channel.stream_stream(REFLECTION.format(version)) for version in ("v1", "v1alpha")]
        for _ in range(REQUESTS):
            health, question = mutilate(HEALTH, draw), mutilate(QUESTION, draw)
            for call in (
                check(health, timeout=5),
                _ask(watch(health, timeout=5), None),
                *(_ask(method(timeout=5), question) for method in ask),
            ):
                try:
                    await call
                    statuses["OK"] += 1
                except grpc.aio.AioRpcError as error:
                    statuses[error.code().name] += 1
    assert set(statuses) <= {"OK"} | REFUSALS, statuses
    assert statuses["OK"]
    assert statuses["INVALID_ARGUMENT"]
