"""`taskwheel serve`."""

from __future__ import annotations

import os
from typing import Annotated

import typer


def serve(
    *,
    listen: Annotated[
        str | None,
        typer.Option(
            envvar="TASKWHEEL_LISTEN",
            metavar="HOST:PORT",
            help="Where to listen; port 0: any free one.  [default: 127.0.0.1:7420]",
        ),
    ] = None,
    database_url: Annotated[
        str | None,
        typer.Option(
            envvar="TASKWHEEL_DATABASE_URL",
            metavar="URL",
            help="Where everything is kept.  [default: sqlite:///taskwheel.db]",
        ),
    ] = None,
    lease: Annotated[
        str | None,
        typer.Option(
            envvar="TASKWHEEL_LEASE",
            metavar="DURATION",
            help="How long a worker holds a run unless it renews.  [default: 30s]",
        ),
    ] = None,
) -> None:
    """Serve the API until SIGTERM or Ctrl-C."""
    try:
        from taskwheel_server.app.serve import serve as run_server
        from taskwheel_server.app.settings import Settings
        from taskwheel_server.errors import InvalidArgument
    except ModuleNotFoundError as error:
        typer.echo(
            f"error: there is no {error.name}; install the extra `server`: pip install 'taskwheel[server]'", err=True
        )
        raise typer.Exit(2) from None
    try:
        settings = Settings.read(os.environ, listen=listen, database_url=database_url, lease=lease)
    except InvalidArgument as error:
        raise typer.BadParameter(error.description, param_hint=f"--{error.field}") from None
    raise typer.Exit(run_server(settings))
