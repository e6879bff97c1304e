"""The reference of the API: a page for each file of the contract, made of its comments."""

import re
from collections.abc import Iterable, Iterator

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    MethodDescriptorProto,
)
from google.protobuf.unknown_fields import UnknownFieldSet

from tools.protos import contract
from tools.protos.contract import Files

SourcePath = tuple[int, ...]
Types = Iterator[tuple[str, SourcePath, DescriptorProto | EnumDescriptorProto]]

INDEX = """# API reference

Package `taskwheel.v1`, made from the comments of [the contract](../../protos/taskwheel/v1) by `make protos`.

{pages}

## In JSON

[grpcurl and `taskwheel call`](../../README.md#with-grpcurl) take and print messages as JSON. Fields are named as here,
or in lowerCamelCase; what is unset is left out. Fields that are not marked as required may be left out of a request;
those that are output only are ignored there.

| type | in JSON |
|---|---|
| timestamp | `"2026-03-02T08:00:00Z"`, to the microsecond; with any offset in a request |
| duration | `"2.5s"` |
| JSON object, JSON value | as it is |
| field mask | `"paused,displayName"` |
| int64 | a string, `"42"`; a number is understood too |
| an enum | the name of a value, `"RUNNING"`; the first of each enum stands for unset |

Where values may be added to an enum, treat one that you do not know as unset.

## Errors

A call that fails has a code, and a reason that programs can rely on: see [all of them](../errors.md).

## More

[States, retries and leases](../semantics.md) · [schedules](../schedules.md) · [filters, order and pages](../filters.md)
"""
# What may be the name of a type or a method, and after it that of a field; code is passed over.
REFERENCE = re.compile(r"`[^`]*`|\b(?P<name>[A-Z][A-Za-z]+)(?P<field>\.[A-Za-z_]+)?\b")
# Types that JSON has a form of its own for.
WELL_KNOWN = {
    ".google.protobuf.Duration": "duration",
    ".google.protobuf.Empty": "nothing",
    ".google.protobuf.FieldMask": "field mask",
    ".google.protobuf.Struct": "JSON object",
    ".google.protobuf.Timestamp": "timestamp",
    ".google.protobuf.Value": "JSON value",
}
# The option google.api.field_behavior, which this process knows by number only, and its value REQUIRED.
FIELD_BEHAVIOR, REQUIRED = 1052, 2
# Numbers of fields of the descriptors of a file, a service, a message and an enum: paths of comments are made of them.
MESSAGES, SERVICE, METHODS = 4, (6, 0), 2
FIELDS, NESTED_MESSAGES, NESTED_ENUMS, ONEOFS, VALUES = 2, 3, 4, 8, 2


def pages() -> Files:
    """Return the pages by file name."""
    made = [Page(file) for file in contract.read(comments=True).file if file.package == contract.PACKAGE]
    made.sort(key=lambda page: (not page.file.service, page.title))
    links = {name: f"{page.name}#{anchor(name)}" for page in made for name in page.told()}
    texts = {page.name: page.text(links) for page in made}
    contents = "\n".join(f"- [{page.title}]({page.name}): {page.summary()}" for page in made)
    return {name: text.encode() for name, text in (texts | {"README.md": INDEX.format(pages=contents)}).items()}


def anchor(heading: str) -> str:
    """Return what a heading is linked by."""
    return heading.lower().replace(".", "")


def types(messages: Iterable[DescriptorProto], outer: str = "", at: SourcePath = (MESSAGES,)) -> Types:
    """Yield the name, path and descriptor of each message, and of the enums and messages nested in it."""
    for index, message in enumerate(messages):
        if message.options.map_entry:
            continue
        name, path = outer + message.name, (*at, index)
        yield name, path, message
        for number, enum in enumerate(message.enum_type):
            yield f"{name}.{enum.name}", (*path, NESTED_ENUMS, number), enum
        yield from types(message.nested_type, f"{name}.", (*path, NESTED_MESSAGES))


