"""Writes whose answers are not waited for: what they failed to do undoes the transaction, at the latest at its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from taskwheel_server.clock import ManualClock
from taskwheel_server.db import StaleTurn
from taskwheel_server.db.dialect import fetch_value, insert_all, insert_missing, post, update_all
from taskwheel_server.db.store import Store
from taskwheel_server.db.tables import labels, logs, namespaces
from tests.databases import Databases

Step = Callable[[Any], Any]


@pytest.fixture
def store(databases: Databases) -> Iterator[Store]:
    store = Store(databases.fresh(), ManualClock(0))
    with store.write() as connection:
        keep("taken")(connection)
    yield store
    store.close()


def number(*names: str, sequence: int = 7) -> Step:
    """Number the newest event of namespaces; only `default` is there."""
    rows = [(sequence + index, name) for index, name in enumerate(names)]
    return lambda connection: update_all(connection, namespaces, ("sequence",), ("name",), rows)


def keep(*keys: str, insert: Any = insert_all) -> Step:
    """Insert labels."""
    return lambda connection: insert(connection, labels, ("key", "value", "owner"), [(key, "", "") for key in keys])


def read(connection: Any) -> Any:
    return fetch_value(connection, "SELECT sequence FROM namespaces")


def stored(store: Store) -> tuple[Any, Any]:
    """Return the newest event's number, and how many labels there are."""
    return store.read(read), store.read(lambda connection: fetch_value(connection, "SELECT count(*) FROM labels"))


AFTERWARDS: list[list[Step]] = [
    [],
    [read],
    [number("default")],
    [number("default"), read],
    [keep("k", insert=insert_missing)],
]


@pytest.mark.parametrize("afterwards", AFTERWARDS)
@pytest.mark.parametrize(
    "faulty",
    [number("gone"), number("default", "gone"), keep("taken"), keep("k", "taken")],
    ids=["a row is gone", "one of two rows is gone", "a key is taken", "one of two keys is taken"],
)
def test_a_transaction_does_all_that_it_must_or_nothing(store: Store, faulty: Step, afterwards: list[Step]) -> None:
    def turn() -> None:
        with store.write() as connection:
            for step in [number("default", sequence=3), faulty, *afterwards]:
                step(connection)

    for _ in range(2):
        with pytest.raises(StaleTurn):
            turn()
        assert stored(store) == (0, 1)
    with store.write() as connection:
        number("default")(connection)
        keep("taken", "k", insert=insert_missing)(connection)
    assert stored(store) == (7, 2)


def test_a_transaction_that_fails_for_another_reason_leaves_nothing_of_what_it_posted(store: Store) -> None:
    def turn() -> None:
        with store.write() as connection:
            number("default")(connection)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        turn()
    assert stored(store) == (0, 1)


def test_a_read_finds_what_was_posted_before(store: Store) -> None:
    with store.write() as connection:
        for sequence in (3, 4):
            number("default", sequence=sequence)(connection)
            assert read(connection) == sequence


def test_more_than_any_buffer_holds_is_posted(store: Store) -> None:
    columns = ("run_uid", "sequence", "time", "level", "stream", "message")
    with store.write() as connection:
        for run in "ab":
            insert_all(connection, logs, columns, [(run, line, 0, 0, 0, "7" * 2**20) for line in range(16)])
        for _ in range(500):
            post(connection, "UPDATE namespaces SET sequence = sequence + 1")
    assert store.read(read) == 500
    assert store.read(lambda connection: fetch_value(connection, "SELECT count(*) FROM logs")) == 32
