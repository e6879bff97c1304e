"""How calls ended."""

from __future__ import annotations

from collections import Counter

from tests.faults.checker import ALLOWED
from tests.faults.history import Call, History, read


def statuses(history: History) -> Counter[str]:
    """Count the statuses of calls, but for what callers were told because of their own requests, or broke off."""
    calls = (record for record in read(history.path) if isinstance(record, Call))
    return Counter(call.status for call in calls if call.status not in {"CANCELLED"} | ALLOWED.get(call.method, set()))
