"""What is said to the wheel for a caller who has gone: nobody waits for the answer.

Should it not arrive, because the store or the server is down, leases end by themselves.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

from taskwheel_server.errors import TaskwheelError
from taskwheel_server.model.run import Run
from taskwheel_server.wheel import Wheel
from taskwheel_server.wheel.commands import Command, Lease, ReleaseRuns, RenewLeases


def submit_unattended(wheel: Wheel, command: Command) -> None:
    """Hand in a command whose answer, and failure, is of no interest."""
    try:
        wheel.submit(command).add_done_callback(_forget)
    except TaskwheelError:
        return


def _forget(answer: asyncio.Future[Any]) -> None:
    # A failure that is never looked at would be logged as a fault of ours.
    if not answer.cancelled():
        answer.exception()


def hand_back(wheel: Wheel, claimed: Sequence[Run]) -> None:
    """Hand back runs that were claimed and never reached their worker."""
    if claimed:
        leases = [Lease(run.uid, run.attempt, run.lease_token or "") for run in claimed]
        submit_unattended(wheel, ReleaseRuns(leases=leases))


def hand_back_claim(wheel: Wheel, claim: asyncio.Future[list[Run]]) -> None:
    """Hand back what a claim nobody waits for any more brings."""
    if not claim.cancelled() and claim.exception() is None:
        hand_back(wheel, claim.result())


async def all_handed_back(wheel: Wheel) -> None:
    """Wait, once no caller is left, until what the wheel still gives out to them is on its way back.

    A turn that was under way when they went tells what it claimed only after its commit, and a wheel that stops takes
    nothing back.
    """
    with contextlib.suppress(TaskwheelError):
        await wheel.submit(RenewLeases(renewals=[]))
