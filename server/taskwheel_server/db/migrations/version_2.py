"""On PostgreSQL: pages with room for the next state of a row, and a vacuum before half of a busy table is dead."""

from __future__ import annotations

from alembic.operations import Operations


def upgrade(op: Operations) -> None:
    """Change version 1 to 2."""
    if op.get_bind().dialect.name != "postgresql":
        return
    busy = "fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02"
    for table in ("runs", "tasks"):
        op.execute(f"ALTER TABLE {table} SET ({busy})")
