"""Where the server is and how it is spoken to: the options of every command that calls one."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, fields
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

import taskwheel
from taskwheel.cli.options import option

Address = Annotated[
    str | None,
    option(envvar="TASKWHEEL_ADDRESS", metavar="HOST:PORT", help="The server.  [default: localhost:7420]"),
]
Tls = Annotated[bool, option("--tls", envvar="TASKWHEEL_TLS", help="Use TLS; the options below imply it.")]
CaCert = Annotated[
    str, option("--ca-cert", envvar="TASKWHEEL_CA_CERT", metavar="FILE", help="The CA to trust.  [default: public CAs]")
]
Cert = Annotated[str, option("--cert", envvar="TASKWHEEL_CERT", metavar="FILE", help="Your certificate, for mTLS.")]
Key = Annotated[str, option("--key", envvar="TASKWHEEL_KEY", metavar="FILE", help="The key of your certificate.")]
ServerName = Annotated[
    str,
    option(
        "--server-name",
        "--authority",
        envvar="TASKWHEEL_SERVER_NAME",
        metavar="NAME",
        help="The name in the server's certificate, if it is not HOST.",
    ),
]

# How many tasks are looked through for one of nearly the same id.
_LISTED = 1000


@dataclass(frozen=True, slots=True)
class Connection:
    """The way to a server. Nothing is opened or read before it is asked for."""

    address: Address = None
    tls: Tls = False
    ca_cert: CaCert = ""
    cert: Cert = ""
    key: Key = ""
    server_name: ServerName = ""

    def client(self) -> taskwheel.Client:
        """A client for it."""
        return taskwheel.Client(self.address, **self.security())

    def async_client(self) -> taskwheel.AsyncClient:
        """A client for it, for asyncio."""
        return taskwheel.AsyncClient(self.address, **self.security())

    def security(self) -> dict[str, Any]:
        """Credentials and server name, as clients and workers take them.

        Raises:
            typer.BadParameter: a file cannot be used, or only one of --cert and --key is given.
        """
        if bool(self.cert) != bool(self.key):
            raise typer.BadParameter("--cert and --key go together")
        if not (self.tls or self.ca_cert or self.cert or self.server_name):
            return {}
        import ssl

        import grpc

        context = ssl.create_default_context()  # gRPC itself tells nothing about files that it cannot use
        try:
            if self.ca_cert:
                context.load_verify_locations(self.ca_cert)
            if self.cert:
                context.load_cert_chain(self.cert, self.key, password="")
            ca_cert, key, cert = (Path(file).read_bytes() if file else None for file in self._files)
        except OSError as error:  # ssl.SSLError among them
            files = ", ".join(filter(None, self._files))
            raise typer.BadParameter(f"{files}: {error.strerror or error}") from None
        return {
            "credentials": grpc.ssl_channel_credentials(ca_cert, key, cert),
            "server_name": self.server_name or None,
        }

    @property
    def _files(self) -> tuple[str, str, str]:
        return self.ca_cert, self.key, self.cert


def connected(command: Callable[..., None]) -> Callable[..., None]:
    """The command with an option for each field of Connection in the place of its parameter `connection`."""
    names = [field.name for field in fields(Connection)]
    options = list(inspect.signature(Connection, eval_str=True).parameters.values())
    parameters = inspect.signature(command, eval_str=True).parameters

    @functools.wraps(command)
    def with_options(**given: Any) -> None:
        connection = Connection(**{name: given.pop(name) for name in names})
        try:
            command(**given, connection=connection)
        except taskwheel.NotFound as error:
            if error.reason == "TASK_NOT_FOUND" and "did you mean" not in error.message:
                _suggest(connection, error)
            raise

    rest = [parameter for name, parameter in parameters.items() if name != "connection"]
    keyword = [option.replace(kind=inspect.Parameter.KEYWORD_ONLY) for option in options]
    with_options.__signature__ = inspect.Signature([*rest, *keyword])  # type: ignore[attr-defined]
    return with_options


def _suggest(connection: Connection, error: taskwheel.NotFound) -> None:
    """Add to an error a task whose id is nearly the one that is not there."""
    with suppress(taskwheel.RpcError), connection.client() as client:
        ids = [task.task_id for task in islice(client.list_tasks(page_size=_LISTED), _LISTED)]
        for near in get_close_matches(error.metadata["task"].rpartition("/")[2], ids, n=1):
            error.add_note(f"did you mean {near!r}?")
