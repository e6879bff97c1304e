"""What was granted, to compare with what is stored: nothing that was refused may be there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from google.protobuf.descriptor import MethodDescriptor

from tests.fuzz.calls import Outcome
from tests.fuzz.contract import MESSAGE, is_map, new

# Events that a call makes, each at most once.
EVENTS = {
    "task_created": {"CreateTask"},
    "task_updated": {"UpdateTask"},
    "task_renamed": {"RenameTask"},
    "task_deleted": {"DeleteTask"},
    "task_paused": {"PauseTask", "UpdateTask"},
    "task_resumed": {"ResumeTask", "UpdateTask"},
}
# Runs that the server starts by itself.
OWN_TRIGGERS = {"SCHEDULE", "RETRY", "CATCH_UP"}


class Ledger:
    """Keeps the uids that answers carried, and counts what was granted."""

    def __init__(self) -> None:
        self.uids: set[str] = set()
        self.granted: Counter[str] = Counter()

    def note(self, method: MethodDescriptor, outcome: Outcome) -> None:
        """Take down a call that was not refused."""
        if outcome.status != "OK":
            return
        self.granted[method.name] += 1
        for answer in outcome.answers:
            message = new(method.output_type)
            message.ParseFromString(answer)
            self.uids.update(_uids(message))

    def breaches(self, tasks: Iterable[Any], runs: Iterable[Any], events: Iterable[Any]) -> Iterator[str]:
        """Yield what is stored though nobody was granted it; the arguments are messages."""
        yield from (f"task {task.name} was not granted" for task in tasks if task.uid not in self.uids)
        for run in runs:
            trigger = run.Trigger.Name(run.trigger)
            if trigger not in OWN_TRIGGERS and run.uid not in self.uids:
                yield f"{trigger} run {run.name} was not granted"
        counts = Counter(event.type for event in events)
        for kind, makers in EVENTS.items():
            granted = sum(self.granted[maker] for maker in makers)
            if counts[kind] > granted:
                yield f"{counts[kind]} events {kind}, {granted} granted calls"


def _uids(message: Any) -> Iterator[str]:
    if "uid" in message.DESCRIPTOR.fields_by_name and message.uid:
        yield message.uid
    for field, value in message.ListFields():
        if field.type == MESSAGE and not is_map(field) and field.message_type.file.package == "taskwheel.v1":
            for each in value if field.is_repeated else [value]:
                yield from _uids(each)
