"""Changes of the schema: one module a version, `version_N`, whose `upgrade(op)` leads there from the version before.

Loaded when a database is behind: a new one is made as `tables` has it, and must come out the same. A migration is never
edited once it is released, and nothing in it may stop servers of the version before, for they go on while the first
new one starts, unless docs/postgresql.md says that they must have ended. All that are due run in one transaction.
"""

from __future__ import annotations

from importlib import import_module

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection


def migrate(connection: Connection, start: int, end: int) -> None:
    """Bring the schema from version `start` to `end`, in the transaction under way."""
    op = Operations(MigrationContext.configure(connection))
    for version in range(start + 1, end + 1):
        import_module(f"{__name__}.version_{version}").upgrade(op)
