"""AdminService: what the server is."""

from __future__ import annotations

from importlib.metadata import version

from taskwheel_server.rpc.backend import Backend
from taskwheel_server.rpc.endpoint import Context
from taskwheel_server.rpc.messages import GetServerInfoRequest, GetServerInfoResponse
from taskwheel_server.rpc.opaque import MAX_BYTES, MAX_DEPTH
from taskwheel_server.rpc.server import MAX_MESSAGE_BYTES
from taskwheel_server.rpc.times import put

# As the contract has it beside each batch, and beside LogEntry.message.
MAX_BATCH_SIZE = 1_000
MAX_LOG_MESSAGE_BYTES = 64 * 1024


class AdminService:
    """The rpcs of taskwheel.v1.AdminService."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._version = version("taskwheel")

    async def GetServerInfo(self, request: GetServerInfoRequest, context: Context) -> GetServerInfoResponse:
        backend = self._backend
        response = GetServerInfoResponse(version=self._version, database=backend.store.database)
        put(response.server_time, backend.now())
        put(response.start_time, backend.start_time)
        put(response.lease_duration, backend.lease)
        limits = response.limits
        limits.max_payload_bytes = MAX_BYTES
        limits.max_payload_depth = MAX_DEPTH
        limits.max_message_bytes = MAX_MESSAGE_BYTES
        limits.max_batch_size = MAX_BATCH_SIZE
        limits.max_log_message_bytes = MAX_LOG_MESSAGE_BYTES
        put(limits.retention, backend.retention)
        return response
