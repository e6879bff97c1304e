"""Append: log lines of leased runs, numbered within each run, up to a bound."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskwheel_server.db import logs, runs
from taskwheel_server.model.event import LogLevel
from taskwheel_server.wheel.settle import holds

if TYPE_CHECKING:
    from taskwheel_server.model.run import Run
    from taskwheel_server.wheel.commands import AppendLogs, LogLine
    from taskwheel_server.wheel.turn import Turn

MAX_RUN_LOG_BYTES = 16 * 1024 * 1024
# LogEntry.Stream.SYSTEM of the contract: lines that the server writes itself.
SYSTEM_STREAM = 4
_MARKER = "This run has logged 16 MiB; what follows is dropped."


def append(turn: Turn, commands: list[AppendLogs]) -> None:
    """Append the lines of leases that hold; answer each command which ones did."""
    leased = runs.by_uid(turn.connection, {lease.uid for command in commands for lease, _ in command.batches})
    rows: list[tuple[Any, ...]] = []
    logged: dict[str, Run] = {}
    for command in commands:
        answers: list[bool] = []
        for index, (lease, lines) in enumerate(command.batches):
            run = leased.get(lease.uid)
            held = run is not None and holds(turn, run, lease)
            answers.append(held)
            if run is not None and held and run.log_count == command.before.setdefault(index, run.log_count):
                rows += [row for line in lines for row in _row(turn, run, line)]
                logged[run.uid] = run
        turn.answer(command, answers)
    logs.insert(turn.connection, rows)
    runs.write_logged(turn.connection, list(logged.values()))
    turn.outcome.logged |= logged.keys()


def _row(turn: Turn, run: Run, line: LogLine) -> list[tuple[Any, ...]]:
    if run.log_bytes > MAX_RUN_LOG_BYTES:
        return []
    run.log_count += 1
    run.log_bytes += len(line.message.encode()) + len(line.fields or b"") + 64
    when = turn.now if line.time is None else line.time
    if run.log_bytes > MAX_RUN_LOG_BYTES:
        return [(run.uid, run.log_count, when, LogLevel.WARNING, SYSTEM_STREAM, _MARKER, None)]
    return [(run.uid, run.log_count, when, line.level, line.stream, line.message, line.fields)]
