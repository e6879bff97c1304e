"""How much of it: a bounded number of faults at each landing, the full one by `make test-faults`."""

from __future__ import annotations

import os

FULL = os.environ.get("TASKWHEEL_TEST_FAULTS") == "full"


def size(bounded: int, full: int) -> int:
    """Return how many faults there are to be, or how many seconds they may take."""
    return full if FULL else bounded
