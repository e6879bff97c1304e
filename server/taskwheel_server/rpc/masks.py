"""Field masks of updates (AIP-134, AIP-161)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from taskwheel_server.errors import InvalidArgument, clip

EVERYTHING = "*"


def masked(current: Any, request: Any, paths: Iterable[str]) -> Any:
    """Return a copy of a message with the fields that a mask names set as in another.

    Fields that callers cannot set may be named too: whoever reads the answer must pass over them.

    Args:
        current: the message as it is.
        request: has the new values; a field that is unset there is cleared.
        paths: of an `update_mask`: none means every field that `request` carries, `*` every field.

    Raises:
        InvalidArgument: a path is unknown, or leads into a list, a map or a JSON value.
    """
    paths = list(paths) or [field.name for field, _ in request.ListFields()]
    merged = type(current)()
    if EVERYTHING in paths:
        if len(paths) > 1:
            raise InvalidArgument("update_mask", "besides '*' there can be no other path")
        merged.CopyFrom(request)
        return merged
    merged.CopyFrom(current)
    for path in paths:
        names = path.split(".")
        _check(path, names, request.DESCRIPTOR)
        _copy(names, request, merged)
    return merged


def _check(path: str, names: list[str], descriptor: Descriptor | None) -> None:
    for name in names:
        field = descriptor.fields_by_name.get(name) if descriptor else None
        if field is None:
            raise InvalidArgument("update_mask", f"'{clip(path)}' is not a path to a field that can be set")
        descriptor = None if field.is_repeated else field.message_type


def _copy(names: list[str], source: Any, target: Any) -> None:
    *parents, name = names
    for parent in parents:
        source, target = getattr(source, parent), getattr(target, parent)
    field: FieldDescriptor = source.DESCRIPTOR.fields_by_name[name]
    target.ClearField(name)
    if field.is_repeated:
        getattr(target, name).MergeFrom(getattr(source, name))
    elif field.has_presence and not source.HasField(name):
        return
    elif field.message_type:
        getattr(target, name).CopyFrom(getattr(source, name))
    else:
        setattr(target, name, getattr(source, name))
