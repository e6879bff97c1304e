"""Lists of more rows than a page may look through: nothing is lost or repeated, and no page costs more for it."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from taskwheel_server.db import event_reads, events, runs, walk
from taskwheel_server.db.event_reads import list_events
from taskwheel_server.db.listing import Page, Query
from taskwheel_server.db.run_reads import list_runs
from taskwheel_server.db.store import Store
from taskwheel_server.model.event import EventType
from taskwheel_server.model.run import Run
from taskwheel_server.model.state import State
from taskwheel_server.model.uid import Minter

# As in the clock of all tests, 2026-03-01 12:00:00 UTC.
START = 1_772_366_400_000_000
TASKS = [f"019ca945-0a00-7000-8000-00000000000{digit}" for digit in "abc"]
STATES = [State.SUCCEEDED] * 8 + [State.FAILED, State.READY, State.READY, State.RUNNING]


@pytest.fixture
def store(database_url, clock):
    store = Store(database_url, clock)
    yield store
    store.close()


def fill(store: Store, count: int) -> list[Run]:
    """Store runs of every kind, with their events; those that end do so several at a time, not in the order of uids."""
    chance = random.Random(count)
    now, minter = store.clock.now(), Minter(store.clock)
    made = []
    for uid in minter.mint_many(count):
        state = chance.choice(STATES)
        run = Run(uid, "default", chance.choice(TASKS), "t", "h", state, create_time=now)
        run.end_time = START + chance.randrange(1, count // 3) if state.done else None
        run.priority = chance.randrange(3)
        run.tags = '["rare"]' if chance.random() < 0.02 else '["often"]' if chance.random() < 0.5 else ""
        made.append(run)
    with store.write() as connection:
        runs.insert(connection, made)
        owned = [("", run.tags[2:-2], run.uid) for run in made if run.tags]
        runs.index_labels(connection, owned)
        rows = [
            (EventType.RUN_PENDING, now, run.uid, None, None, f"w{index % 7}", None) for index, run in enumerate(made)
        ]
        events.append(connection, "default", rows)
    return made


def walked(store: Store, function: Callable[..., Page[Any]], query: Query, **fields: Any) -> list[Page[Any]]:
    pages: list[Page[Any]] = []
    while not pages or query.page_token:
        pages.append(store.read(function, query, 0, **fields))
        query = replace(query, page_token=pages[-1].next_page_token)
        assert len(pages) < 1_000
    return pages


RUN_FILTERS: dict[str, Callable[[Run], bool]] = {
    "": lambda _: True,
    "state = RUNNING": lambda run: run.state is State.RUNNING,
    "state = PENDING OR state = RUNNING": lambda run: not run.state.done,
    "done = false": lambda run: not run.state.done,
    "NOT done = true AND priority = 1": lambda run: not run.state.done and run.priority == 1,
    "state = FAILED": lambda run: run.state is State.FAILED,
    "state = FAILED OR state = RUNNING": lambda run: run.state in (State.FAILED, State.RUNNING),
    f"task = {TASKS[0]}": lambda run: run.task_uid == TASKS[0],
    f"task_uid = {TASKS[1]} AND state = FAILED": lambda run: run.task_uid == TASKS[1] and run.state is State.FAILED,
    "tags:often": lambda run: "often" in run.tags,
    "tags:rare": lambda run: "rare" in run.tags,
    "tags:often AND priority = 2": lambda run: "often" in run.tags and run.priority == 2,
    "tags:often AND state = RUNNING": lambda run: "often" in run.tags and run.state is State.RUNNING,
    "NOT tags:often": lambda run: "often" not in run.tags,
    f"task = {TASKS[0]} OR task = {TASKS[1]}": lambda run: run.task_uid in TASKS[:2],
    'end_time > "2026-03-01T12:00:00.00002Z"': lambda run: (run.end_time or 0) > START + 20,
    'end_time <= "2026-03-01T12:00:00.00003Z" AND priority = 1': lambda run: (
        0 < (run.end_time or 0) <= START + 30 and run.priority == 1
    ),
    "task = missing": lambda _: False,
}
ORDERS: dict[str, Callable[[Run], Any]] = {
    "": lambda run: -int(run.uid.replace("-", ""), 16),
    "create_time": lambda run: run.uid,
    "create_time desc, priority": lambda run: -int(run.uid.replace("-", ""), 16),
    "end_time": lambda run: (run.end_time is None, run.end_time, -int(run.uid.replace("-", ""), 16)),
    "end_time desc": lambda run: (run.end_time is None, -(run.end_time or 0), -int(run.uid.replace("-", ""), 16)),
    "end_time, create_time": lambda run: (run.end_time is None, run.end_time, run.uid),
    "priority desc, end_time": lambda run: (
        -run.priority,
        run.end_time is None,
        run.end_time,
        -int(run.uid.replace("-", ""), 16),
    ),
}


@pytest.mark.parametrize(("span", "page_size"), [(3, 2), (9, 1_000), (1_000, 5)])
@pytest.mark.parametrize("order", ORDERS)
def test_pages_hold_every_run_once_and_in_order(store, monkeypatch, span, page_size, order):
    monkeypatch.setattr(walk, "SPAN", span)
    made = fill(store, 24)
    for text, wanted in RUN_FILTERS.items():
        expected = [run.uid for run in sorted(filter(wanted, made), key=ORDERS[order])]
        pages = walked(store, list_runs, Query("default", page_size, "", text, order), full=False)
        assert [run.uid for page in pages for run in page.rows] == expected
        assert all(len(page.rows) <= page_size for page in pages)
        totals = {page.total_size for page in pages}
        assert totals == {len(expected)} if span == 1_000 else max(totals) <= len(expected)


def test_a_set_that_outgrows_a_span_on_the_way_is_walked_on(store, monkeypatch):
    made = fill(store, 60)
    expected = [run.uid for run in sorted(made, key=ORDERS["end_time"]) if not run.state.done]
    query = Query("default", 2, "", "done = false", "end_time")
    first = store.read(list_runs, query, 0, full=False)
    monkeypatch.setattr(walk, "SPAN", 3)
    rest = walked(store, list_runs, replace(query, page_token=first.next_page_token), full=False)
    assert [run.uid for page in [first, *rest] for run in page.rows] == expected


def steps(store: Store, function: Callable[..., Page[Any]], query: Query, **fields: Any) -> int:
    """Return how many hundreds of instructions SQLite takes for a page: a measure of the rows that it looks at."""
    taken = 0

    def count() -> None:
        nonlocal taken
        taken += 1

    def read(connection) -> Page[Any]:
        connection.connection.driver_connection.set_progress_handler(count, 100)
        try:
            return function(connection, query, 0, **fields)
        finally:
            connection.connection.driver_connection.set_progress_handler(None, 0)

    store.read(read)
    return taken


@pytest.fixture
def stores(sqlite, clock):
    """A small store and a large one, on SQLite, which counts its instructions."""
    with closing(Store(sqlite.fresh(), clock)) as small, closing(Store(sqlite.fresh(), clock)) as large:
        fill(small, 1_000)
        fill(large, 6_000)
        yield small, large


@pytest.mark.parametrize("order", ["", "create_time", "create_time desc", "end_time", "end_time desc"])
def test_no_page_of_runs_costs_more_in_a_larger_database(stores, monkeypatch, order):
    monkeypatch.setattr(walk, "SPAN", 50)
    for text in RUN_FILTERS:
        small, large = (steps(each, list_runs, Query("default", 5, "", text, order), full=False) for each in stores)
        # 6 times the rows.
        assert large <= 2 * small + 10, text


@pytest.mark.parametrize("order", ["", "sequence"])
@pytest.mark.parametrize(
    "filter",
    ["", "type = run_failed", "type = run_pending", "worker = w3", f"task_uid = {TASKS[0]}", "task_id = x", "run:*"],
)
def test_no_page_of_events_costs_more_in_a_larger_database(stores, monkeypatch, filter, order):
    monkeypatch.setattr(event_reads, "SPAN", 100)
    monkeypatch.setattr(event_reads, "RUN_SPAN", 50)
    small, large = (steps(each, list_events, Query("default", 5, "", filter, order)) for each in stores)
    assert large <= 2 * small + 10


@pytest.mark.parametrize("order", ["sequence", "sequence desc"])
@pytest.mark.parametrize("span", [1, 7])
def test_pages_hold_every_event_once_and_in_order(store, monkeypatch, span, order):
    monkeypatch.setattr(event_reads, "SPAN", span)
    monkeypatch.setattr(event_reads, "RUN_SPAN", span)
    made = fill(store, 60)
    for text, wanted in {
        "": lambda _: True,
        "worker = w3": lambda index: index % 7 == 3,
        f"task = {TASKS[0]}": lambda index: made[index].task_uid == TASKS[0],
        f"run = {made[31].uid}": lambda index: index == 31,
    }.items():
        pages = walked(store, list_events, Query("default", 3, "", text, order))
        found = [event.run_uid for page in pages for event in page.rows]
        expected = [run.uid for index, run in enumerate(made) if wanted(index)]
        assert found == (expected if order == "sequence" else expected[::-1])
