"""The methods of the API by name, from its descriptors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor_pool import Default
from google.protobuf.message_factory import GetMessageClass

from taskwheel.v1 import (  # noqa: F401  # each enters its descriptors in the pool
    admin_service_pb2,
    event_service_pb2,
    task_run_service_pb2,
    task_service_pb2,
    worker_service_pb2,
)


@dataclass(frozen=True)
class Method:
    """One rpc.

    Args:
        name: as `TaskService/GetTask`.
        request: the class of its requests.
        response: the class of its responses.
    """

    name: str
    request: Any
    response: Any


def method_of(name: str) -> Method:
    """The method of a name such as `TaskService/GetTask`. Raises KeyError."""
    service, _, rpc = name.partition("/")
    method = Default().FindServiceByName(f"taskwheel.v1.{service}").methods_by_name[rpc]
    return Method(name, GetMessageClass(method.input_type), GetMessageClass(method.output_type))
