"""`taskwheel call`: any rpc of the API by its name, with requests and responses as JSON."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from taskwheel.cli.connection import Connection
from taskwheel.cli.describe import description_of
from taskwheel.cli.options import LENGTH, option
from taskwheel.cli.output import compact

_PREFIX = "taskwheel.v1."


def call(
    method: Annotated[str, typer.Argument(metavar="SERVICE/METHOD", help="Such as TaskService/GetTask.")] = "",
    requests: Annotated[
        str, typer.Argument(metavar="JSON|@FILE|-", help="The request; several, one after the other, for a stream.")
    ] = "{}",
    *,
    describe: Annotated[bool, option("--describe", help="Tell what a method, service or message is made of.")] = False,
    timeout: Annotated[timedelta | None, option(help="Give up then.  [default: 10s; streams: never]", **LENGTH)] = None,
    connection: Connection,
) -> None:
    """Call a method of the API and print the answers, a JSON object a line. Without arguments, list the methods."""
    from google.protobuf.descriptor_pool import Default

    services = {service.full_name: service for service in _services(Default())}
    if not method:
        for service in services.values():
            for rpc in service.methods:
                typer.echo(f"{service.full_name.removeprefix(_PREFIX)}/{rpc.name}")
        return
    if describe:
        description = description_of(Default(), method)
        if description is None:
            raise typer.BadParameter(f"nothing is called {method!r}", param_hint="SERVICE/METHOD")
        typer.echo(description)
        return
    service_name, _, rpc_name = method.strip("/").partition("/")
    service = services.get(service_name) or services.get(f"{_PREFIX}{service_name}")
    rpc = service and service.methods_by_name.get(rpc_name)
    if rpc is None:
        raise typer.BadParameter(f"no rpc {method!r}; `taskwheel call` lists them", param_hint="SERVICE/METHOD")
    _call(rpc, _parse(rpc, requests), connection, timeout)


def _services(pool: Any) -> list[Any]:
    from taskwheel.v1 import (
        admin_service_pb2,
        event_service_pb2,
        task_run_service_pb2,
        task_service_pb2,
        worker_service_pb2,
    )

    modules = (task_service_pb2, task_run_service_pb2, event_service_pb2, worker_service_pb2, admin_service_pb2)
    files = [pool.FindFileByName(module.DESCRIPTOR.name) for module in modules]
    with suppress(ModuleNotFoundError):  # comes with the extra `server`
        from grpc_health.v1 import health_pb2  # type: ignore[import-untyped]

        files.append(health_pb2.DESCRIPTOR)
    return [service for file in files for service in file.services_by_name.values()]


def _parse(rpc: Any, text: str) -> list[Any]:
    from google.protobuf.json_format import ParseDict, ParseError
    from google.protobuf.message_factory import GetMessageClass

    source = sys.stdin.read() if text == "-" else Path(text[1:]).read_text("utf-8") if text.startswith("@") else text
    decoder, messages = json.JSONDecoder(), []
    try:
        while source := source.strip():
            value, end = decoder.raw_decode(source)
            messages.append(ParseDict(value, GetMessageClass(rpc.input_type)()))
            source = source[end:]
    except (ValueError, ParseError) as error:
        raise typer.BadParameter(str(error), param_hint="JSON") from None
    if len(messages) != 1 and not rpc.client_streaming:
        raise typer.BadParameter(f"{rpc.name} takes one request, not {len(messages)}", param_hint="JSON")
    return messages


def _call(rpc: Any, requests: list[Any], connection: Connection, timeout: timedelta | None) -> None:
    import grpc
    from google.protobuf.message_factory import GetMessageClass

    from taskwheel._errors import from_grpc
    from taskwheel._transport import Transport
    from taskwheel._views import View
    from taskwheel.cli.exits import exit_code

    transport = Transport(connection.address, **connection.security())
    invoke = transport.channel.stream_stream(
        f"/{rpc.containing_service.full_name}/{rpc.name}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=GetMessageClass(rpc.output_type).FromString,
    )
    limit = timeout.total_seconds() if timeout else None if rpc.server_streaming else transport.timeout
    try:
        for response in invoke(iter(requests), timeout=limit):
            typer.echo(compact(View(response).to_dict()))
    except grpc.RpcError as failed:
        error = from_grpc(failed)
        details = [{"@type": detail.DESCRIPTOR.full_name, **View(detail).to_dict()} for detail in error.details]
        status = {"code": error.code.name, "message": error.message, "details": details}
        typer.echo(json.dumps(status, indent=2, ensure_ascii=False), err=True)
        raise typer.Exit(exit_code(error)) from None
    finally:
        transport.channel.close()
