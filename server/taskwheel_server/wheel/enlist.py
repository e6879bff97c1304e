"""Enlist: who takes work from now on, and who does no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskwheel_server.wheel import commands

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskwheel_server.wheel.commands import Command
    from taskwheel_server.wheel.turn import Turn
    from taskwheel_server.workers import Registry


def enlist(turn: Turn, batch: Sequence[Command]) -> None:
    """Note the streams and claims that come, drain and go."""
    registry = turn.registry
    for command in batch:
        match command:
            case commands.Attach(session=session):
                registry.attach(session)
            case commands.Detach(session=session):
                registry.detach(session)
            case commands.Drain(session=session):
                session.draining = True
            case commands.Withdraw(demand=demand):
                registry.demands.pop(demand, None)
            case commands.ClaimRuns(demand=demand):
                demand.ticket = command.ticket
                registry.demands[demand] = None
                continue
            case _:
                continue
        turn.answer(command, None)


def withdraw(registry: Registry, batch: Sequence[Command]) -> None:
    """Forget those who asked for runs in a turn that failed, and those who wanted no more: nobody says so again."""
    for command in batch:
        match command:
            case commands.ClaimRuns(demand=demand) | commands.Withdraw(demand=demand):
                registry.demands.pop(demand, None)
            case commands.Attach(session=session) | commands.Detach(session=session):
                registry.detach(session)
            case commands.Drain(session=session):
                session.draining = True
