"""Every rpc of the contract, found in the descriptors: a new one is fuzzed without anybody adding it."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from google.api import field_behavior_pb2, resource_pb2  # type: ignore[import-untyped]
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message_factory import GetMessageClass

from taskwheel import v1
from taskwheel_server.rpc.messages import message_class

MESSAGE = FieldDescriptor.TYPE_MESSAGE
# A FieldDescriptor, of which the stubs say that any of its types may be None.
Field = Any


def methods() -> list[MethodDescriptor]:
    """Return the rpcs of all services, in the order of their names."""
    files = [import_module(f"taskwheel.v1.{module.name}") for module in iter_modules(v1.__path__)]
    found = [
        method
        for file in files
        if hasattr(file, "DESCRIPTOR")
        for service in file.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    ]
    return sorted(found, key=name_of)


def name_of(method: MethodDescriptor) -> str:
    """Return `Service/Method`."""
    return f"{method.containing_service.name}/{method.name}"


def path_of(method: MethodDescriptor) -> str:
    """Return what a call of the method is addressed to."""
    return f"/{method.containing_service.full_name}/{method.name}"


def new(descriptor: Descriptor) -> Any:
    """Return an empty message."""
    return GetMessageClass(descriptor)()


@cache
def _options(field: Field) -> Any:
    """Return the options of a field as the server's descriptors have them: the stubs come without."""
    return message_class(field.containing_type.full_name).DESCRIPTOR.fields_by_name[field.name].GetOptions()


@cache
def is_required(field: Field) -> bool:
    """Tell whether requests need a field."""
    known = _options(field).Extensions[field_behavior_pb2.field_behavior]
    return field_behavior_pb2.REQUIRED in known or field_behavior_pb2.IDENTIFIER in known


@cache
def is_output(field: Field) -> bool:
    """Tell whether a field is for the server alone to set."""
    return field_behavior_pb2.OUTPUT_ONLY in _options(field).Extensions[field_behavior_pb2.field_behavior]


@cache
def resource(field: Field) -> str:
    """Return what a field names: `taskwheel/Task`, `taskwheel/TaskRun` or nothing."""
    kind: str = _options(field).Extensions[resource_pb2.resource_reference].type
    return kind


def is_map(field: Field) -> bool:
    """Tell whether a field is a map."""
    return field.type == MESSAGE and bool(field.message_type.GetOptions().map_entry)
