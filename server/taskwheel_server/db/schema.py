"""The version of a database's schema: made where there is none, brought up to date, refused when it is too new."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import insert, inspect, select, update
from sqlalchemy.exc import DBAPIError

from taskwheel_server.db.dialect import dialect_of
from taskwheel_server.db.dialect.common import reason_of
from taskwheel_server.db.tables import SCHEMA_VERSION, meta, metadata, namespaces
from taskwheel_server.errors import FailedPrecondition
from taskwheel_server.model.names import DEFAULT_NAMESPACE

if TYPE_CHECKING:
    from sqlalchemy import Connection

_KEY = "schema_version"


def version_of(connection: Connection) -> int | None:
    """Return the version of the schema; None: there is none yet."""
    if not inspect(connection).has_table(meta.name):
        return None
    return int(connection.execute(select(meta.c.value).where(meta.c.key == _KEY)).scalar_one())


def stored_version(database_url: str) -> int | None:
    """Return the version of a database's schema, and change nothing; None: there is none yet.

    Raises:
        InvalidArgument: the URL cannot be used.
        FailedPrecondition: DATABASE_UNUSABLE.
    """
    dialect, url = dialect_of(database_url)
    if not dialect.exists(url):
        return None
    engine = dialect.reader(url, pooled=False)
    try:
        with engine.begin() as connection:
            return version_of(connection)
    except DBAPIError as error:
        raise unusable(error) from error
    finally:
        engine.dispose()


def unusable(error: BaseException | None) -> FailedPrecondition:
    """Return the error for a database that cannot be opened."""
    return FailedPrecondition("DATABASE_UNUSABLE", f"the database cannot be used: {reason_of(error)}")


def prepare(connection: Connection, now: int) -> None:
    """Make the schema what this server knows.

    Args:
        connection: in a writing transaction that no other server's change of the schema can overlap.
        now: µs.

    Raises:
        FailedPrecondition: SCHEMA_TOO_NEW.
    """
    version = version_of(connection)
    if version is None:
        metadata.create_all(connection)
        connection.execute(insert(meta).values(key=_KEY, value=str(SCHEMA_VERSION)))
        connection.execute(insert(namespaces).values(name=DEFAULT_NAMESPACE, create_time=now))
    elif version > SCHEMA_VERSION:
        raise FailedPrecondition(
            "SCHEMA_TOO_NEW",
            f"the database has schema {version}, this server knows {SCHEMA_VERSION}: run a newer server",
            schema_version=str(version),
        )
    elif version < SCHEMA_VERSION:
        # Not at every start: it takes as long as all else.
        from taskwheel_server.db.migrations import migrate  # noqa: PLC0415

        migrate(connection, version, SCHEMA_VERSION)
        connection.execute(update(meta).where(meta.c.key == _KEY).values(value=str(SCHEMA_VERSION)))
