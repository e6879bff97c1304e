"""The message classes of package taskwheel.v1, made from the descriptors in `taskwheel.binpb`.

They are not those of the generated stubs: they live in a pool of their own, which keeps the validation rules (a public
copy of buf.validate would clash with any other in the process), and in which a Struct or Value is `bytes`, the same on
the wire. Payloads and results thus pass through the server unparsed.

    from taskwheel_server.rpc.messages import TaskRun, Timestamp
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

PACKAGE = "taskwheel.v1"

_WELL_KNOWN = frozenset({"Duration", "Empty", "FieldMask", "ListValue", "Struct", "Timestamp", "Value"})


@cache
def _pool() -> DescriptorPool:
    pool = DescriptorPool()
    for file in FileDescriptorSet.FromString(files(__package__).joinpath("taskwheel.binpb").read_bytes()).file:
        pool.AddSerializedFile(file.SerializeToString())
    return pool


def message_class(full_name: str) -> Any:
    """Return the class of a message by its full name."""
    return GetMessageClass(_pool().FindMessageTypeByName(full_name))


def service(name: str) -> ServiceDescriptor:
    """Return the descriptor of a service of the contract by its bare name."""
    return _pool().FindServiceByName(f"{PACKAGE}.{name}")


def __getattr__(name: str) -> Any:
    if not name[0].isupper():
        raise AttributeError(name)
    package = "google.protobuf" if name in _WELL_KNOWN else PACKAGE
    try:
        found = globals()[name] = message_class(f"{package}.{name}")
    except KeyError:
        raise AttributeError(name) from None
    return found
