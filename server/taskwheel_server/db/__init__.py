"""The store: every SQL statement, each a function over a batch. `dialect` holds all that differs between databases."""

from sqlalchemy import Connection

from taskwheel_server.db.dialect.common import Question, StaleTurn, reason_of

__all__ = ["Connection", "Question", "StaleTurn", "reason_of"]
