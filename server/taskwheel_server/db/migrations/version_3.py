"""Runs by task: an index for each stage of a run's life, in place of two that met every run again and again."""

from __future__ import annotations

from alembic.operations import Operations

_STAGES = {"runs_pending": "state <= 3", "runs_leased": "state IN (4, 5)", "runs_ended": "end_time IS NOT NULL"}


def upgrade(op: Operations) -> None:
    """Change version 2 to 3."""
    for name in ("runs_open", "runs_task"):
        op.drop_index(name, "runs")
    for name, stage in _STAGES.items():
        op.execute(f"CREATE INDEX {name} ON runs (task_uid, uid) WHERE {stage}")
