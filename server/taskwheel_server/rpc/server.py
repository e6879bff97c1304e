"""The gRPC server: the services of the contract, health and reflection on one port."""

from __future__ import annotations

from collections.abc import Mapping

import grpc
from grpc_health.v1 import health_pb2  # type: ignore[import-untyped]
from grpc_health.v1.health import SERVICE_NAME as HEALTH  # type: ignore[import-untyped]
from grpc_health.v1.health import aio as health

from taskwheel_server.rpc.endpoint import handlers_of
from taskwheel_server.rpc.messages import PACKAGE, service
from taskwheel_server.rpc.reflection import reflection_handlers

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
_OPTIONS: list[tuple[str, int]] = [
    # A port that is in use is an error, not shared in silence.
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    # Between the two, metadata is refused at random.
    ("grpc.max_metadata_size", 16 * 1024),
    ("grpc.absolute_max_metadata_size", 16 * 1024),
    # Thousands of streams that come back at once after a restart; by default they end as CANCELLED.
    ("grpc.server.max_pending_requests", 20_000),
    ("grpc.server.max_pending_requests_hard_limit", 30_000),
    # Clients may ping an idle stream; the server pings too, to notice those that have gone.
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 20_000),
]


class PortInUse(Exception):
    """The address cannot be listened on."""


class ApiServer:
    """The API on one address.

    Args:
        servicers: who implements each service, by the service's bare name.
        listen: `HOST:PORT`; port 0 takes a free one.
        credentials: of the server, for TLS; None: without.

    Raises:
        PortInUse: another process has the port, or there is no such address.
    """

    def __init__(
        self, servicers: Mapping[str, object], listen: str, credentials: grpc.ServerCredentials | None = None
    ) -> None:
        self._server = grpc.aio.server(options=_OPTIONS)
        handlers = [handlers_of(service(name), servicer) for name, servicer in servicers.items()]
        self._names = [f"{PACKAGE}.{name}" for name in servicers]
        self._health = health.HealthServicer()
        handlers.append(handlers_of(health_pb2.DESCRIPTOR.services_by_name["Health"], self._health))
        self._server.add_generic_rpc_handlers([*handlers, *reflection_handlers([*self._names, HEALTH])])
        try:
            self.port = (
                self._server.add_secure_port(listen, credentials)
                if credentials
                else self._server.add_insecure_port(listen)
            )
        except RuntimeError as error:
            raise PortInUse(
                f"cannot listen on {listen}: the port is in use, or the address is not of this machine"
            ) from error

    async def start(self) -> None:
        """Begin to answer; health is SERVING."""
        await self._server.start()
        await self.set_serving(True)

    async def set_serving(self, serving: bool) -> None:  # noqa: FBT001 - says what it sets
        """Set the health of the server and of each service."""
        statuses = health_pb2.HealthCheckResponse.ServingStatus
        for name in ("", *self._names):
            await self._health.set(name, statuses.SERVING if serving else statuses.NOT_SERVING)

    async def stop(self, grace: float) -> None:
        """Refuse new calls, and cut those that are not done in `grace` seconds."""
        await self._server.stop(grace)
