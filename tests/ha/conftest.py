from __future__ import annotations

from tests.faults.conftest import database_url, durable, figure, history

__all__ = ["database_url", "durable", "figure", "history"]
