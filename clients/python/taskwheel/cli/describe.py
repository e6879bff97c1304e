"""What services, methods, messages and enums are made of, in the words of protobuf."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_PREFIX = "taskwheel.v1."


def description_of(pool: Any, name: str) -> str | None:
    """Return the description of what has a name; None if nothing has.

    Args:
        pool: The descriptor pool to look in.
        name: Such as `TaskService`, `TaskService/GetTask` or `Task.State`, with or without the package.

    """
    name = name.strip("/").replace("/", ".")
    for full_name in (f"{_PREFIX}{name}", name):
        for find, tell in (
            (pool.FindServiceByName, _service),
            (pool.FindMethodByName, _method_and_messages),
            (pool.FindMessageTypeByName, _message),
            (pool.FindEnumTypeByName, _enum),
        ):
            try:
                return "\n".join(tell(find(full_name)))
            except KeyError:
                pass
    return None


def _service(service: Any) -> Iterator[str]:
    yield f"service {_short(service)} {{"
    yield from (f"  {_method(method)}" for method in service.methods)
    yield "}"


def _method(method: Any) -> str:
    takes = "stream " * method.client_streaming + _short(method.input_type)
    answers = "stream " * method.server_streaming + _short(method.output_type)
    return f"rpc {method.name}({takes}) returns ({answers});"


def _method_and_messages(method: Any) -> Iterator[str]:
    yield _method(method)
    for message in dict.fromkeys((method.input_type, method.output_type)):
        yield ""
        yield from _message(message)


def _message(message: Any) -> Iterator[str]:
    yield f"message {_short(message)} {{"
    for field in message.fields:
        yield f"  {_type(field)} {field.name} = {field.number};{_choice(field)}"
    yield "}"
    for enum in message.enum_types:
        yield ""
        yield from _enum(enum)


def _enum(enum: Any) -> Iterator[str]:
    yield f"enum {_short(enum)} {{"
    yield from (f"  {value.name} = {value.number};" for value in enum.values)
    yield "}"


def _type(field: Any) -> str:
    from google.protobuf.descriptor_pb2 import FieldDescriptorProto

    declared = field.message_type or field.enum_type
    if field.message_type and field.message_type.GetOptions().map_entry:
        return f"map<{', '.join(_type(part) for part in field.message_type.fields)}>"
    name = _short(declared) if declared else FieldDescriptorProto.Type.Name(field.type)[5:].lower()
    return f"repeated {name}" if field.is_repeated else name


def _choice(field: Any) -> str:
    oneof = field.containing_oneof
    # A field that may be set to its default has a oneof to itself.
    return f"  // one of {oneof.name}" if oneof and oneof.name != f"_{field.name}" else ""


def _short(descriptor: Any) -> str:
    return str(descriptor.full_name.removeprefix(_PREFIX))
