"""Namespaces: for now the one that exists from the start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskwheel_server.db.dialect import fetch

if TYPE_CHECKING:
    from sqlalchemy import Connection


def names(connection: Connection) -> list[str]:
    """Return the names of all namespaces, in order."""
    return [row[0] for row in fetch(connection, "SELECT name FROM namespaces ORDER BY name")]


def sequences(connection: Connection) -> dict[str, int]:
    """Return the sequence of each namespace's newest event, by its name."""
    return dict(fetch(connection, "SELECT name, sequence FROM namespaces"))
