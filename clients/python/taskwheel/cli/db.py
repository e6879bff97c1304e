"""`taskwheel db`: the schema of a server's database."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from taskwheel.cli.extra import server_installed
from taskwheel.cli.serve import DatabaseUrl


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(status)
    app.command()(upgrade)


def status(*, database_url: DatabaseUrl = None) -> None:
    """Tell the version of the schema, and what this server knows; exit with 5 unless they are the same.

    Where the database cannot be used, with 6.
    """
    with _told():
        from taskwheel_server.db.schema import stored_version
        from taskwheel_server.db.tables import SCHEMA_VERSION

        version = stored_version(_url(database_url))
    typer.echo(f"the database has {_named(version)}; this server knows schema {SCHEMA_VERSION}")
    raise typer.Exit(0 if version == SCHEMA_VERSION else 5)


def upgrade(*, database_url: DatabaseUrl = None) -> None:
    """Bring the schema up to date, as `taskwheel serve` does by itself."""
    with _told():
        from taskwheel_server.clock import SystemClock
        from taskwheel_server.db.schema import stored_version
        from taskwheel_server.db.store import Store
        from taskwheel_server.db.tables import SCHEMA_VERSION

        version = stored_version(_url(database_url))
        Store(_url(database_url), SystemClock()).close()
    done = "is up to date" if version == SCHEMA_VERSION else f"had {_named(version)}"
    typer.echo(f"the database {done}: schema {SCHEMA_VERSION}")


def _named(version: int | None) -> str:
    return "no schema yet" if version is None else f"schema {version}"


def _url(database_url: str | None) -> str:
    from taskwheel_server.app.settings import Settings

    settings = Settings.read(os.environ, database_url=database_url)
    # What is typed goes before what the environment has for servers.
    return settings.database_url if database_url is not None else settings.direct_database_url or settings.database_url


@contextmanager
def _told() -> Iterator[None]:
    """Name the missing extra, and what is wrong with the database, in a line."""
    with server_installed():
        from taskwheel_server.errors import InvalidArgument, TaskwheelError
    try:
        yield
    except InvalidArgument as error:
        raise typer.BadParameter(error.description, param_hint="--database-url") from None
    except TaskwheelError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(6 if error.reason == "DATABASE_UNUSABLE" else 5) from None
