"""Page tokens: where the last page of a query ended, as opaque url-safe text (AIP-158).

A token carries the sort values of the last record and a check sum that binds it to its query. It is no secret and
grants nothing: whoever forges one gets another place in a list that they may read anyway, and never a value of the
wrong type.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Sequence
from typing import TypeAlias

from taskwheel_server.filters.catalogue import InvalidFilter
from taskwheel_server.filters.literals import INT64, storable

SortValue: TypeAlias = int | float | str | None

# Longer than any list of sort values can get; a bound on the work for a forged token.
_MAX_LENGTH = 16_384
_SUM_SIZE = 8


def query_digest(*parts: str) -> bytes:
    """Return what a token is bound to: method, parent, filter, order and whatever else may not change between pages."""
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=16).digest()


def encode(query_digest: bytes, values: Sequence[SortValue]) -> str:
    """Return the token for the page after the record with these sort values."""
    body = json.dumps(values, separators=(",", ":"), allow_nan=False).encode()
    check_sum = hashlib.blake2b(body, key=query_digest, digest_size=_SUM_SIZE).digest()
    return base64.urlsafe_b64encode(check_sum + body).rstrip(b"=").decode()


def decode(token: str, query_digest: bytes, types: Sequence[type[int | float | str]]) -> tuple[SortValue, ...]:
    """Return the sort values that a token carries.

    Args:
        token: as the caller sent it; not empty.
        query_digest: of the query that it came with.
        types: the type of each sort value; any of them may be None as well.

    Raises:
        InvalidFilter: the token is damaged, forged or of another query.
    """
    refusal = InvalidFilter("page_token", "is not a token of this query: repeat the arguments of the first page")
    if len(token) > _MAX_LENGTH:
        raise refusal
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        values = json.loads(raw[_SUM_SIZE:])
        sound = isinstance(values, list) and encode(query_digest, values) == token
    except (ValueError, RecursionError):
        raise refusal from None
    if not sound or len(values) != len(types):
        raise refusal
    if not all(value is None or _fits(value, expected) for value, expected in zip(values, types, strict=True)):
        raise refusal
    return tuple(values)


def _fits(value: float | str, expected: type[int | float | str]) -> bool:
    """Tell whether the store can take the value where it expects this type; JSON's true is no int."""
    if type(value) is not expected:
        return False
    if isinstance(value, int):
        return value in INT64
    if isinstance(value, str):
        return storable(value)
    return math.isfinite(value)
