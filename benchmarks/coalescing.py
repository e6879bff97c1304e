"""The case of the Python client: what it makes of many callers in one process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct

from benchmarks.cases import PAYLOAD, Bench
from benchmarks.hand import TASK
from benchmarks.measure import Case, Figure, Reading

CALLERS = 32


@contextmanager
def many_callers(bench: Bench) -> Iterator[Case]:
    """A run per call from 32 callers of one client, beside a client that does not coalesce; the CPU is the client's."""
    runs, payload = bench.amount(8_000, CALLERS), MessageToDict(Struct.FromString(PAYLOAD))
    with bench.server() as server:

        def measure(*, coalesce: bool) -> list[Reading]:
            def reading(command: str) -> Reading:
                calls = {"task": TASK, "payload": payload, "callers": CALLERS, "runs": runs}
                measured = bench.load(command, target=server.target, coalesce=coalesce, **calls)
                return Reading(runs / measured["seconds"], 1e6 * measured["cpu"] / runs)

            return [reading("run_async"), reading("run_threads")]

        yield Case(
            (
                Figure(f"AsyncClient, {CALLERS} callers", "runs/s", 2, by_ratio=True),
                # What the threads gain they spend in part on waiting for the interpreter.
                Figure(f"Client, {CALLERS} threads", "runs/s", 1.5, by_ratio=True),
            ),
            lambda: measure(coalesce=True),
            lambda: measure(coalesce=False),
            "uncoalesced",
        )
