"""Pages of stored events."""

from __future__ import annotations

from pathlib import Path

import pytest

from taskwheel_server.clock import ManualClock
from taskwheel_server.db import events
from taskwheel_server.db.store import Store
from taskwheel_server.errors import OutOfRange
from taskwheel_server.feed.batch import Codec, load
from taskwheel_server.model.event import EventType

CODEC = Codec(event=lambda event: b"e%d " % event.sequence, mark=lambda sequence: b"m%d " % sequence)


def test_a_reader_whose_next_event_was_deleted_meanwhile_is_told_what_is_kept(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'a.db'}", ManualClock(0))
    with store.write() as connection:
        rows = [(EventType.TASK_CREATED, index, None, "t", None, None, None) for index in range(9)]
        events.append(connection, "default", rows)
        assert events.compact(connection, "default", 3, 100) == 4
    page = store.read(load, "default", 4, CODEC)
    assert page
    assert (page.first, page.last) == (5, 9)
    with pytest.raises(OutOfRange) as told:
        store.read(load, "default", 3, CODEC)
    assert told.value.reason == "EVENTS_COMPACTED"
    assert told.value.metadata == {"oldest_sequence": "5", "newest_sequence": "9"}
    store.close()
