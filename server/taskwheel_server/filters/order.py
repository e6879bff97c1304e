"""The `order_by` argument of a list method (AIP-132): `end_time desc, name`."""

from __future__ import annotations

from dataclasses import dataclass

from taskwheel_server.errors import clip
from taskwheel_server.filters.catalogue import Catalogue, InvalidFilter

MAX_FIELDS = 8


@dataclass(frozen=True, slots=True)
class OrderBy:
    """One sort key: a field's catalogue name and its direction. Missing values come last either way."""

    field: str
    descending: bool = False


def parse_order_by(text: str, catalogue: Catalogue, default: tuple[OrderBy, ...]) -> tuple[OrderBy, ...]:
    """Return the sort keys that `text` names, most significant first.

    Args:
        text: fields separated by commas, each ascending unless `desc` follows; blank for the default.
        catalogue: the fields; only sortable ones may be named.
        default: the order of blank text. Its last key must be unique among the records: it is appended to any other
            order that does not name it, so that every order is total and pages neither repeat nor lose a record.

    Raises:
        InvalidFilter: a field is unknown, not sortable or named twice, or more than 8 are named.
    """
    if not text.strip():
        return default
    keys: dict[str, OrderBy] = {}
    for part in text.split(",", MAX_FIELDS):
        name, *direction = part.split() or [""]
        if name not in catalogue or not catalogue[name].sortable:
            known = ", ".join(sorted(field.name for field in catalogue.values() if field.sortable))
            raise InvalidFilter("order_by", f"cannot sort by '{clip(name)}'; the fields are {known}")
        if direction not in ([], ["asc"], ["desc"]):
            raise InvalidFilter("order_by", f"after '{name}' only asc or desc may stand")
        if name in keys:
            raise InvalidFilter("order_by", f"'{name}' is named twice")
        keys[name] = OrderBy(name, descending=direction == ["desc"])
    if len(keys) > MAX_FIELDS:
        raise InvalidFilter("order_by", f"names more than {MAX_FIELDS} fields")
    keys.setdefault(default[-1].field, default[-1])
    return tuple(keys.values())
