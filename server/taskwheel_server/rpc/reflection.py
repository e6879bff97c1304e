"""Server reflection, under both of its names: what grpcurl and its like learn the API from."""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from typing import Any

import grpc
from google.protobuf.descriptor_pool import Default
from grpc_reflection.v1alpha import reflection, reflection_pb2  # type: ignore[import-untyped]

from taskwheel_server.rpc.endpoint import handlers_of
from taskwheel_server.rpc.messages import PACKAGE

_VERSIONS = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")


class _Servicer(reflection.aio.ReflectionServicer):  # type: ignore[misc]
    def _file_containing_symbol(self, request: Any, fully_qualified_name: str) -> Any:
        # The protocol has names of methods too, and ghz asks by them; protobuf's look-up by symbol knows none.
        with suppress(KeyError):
            fully_qualified_name = Default().FindMethodByName(fully_qualified_name).containing_service.full_name
        return super()._file_containing_symbol(request, fully_qualified_name)


def reflection_handlers(names: list[str]) -> list[grpc.GenericRpcHandler]:
    """Return the handlers of reflection.

    Args:
        names: the full names of the services to tell of, beside reflection itself.
    """
    # The public descriptors: those of the generated stubs, which are in the default pool once imported.
    for name in ("task_service", "task_run_service", "event_service", "worker_service", "admin_service"):
        import_module(f"{PACKAGE}.{name}_pb2")
    servicer = _Servicer([*names, *_VERSIONS])
    # Of the same shape in both versions, so that one serves under both names.
    described = reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"]
    return [handlers_of(described, servicer, name) for name in _VERSIONS]
