"""The store: every SQL statement, each a function over a batch. `dialect` holds all that differs between databases."""

from sqlalchemy import Connection

__all__ = ["Connection"]
