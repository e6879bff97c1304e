"""One table of filters and what they match, run by both evaluators; then random filters on which both must agree."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Double,
    MetaData,
    SmallInteger,
    String,
    Table,
    create_engine,
    insert,
    select,
)

from taskwheel_server.db.filters import to_sql
from taskwheel_server.db.tables import labels
from taskwheel_server.filters import Field, Filter, Kind, catalogue, matches, parse
from taskwheel_server.filters.syntax import And, Comparison, Labelled, Not, Operator, Or, Tagged

metadata = MetaData()
records = Table(
    "records",
    metadata,
    Column("uid", String(36), primary_key=True),
    Column("handler", String),
    Column("state", SmallInteger),
    Column("attempt", SmallInteger),
    Column("ratio", Double),
    Column("done", Boolean),
    Column("end_time", BigInteger),
    Column("timeout", BigInteger),
    Column("task_uid", String),
    Column("error_name", String),
)
COLUMNS: Mapping[str, Any] = {
    **{column.name: column for column in records.c if column.name not in ("uid", "task_uid", "error_name")},
    "task": records.c.task_uid,
    "error.name": records.c.error_name,
    "tags": records.c.uid,
    "labels": records.c.uid,
}
TASKS = {"nightly": ("t1",), "weekly": ("t2", "t3"), "gone": ()}
CATALOGUE = catalogue(
    Field("handler", Kind.STRING),
    Field("state", Kind.ENUM, values={"PENDING": (1, 2, 3), "FAILED": (8,), "NEW": (99,)}),
    Field("attempt", Kind.INT),
    Field("ratio", Kind.FLOAT),
    Field("done", Kind.BOOL),
    Field("end_time", Kind.TIME),
    Field("timeout", Kind.DURATION),
    Field("task", Kind.NAME, resolve=TASKS.__getitem__),
    Field("error.name", Kind.STRING),
    Field("tags", Kind.TAGS),
    Field("labels", Kind.LABELS),
)


@dataclasses.dataclass
class Record:
    handler: str | None = None
    state: int | None = None
    attempt: int | None = None
    ratio: float | None = None
    done: bool | None = None
    end_time: int | None = None
    timeout: int | None = None
    task: str | None = None
    error_name: str | None = None
    tags: frozenset[str] = frozenset()
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def value(self, field: str) -> object:
        return getattr(self, field.replace(".", "_"))


RECORDS: Mapping[str, Record] = {
    "first": Record(
        handler="send-report",
        state=2,
        attempt=1,
        ratio=0.5,
        done=False,
        end_time=1_700_000_000_500_000,
        timeout=3_500_000,
        task="t1",
        error_name="Timeout",
        tags=frozenset({"urgent", "eu"}),
        labels={"source": "web", "a.b/c": "1"},
    ),
    "second": Record(
        handler="Send-Report*",
        state=8,
        attempt=-2,
        ratio=-1e300,
        done=True,
        end_time=0,
        timeout=0,
        task="t3",
        error_name="",
        tags=frozenset({"Urgent"}),
        labels={"source": "", "my key": 'say "hi"'},
    ),
    "empty": Record(handler=""),
    "missing": Record(),
}
ALL = {"first", "second", "empty", "missing"}

CASES: list[tuple[str, set[str]]] = [
    # Nothing asked for: everything.
    ("", ALL),
    (" \t\n", ALL),
    # Strings: exact, in case too, and by code point; empty and missing are one.
    ("handler = send-report", {"first"}),
    ('handler="send-report"', {"first"}),
    ("handler = 'send-report'", {"first"}),
    ("handler = Send-report", set()),
    ("handler != send-report", ALL - {"first"}),
    ('handler = ""', {"empty", "missing"}),
    ('handler != ""', {"first", "second"}),
    ("handler < a", {"second", "empty"}),
    ("handler >= Send-Report*", {"first", "second"}),
    ("NOT handler < a", {"first", "missing"}),
    # Wildcards, and a star that is none.
    ("handler = send*", {"first"}),
    ("handler = *report", {"first"}),
    ("handler = *Report*", {"second"}),
    (r'handler = "*\*"', {"second"}),
    (r'handler = "Send-Report\*"', {"second"}),
    ("handler = *", {"first", "second"}),
    ("handler != send*", ALL - {"first"}),
    ("handler = *send-report-and-more", set()),
    # No wildcard of any database is one here.
    ("handler = send_report", set()),
    ("handler = send%", set()),
    ("handler : s%t", set()),
    ("handler : [s]end", set()),
    # Has, on a string: contains.
    ("handler : report", {"first"}),
    ('handler:"*"', {"second"}),
    ("handler:*", {"first", "second"}),
    ('handler:""', {"first", "second"}),
    # Numbers.
    ("attempt = 1", {"first"}),
    ("attempt = +1", {"first"}),
    ("attempt > -3", {"first", "second"}),
    ("attempt <= -2", {"second"}),
    ("attempt != 1", ALL - {"first"}),
    ("NOT attempt < 5", {"empty", "missing"}),
    ("attempt:*", {"first", "second"}),
    ("attempt:1", {"first"}),
    ('attempt="1"', {"first"}),
    # Far beyond the column, which must not be an error in any database.
    ("attempt < 9223372036854775807", {"first", "second"}),
    ("ratio > 0.25", {"first"}),
    ("ratio >= 5e-1", {"first"}),
    ("ratio < -1", {"second"}),
    # Booleans.
    ("done = true", {"second"}),
    ("done = false", {"first"}),
    ("done != true", ALL - {"second"}),
    ("done:true", {"second"}),
    # Enum names may stand for several numbers.
    ("state = PENDING", {"first"}),
    ("state = PENDING OR state = FAILED", {"first", "second"}),
    ("state != PENDING", ALL - {"first"}),
    ("state:FAILED", {"second"}),
    ("state:*", {"first", "second"}),
    ("state = NEW", set()),
    # Times and durations, in µs.
    ("end_time = 2023-11-14T22:13:20.5Z", {"first"}),
    ('end_time = "2023-11-14T23:13:20.500000999+01:00"', {"first"}),
    ("end_time < 1970-01-01T00:00:00.000001Z", {"second"}),
    ("end_time >= 0001-01-01T00:00:00+23:59", {"first", "second"}),
    ("timeout = 3.5s", {"first"}),
    ("timeout > -1s", {"first", "second"}),
    # References resolve to what is stored, which may be several or nothing.
    ("task = nightly", {"first"}),
    ("task:nightly", {"first"}),
    ("task = weekly", {"second"}),
    ("task = gone", set()),
    ("task != nightly", ALL - {"first"}),
    ("task:*", {"first", "second"}),
    ('task = ""', {"empty", "missing"}),
    # Along a dot, what is missing answers no comparison at all (AIP-160), but NOT still negates.
    ("error.name = Timeout", {"first"}),
    ("error.name != Timeout", {"second"}),
    ("NOT error.name = Timeout", ALL - {"first"}),
    ('error.name = ""', {"second"}),
    ("error.name:*", {"first"}),
    # Tags.
    ('tags:"urgent"', {"first"}),
    ("tags:eu tags:urgent", {"first"}),
    ("-tags:urgent", ALL - {"first"}),
    ("tags:*", {"first", "second"}),
    ('tags:"*"', set()),
    ("tags:source", set()),
    # Labels.
    ("labels:source", {"first", "second"}),
    ("labels:urgent", set()),
    ("labels:*", {"first", "second"}),
    ("labels.source = web", {"first"}),
    ("labels.source:web", {"first"}),
    ("labels.source:we", set()),
    ("labels.source = w*", {"first"}),
    ("labels.source:*", {"first", "second"}),
    ("labels.source = *", {"first", "second"}),
    ('labels.source = ""', {"second"}),
    ("labels.source != web", {"second"}),
    ("NOT labels.source = web", ALL - {"first"}),
    ("labels.source >= w", {"first"}),
    ("labels.a.b/c = 1", {"first"}),
    (r'labels."my key" = "say \"hi\""', {"second"}),
    # Logic: OR binds tighter than AND, side by side is AND.
    ("attempt = 1 OR attempt = -2 AND done = true", {"second"}),
    ("attempt = 1 OR (attempt = -2 AND done = true)", {"first", "second"}),
    ("done = true attempt = 1 OR attempt = -2", {"second"}),
    ("NOT (done = true OR done = false)", {"empty", "missing"}),
    ("-(-done = true)", {"second"}),
    ("NOT done = true NOT done = false", {"empty", "missing"}),
    ("(done = true)(attempt = -2)", {"second"}),
]


@pytest.fixture(scope="module")
def connection() -> Iterator[Connection]:
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        records.create(connection)
        labels.create(connection)
        connection.commit()
        yield connection
    engine.dispose()


def store(connection: Connection, stored: Mapping[str, Record]) -> None:
    for uid, record in stored.items():
        row = dataclasses.asdict(record)
        tags, pairs = row.pop("tags"), row.pop("labels")
        connection.execute(insert(records), {"uid": uid, "task_uid": row.pop("task"), **row})
        side = [{"owner": uid, "key": "", "value": tag} for tag in tags]
        side += [{"owner": uid, "key": key, "value": value} for key, value in pairs.items()]
        if side:
            connection.execute(insert(labels), side)


def stored_matches(connection: Connection, filter: Filter, stored: Mapping[str, Record]) -> set[str]:
    with connection.begin() as transaction:
        store(connection, stored)
        found = set(connection.scalars(select(records.c.uid).where(to_sql(filter, COLUMNS))))
        transaction.rollback()
    return found


def test_values_in_memory_match_the_table_of_cases() -> None:
    found = {
        text: {uid for uid, record in RECORDS.items() if matches(parse(text, CATALOGUE), record.value)}
        for text, _ in CASES
    }
    assert found == dict(CASES)


def test_rows_match_the_table_of_cases(connection: Connection) -> None:
    with connection.begin() as transaction:
        store(connection, RECORDS)
        found = {
            text: set(connection.scalars(select(records.c.uid).where(to_sql(parse(text, CATALOGUE), COLUMNS))))
            for text, _ in CASES
        }
        transaction.rollback()
    assert found == dict(CASES)


def test_the_longest_filters_are_within_the_database_s_limits(connection: Connection) -> None:
    for text in (
        "done=true " * 204,
        "tags:x " * 292,
        "done=true OR " * 156 + "done=true",
        "-(" * 16 + "done=true" + ")" * 16,
    ):
        stored_matches(connection, parse(text, CATALOGUE), RECORDS)


def test_a_filter_on_labels_may_stand_in_a_query_that_reads_labels(connection: Connection) -> None:
    with connection.begin() as transaction:
        store(connection, RECORDS)
        query = select(records.c.uid).join(labels, labels.c.owner == records.c.uid).where(labels.c.value == "eu")
        found = connection.scalars(query.where(to_sql(parse("tags:urgent", CATALOGUE), COLUMNS))).all()
        transaction.rollback()
    assert found == ["first"]


def test_a_name_that_nothing_resolves_is_compared_as_written() -> None:
    plain = catalogue(Field("uid", Kind.NAME))
    assert parse("uid = abc", plain) == Comparison("uid", Operator.IN, ("abc",))


def test_equal_filters_are_equal_values() -> None:
    text = "state=PENDING OR tags:x labels.k=v* -done=true"
    assert len({parse(text, CATALOGUE), parse(text.replace(" ", "  "), CATALOGUE)}) == 1


# A few characters, so that equality, order and containment all come up; among them every database's wildcards.
words = st.text("aAb%_*é\U0001f600\\'", max_size=3)
ORDERS = [Operator.EQ, Operator.LT, Operator.LE, Operator.GT, Operator.GE]
TEXTS = [*ORDERS, Operator.PREFIX, Operator.SUFFIX]
keys = st.sampled_from(["k", "l"])


def comparisons(
    fields: list[str], operators: list[Operator], values: st.SearchStrategy[Any]
) -> st.SearchStrategy[Filter]:
    return st.builds(Comparison, st.sampled_from(fields), st.sampled_from(operators), values)


integers = st.integers(-3, 3) | st.sampled_from([2**62, -(2**62)])
ratios = st.sampled_from([-1e300, -0.5, 0.0, 0.1, 1.0])
leaves: st.SearchStrategy[Filter] = st.one_of(
    comparisons(["handler", "error.name", "task"], TEXTS, words),
    comparisons(["handler", "error.name"], [Operator.CONTAINS], words.filter(bool)),
    comparisons(["attempt", "end_time", "timeout"], ORDERS, integers),
    comparisons(["ratio"], ORDERS, ratios),
    comparisons(["done"], [Operator.EQ], st.booleans()),
    comparisons(["state"], [Operator.IN], st.lists(st.integers(1, 4), max_size=3).map(tuple)),
    comparisons(["task"], [Operator.IN], st.lists(words, max_size=2).map(tuple)),
    comparisons(["handler", "attempt", "done", "error.name"], [Operator.PRESENT], st.none()),
    st.builds(Tagged, st.just("tags"), words | st.none()),
    st.builds(Labelled, st.just("labels"), keys | st.none(), st.just(Operator.PRESENT)),
    st.builds(Labelled, st.just("labels"), keys, st.sampled_from(TEXTS), words),
)


def nodes(terms: st.SearchStrategy[Filter]) -> st.SearchStrategy[Filter]:
    many = st.lists(terms, max_size=3).map(tuple)
    return st.builds(Not, terms) | st.builds(And, many) | st.builds(Or, many)


some = st.builds(
    Record,
    handler=words | st.none(),
    state=st.integers(1, 4) | st.none(),
    attempt=st.integers(-3, 3) | st.none(),
    ratio=ratios | st.none(),
    done=st.booleans() | st.none(),
    end_time=integers | st.none(),
    timeout=integers | st.none(),
    task=words | st.none(),
    error_name=words | st.none(),
    tags=st.frozensets(words, max_size=3),
    labels=st.dictionaries(keys, words, max_size=2),
)


@given(filter=st.recursive(leaves, nodes, max_leaves=8), stored=st.lists(some, max_size=4))
def test_both_evaluators_agree(connection: Connection, filter: Filter, stored: list[Record]) -> None:
    named = {str(index): record for index, record in enumerate(stored)}
    expected = {uid for uid, record in named.items() if matches(filter, record.value)}
    assert stored_matches(connection, filter, named) == expected


@given(filter=st.recursive(leaves, nodes, max_leaves=8), record=some)
def test_a_filter_and_its_negation_never_agree(filter: Filter, record: Record) -> None:
    value: Callable[[str], object] = record.value
    assert matches(filter, value) is not matches(Not(filter), value)
