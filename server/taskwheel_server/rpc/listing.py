"""What all list methods have in common in their requests (AIP-132, AIP-158)."""

from __future__ import annotations

from typing import Any

from taskwheel_server.db.listing import Query
from taskwheel_server.rpc.backend import namespace_of

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 1_000


def read_query(request: Any) -> Query:
    """Return what a list request asks for.

    Raises:
        InvalidArgument: parent is no parent.
        NotFound: NAMESPACE_NOT_FOUND.
    """
    return Query(
        namespace_of(request.parent),
        min(request.page_size or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE),
        request.page_token,
        request.filter,
        request.order_by,
    )
