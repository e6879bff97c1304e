"""The end of a test: what traffic saw, judged."""

from __future__ import annotations

from tests.faults.checker import check
from tests.faults.history import Final, History, read
from tests.faults.traffic import POLICIES, Traffic


async def judge(traffic: Traffic, history: History) -> Final:
    """Let traffic come to its end, and assert that there was enough of it and that every promise was kept."""
    final = await traffic.settle()
    breaches = check(read(history.path), final, POLICIES)
    listed = "\n".join(breaches[:20])
    assert not breaches, f"{len(breaches)} breaches, history in {history.path}:\n{listed}"
    assert traffic.load >= traffic.least_load, f"{traffic.load:.0f} calls a second: this was no test"
    return final
