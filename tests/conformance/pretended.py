"""A server of a later version: it answers what the table says, each message with a field that nobody knows."""

from __future__ import annotations

import contextlib
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import trustme
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import MessageToDict, ParseDict
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from tests.conformance.methods import Method, method_of

# Field 18999 of any message: the text "later".
_UNKNOWN = bytes([0xBA, 0xA3, 0x09, 5]) + b"later"


class Pretended(grpc.GenericRpcHandler):
    """The server.

    Args:
        answers: what each method answers, call after call; the last again and again.
        certificate: a PEM file for the certificate by which callers know it; None: without TLS.
    """

    def __init__(self, answers: Mapping[str, list[dict[str, Any]]], certificate: Path | None) -> None:
        self._answers = {name: list(listed) for name, listed in answers.items()}
        self.requests: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._ended = threading.Event()
        self._server = grpc.server(ThreadPoolExecutor(16), handlers=[self])
        if certificate is None:
            port = self._server.add_insecure_port("127.0.0.1:0")
        else:
            authority = trustme.CA()
            authority.cert_pem.write_to_path(certificate)
            own = authority.issue_cert("127.0.0.1", "localhost")
            pair = (own.private_key_pem.bytes(), own.cert_chain_pems[0].bytes())
            port = self._server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
        self.address = f"{'127.0.0.1' if certificate is None else 'localhost'}:{port}"
        self._server.start()

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Answer any method of the API that is listed."""
        method = method_of(details.method.removeprefix("/taskwheel.v1."))
        if method.name not in self._answers:
            return None

        def respond(requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[bytes]:
            self._take(method, next(requests), context)
            if method.name.endswith("/Work"):
                threading.Thread(target=self._listen, args=(method, requests, context), daemon=True).start()
            return self._respond(method, context)

        return grpc.stream_stream_rpc_method_handler(respond, request_deserializer=method.request.FromString)

    def _take(self, method: Method, request: Any, context: grpc.ServicerContext) -> None:
        metadata = {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}
        self.requests[method.name].append({"request": MessageToDict(request), "metadata": metadata})

    def _listen(self, method: Method, requests: Iterator[Any], context: grpc.ServicerContext) -> None:
        with contextlib.suppress(grpc.RpcError):
            for request in requests:
                self._take(method, request, context)

    def _respond(self, method: Method, context: grpc.ServicerContext) -> Iterator[bytes]:
        listed = self._answers[method.name]
        answer = listed.pop(0) if len(listed) > 1 else listed[0]
        for message in answer.get("messages", [answer["message"]] if "message" in answer else []):
            yield ParseDict(message, method.response()).SerializeToString() + _UNKNOWN
        if "silence" in answer:
            while context.is_active() and not self._ended.wait(0.05):
                pass
        if error := answer.get("error"):
            _refuse(context, **error)

    def close(self) -> None:
        """End it."""
        self._ended.set()
        self._server.stop(0).wait()


def _refuse(
    context: grpc.ServicerContext,
    code: str,
    reason: str = "",
    message: str = "",
    metadata: Mapping[str, str] | None = None,
    retry_after: float | None = None,
    fields: tuple[str, ...] = (),
) -> None:
    status = getattr(grpc.StatusCode, code)
    rich = Status(code=status.value[0], message=message)
    if reason:
        _add(rich, ErrorInfo(reason=reason, domain="taskwheel", metadata=metadata or {}))
    if fields:
        _add(rich, BadRequest(field_violations=[BadRequest.FieldViolation(field=field) for field in fields]))
    if retry_after is not None:
        _add(rich, RetryInfo(retry_delay=Duration(seconds=int(retry_after), nanos=round(retry_after % 1 * 1e9))))
    # One that no version knows.
    rich.details.append(AnyMessage(type_url="type.googleapis.com/taskwheel.v9.Later", value=b"\x0a\x01x"))
    context.set_trailing_metadata((("grpc-status-details-bin", rich.SerializeToString()),))
    context.abort(status, message)


def _add(status: Status, detail: Any) -> None:
    packed = AnyMessage()
    packed.Pack(detail)
    status.details.append(packed)
