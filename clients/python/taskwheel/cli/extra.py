"""The commands that run a server need more than the base install."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer


@contextmanager
def server_installed() -> Iterator[None]:
    """Around the imports of the server: name the extra that brings it, where it is not there."""
    try:
        yield
    except ModuleNotFoundError as error:
        typer.echo(
            f"error: there is no {error.name}; install the extra `server`: pip install 'taskwheel[server]'", err=True
        )
        raise typer.Exit(2) from None