class Page:
    """A file of the contract as Markdown.

    Args:
        file: The file, with its comments.

    """

    def __init__(self, file: FileDescriptorProto) -> None:
        self.file = file
        self.name = file.name.rsplit("/", 1)[-1].replace(".proto", ".md")
        self.title = file.service[0].name if file.service else file.message_type[0].name
        self._types = list(types(file.message_type))
        self._links: dict[str, str] = {}
        self._comments = {
            tuple(location.path): re.sub("^ ", "", location.leading_comments, flags=re.MULTILINE).strip()
            for location in file.source_code_info.location
        }

    def told(self) -> Iterator[str]:
        """Yield the names of the services, methods and types that have a heading."""
        for service in self.file.service:
            yield from (service.name, *(method.name for method in service.method))
        yield from (name for name, _, _ in self._types)

    def summary(self) -> str:
        """Return the first sentence."""
        comment = self._comments[SERVICE if self.file.service else (MESSAGES, 0)]
        return re.split(r"(?<=\.)\s", comment)[0].replace("\n", " ")

    def text(self, links: dict[str, str]) -> str:
        """Return the page.

        Args:
            links: Where each name is told, on any page.

        """
        self._links = {name: link.removeprefix(self.name) for name, link in links.items()}
        return "\n\n".join([*self._blocks(), "[All services and types](README.md)"]) + "\n"

    def _blocks(self) -> Iterator[str]:
        rest = self._types
        for service in self.file.service:
            yield from (f"# {service.name}", f"`{contract.PACKAGE}.{service.name}`", self._about(SERVICE))
            yield "\n".join(f"- [{method.name}](#{anchor(method.name)})" for method in service.method)
            for index, method in enumerate(service.method):
                yield from (f"## {method.name}", self._about((*SERVICE, METHODS, index)), self._signature(method))
                # Its messages, and what is nested in them.
                names = {method.input_type.rsplit(".", 1)[-1], method.output_type.rsplit(".", 1)[-1]}
                for name, path, descriptor in rest:
                    if name.split(".", 1)[0] in names:
                        yield from self._type("###", name, path, descriptor)
                rest = [each for each in rest if each[0].split(".", 1)[0] not in names]
        for name, path, descriptor in rest:
            yield from self._type("#" if name == self.title else "##", name, path, descriptor)

    def _signature(self, method: MethodDescriptorProto) -> str:
        takes = "a stream of " * method.client_streaming + self._named(method.input_type)
        answers = "a stream of " * method.server_streaming + self._named(method.output_type)
        return f"Takes {takes}, answers {answers}."

    def _type(
        self, level: str, name: str, path: SourcePath, descriptor: DescriptorProto | EnumDescriptorProto
    ) -> Iterator[str]:
        yield from (f"{level} {name}", self._about(path))
        if isinstance(descriptor, EnumDescriptorProto):
            for index, value in enumerate(descriptor.value):
                yield self._item(f"`{value.name}`", (*path, VALUES, index))
            return
        entries = {entry.name: entry for entry in descriptor.nested_type if entry.options.map_entry}
        told = set()
        for index, field in enumerate(descriptor.field):
            indent = ""
            if field.HasField("oneof_index") and not field.proto3_optional:
                indent = "  "
                if field.oneof_index not in told:
                    told.add(field.oneof_index)
                    oneof = descriptor.oneof_decl[field.oneof_index]
                    yield self._item(f"one of `{oneof.name}`", (*path, ONEOFS, field.oneof_index))
            yield self._item(f"`{field.name}` ({self._kind(field, entries)})", (*path, FIELDS, index), indent)

    def _kind(self, field: FieldDescriptorProto, entries: dict[str, DescriptorProto]) -> str:
        """Return the type of a field, and whether it is required."""
        if entry := entries.get(field.type_name.rsplit(".", 1)[-1]):
            kind = f"map of {self._kind(entry.field[0], {})} to {self._kind(entry.field[1], {})}"
        elif field.type_name:
            kind = self._named(field.type_name)
        else:
            kind = FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()
        if field.label == FieldDescriptorProto.LABEL_REPEATED and not entry:
            kind = f"list of {kind}"
        options = UnknownFieldSet(field.options)
        behavior = [options[at].data for at in range(len(options)) if options[at].field_number == FIELD_BEHAVIOR]
        return f"{kind}, required" if any(REQUIRED in packed for packed in behavior) else kind

    def _named(self, full_name: str) -> str:
        name = full_name.removeprefix(f".{contract.PACKAGE}.")
        return WELL_KNOWN.get(full_name) or f"[{name}]({self._links[name]})"

    def _item(self, label: str, path: SourcePath, indent: str = "") -> str:
        lines = [f"- {label}:", *self._about(path).splitlines()]
        return "\n".join(f"{indent}{'  ' * bool(number)}{line}".rstrip() for number, line in enumerate(lines))

    def _about(self, path: SourcePath) -> str:
        """Return a comment, in which names lead to where they are told."""
        return REFERENCE.sub(self._linked, self._comments[path])

    def _linked(self, found: re.Match[str]) -> str:
        name, field = found["name"], found["field"]
        link = self._links.get(f"{name}{field or ''}") or self._links.get(name)
        # A single word may be meant as such: Task, Work.
        return found[0] if not link or (name.istitle() and not field) else f"[{found[0]}]({link})"
