"""Orders, page tokens, and the walk through all pages in any order."""

from __future__ import annotations

import base64
import contextlib
import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import BigInteger, Column, Connection, Double, MetaData, String, Table, create_engine, insert, select

from taskwheel_server.db.filters import SortKey, after_cursor, ordering
from taskwheel_server.filters import Field, InvalidFilter, Kind, OrderBy, catalogue, parse_order_by
from taskwheel_server.filters.page import SortValue, decode, encode, query_digest

CATALOGUE = catalogue(
    Field("name", Kind.STRING, sortable=True),
    Field("end_time", Kind.TIME, sortable=True),
    Field("uid", Kind.STRING, sortable=True),
    Field("tags", Kind.TAGS),
    *(Field(f"f{number}", Kind.INT, sortable=True) for number in range(9)),
)
DEFAULT = (OrderBy("uid", descending=True),)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", DEFAULT),
        ("  ", DEFAULT),
        # The unique key is appended, whatever else is asked for.
        ("name", (OrderBy("name"), *DEFAULT)),
        (" end_time   desc ,name asc", (OrderBy("end_time", descending=True), OrderBy("name"), *DEFAULT)),
        # Unless it is named.
        ("uid,name", (OrderBy("uid"), OrderBy("name"))),
    ],
)
def test_an_order_is_read(text: str, expected: tuple[OrderBy, ...]) -> None:
    assert parse_order_by(text, CATALOGUE, DEFAULT) == expected


@pytest.mark.parametrize(
    ("text", "description"),
    [
        ("nome", "cannot sort by 'nome'; the fields are end_time, f0"),
        ("tags", "cannot sort by 'tags'"),
        ("name,", "cannot sort by ''"),
        (",", "cannot sort by ''"),
        ("name descending", "after 'name' only asc or desc may stand"),
        ("name DESC", "after 'name' only asc or desc may stand"),
        ("name desc desc", "after 'name' only asc or desc may stand"),
        ("name,name desc", "'name' is named twice"),
        ("name;drop", "cannot sort by 'name;drop'"),
        ("\0" * 9999, r"cannot sort by '\x00\x00"),
        (",".join(f"f{number}" for number in range(9)), "names more than 8 fields"),
    ],
)
def test_a_bad_order_is_refused(text: str, description: str) -> None:
    with pytest.raises(InvalidFilter) as caught:
        parse_order_by(text, CATALOGUE, DEFAULT)
    assert caught.value.field == "order_by"
    assert caught.value.description.startswith(description)
    assert len(caught.value.description) <= 512


@given(st.text(max_size=40) | st.lists(st.sampled_from(["name", "uid", " ", ",", "desc"])).map("".join))
def test_arbitrary_text_is_an_order_or_refused(text: str) -> None:
    with contextlib.suppress(InvalidFilter):
        parse_order_by(text, CATALOGUE, DEFAULT)


DIGEST = query_digest("ListTaskRuns", "namespaces/default", "state = FAILED", "end_time desc")
VALUES: tuple[SortValue, ...] = (-(2**63), 0.1, "é\U0001f600", None)
TYPES = (int, float, str, str)
TOKEN = encode(DIGEST, VALUES)


def refused(token: str, digest: bytes = DIGEST, types: tuple[Any, ...] = TYPES) -> bool:
    with pytest.raises(InvalidFilter) as caught:
        decode(token, digest, types)
    return caught.value.field == "page_token"


def test_a_token_carries_its_values() -> None:
    assert decode(TOKEN, DIGEST, TYPES) == VALUES
    assert TOKEN.replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize(
    "parts",
    [
        ("ListTasks", "namespaces/default", "state = FAILED", "end_time desc"),
        ("ListTaskRuns", "namespaces/other", "state = FAILED", "end_time desc"),
        ("ListTaskRuns", "namespaces/default", "state = FAILED ", "end_time desc"),
        ("ListTaskRuns", "namespaces/default", "state = FAILED", ""),
        # The parts do not run into each other.
        ("ListTaskRuns", "namespaces/default", "state = FAILEDend_time desc", ""),
    ],
)
def test_a_token_is_of_one_query(parts: tuple[str, ...]) -> None:
    assert refused(TOKEN, query_digest(*parts))


