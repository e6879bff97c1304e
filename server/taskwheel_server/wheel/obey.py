"""Obey: the commands of a turn, each kind by its stage, in an order that suits all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskwheel_server.wheel import admit, commands, edits, logs, settle, slots
from taskwheel_server.wheel.enlist import enlist

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taskwheel_server.wheel.commands import Command
    from taskwheel_server.wheel.turn import Turn

_STAGES: tuple[tuple[type[Command], Callable[[Turn, list[Any]], None]], ...] = (
    # What needs the lease goes before what ends it: a worker's last lines and its result may meet in one turn.
    (commands.AppendLogs, logs.append),
    (commands.RenewLeases, settle.renew),
    (commands.CompleteRuns, settle.complete),
    (commands.ReleaseRuns, settle.release),
    (commands.CancelRun, settle.cancel),
    # Runs are locked before their tasks, on every server: these lock tasks.
    (commands.AdmitRuns, admit.admit),
    (commands.AdmitSlots, slots.backfill),
)


def obey(turn: Turn, batch: Sequence[Command]) -> None:
    """Carry out the commands of a turn."""
    by_type: dict[type[Command], list[Any]] = {}
    for command in batch:
        by_type.setdefault(type(command), []).append(command)
    enlist(turn, batch)
    if edited := [command for command in batch if isinstance(command, edits.Edit)]:
        edits.edit(turn, edited)
    for kind, carry_out in _STAGES:
        if kind in by_type:
            carry_out(turn, by_type[kind])
