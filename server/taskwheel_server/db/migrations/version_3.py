"""What was an index of `runs` that met every run again and again, in other places.

Runs by task: an index for each stage of a run's life. Request ids: a table. Servers of version 2 know nothing of it,
and must have ended.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic.operations import Operations

from taskwheel_server.db.dialect.types import string

_STAGES = {"runs_pending": "state <= 3", "runs_leased": "state IN (4, 5)", "runs_ended": "end_time IS NOT NULL"}


def upgrade(op: Operations) -> None:
    """Change version 2 to 3."""
    for name in ("runs_open", "runs_task", "runs_request_id"):
        op.drop_index(name, "runs")
    for name, stage in _STAGES.items():
        op.execute(f"CREATE INDEX {name} ON runs (task_uid, uid) WHERE {stage}")
    op.create_table(
        "requests",
        sa.Column("namespace", string(63), primary_key=True),
        sa.Column("request_id", string(128), primary_key=True),
        sa.Column("run_uid", string(36), nullable=False),
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO requests (namespace, request_id, run_uid)"
        " SELECT namespace, request_id, uid FROM runs WHERE request_id IS NOT NULL"
    )