def test_a_damaged_token_is_refused() -> None:
    assert all(refused(TOKEN[:length]) for length in range(len(TOKEN)))
    for place in range(len(TOKEN) - 1):
        assert refused(TOKEN[:place] + ("A" if TOKEN[place] != "A" else "B") + TOKEN[place + 1 :])
    for token in (TOKEN + "AAAA", TOKEN + "=", "=", "é", "\0", " ", TOKEN + "\n", "A" * 100_000):
        assert refused(token)


@pytest.mark.parametrize(
    "values",
    [
        ("1", 0.1, "a", "b"),
        (1.0, 0.1, "a", "b"),
        (True, 0.1, "a", "b"),
        (1, 1, "a", "b"),
        (1, 0.1, 1, "b"),
        (1, 0.1, ["a"], "b"),
        (1, 0.1, {"a": 1}, "b"),
        (1, 0.1, "a"),
        (1, 0.1, "a", "b", "c"),
        # What a database would refuse.
        (2**63, 0.1, "a", "b"),
        (1, 0.1, "nul\0", "b"),
        (1, 0.1, chr(0xDC00), "b"),
    ],
)
def test_a_forged_token_never_yields_a_value_of_the_wrong_type(values: tuple[Any, ...]) -> None:
    assert refused(encode(DIGEST, values))


def sealed(body: bytes) -> str:
    check_sum = hashlib.blake2b(body, key=DIGEST, digest_size=8).digest()
    return base64.urlsafe_b64encode(check_sum + body).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "body", [b"", b"1", b"null", b"[", b"[" * 9000, b"[1,NaN,null,null]", b"\xff", b"[1e999]", b"{}"]
)
def test_a_forged_body_is_refused(body: bytes) -> None:
    assert sealed(b"[1,null]") == encode(DIGEST, [1, None])
    assert refused(sealed(body))


@given(st.text() | st.binary().map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_arbitrary_text_is_no_token(text: str) -> None:
    assert refused(text)


records = Table(
    "records",
    MetaData(),
    Column("uid", BigInteger, primary_key=True),
    Column("name", String),
    Column("ratio", Double),
    Column("rank", BigInteger, nullable=False),
)


@pytest.fixture(scope="module")
def connection() -> Iterator[Connection]:
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        records.create(connection)
        connection.commit()
        yield connection
    engine.dispose()


rows = st.tuples(
    st.sampled_from(["", "a", "B", "é", None]),
    st.sampled_from([-0.5, 0.0, 1e300, None]),
    st.sampled_from([-1, 0, 2**62]),
)


@given(
    stored=st.lists(rows, max_size=12),
    fields=st.permutations(["name", "ratio", "rank"]).flatmap(lambda names: st.integers(0, 3).map(lambda n: names[:n])),
    directions=st.lists(st.booleans(), min_size=4, max_size=4),
    page_size=st.integers(1, 5),
)
def test_the_pages_of_any_order_hold_every_row_once_and_in_order(
    connection: Connection, stored: list[Any], fields: list[str], directions: list[bool], page_size: int
) -> None:
    names = [*fields, "uid"]
    order: list[SortKey] = [
        (records.c[name], descending, bool(records.c[name].nullable))
        for name, descending in zip(names, directions, strict=False)
    ]
    types = tuple(records.c[name].type.python_type for name in names)
    with connection.begin() as transaction:
        for uid, (name, ratio, rank) in enumerate(stored):
            connection.execute(insert(records), {"uid": uid, "name": name, "ratio": ratio, "rank": rank})
        query = select(*(column for column, _, _ in order)).order_by(*ordering(order)).limit(page_size)
        seen, token = [], ""
        while True:
            values = decode(token, DIGEST, types) if token else ()
            page = connection.execute(query.where(after_cursor(order, values)) if token else query).all()
            if not page:
                break
            seen += [tuple(row) for row in page]
            token = encode(DIGEST, seen[-1])
        transaction.rollback()
    expected = [dict(zip(("name", "ratio", "rank", "uid"), (*row, uid), strict=True)) for uid, row in enumerate(stored)]
    # Sorts are stable: least significant first; missing values last in both directions.
    for name, descending in reversed(list(zip(names, directions, strict=False))):
        absent = [row for row in expected if row[name] is None]
        present = [row for row in expected if row[name] is not None]
        expected = sorted(present, key=lambda row: row[name], reverse=descending) + absent
    assert seen == [tuple(row[name] for name in names) for row in expected]
