"""`taskwheel serve`."""

from __future__ import annotations

import os
from typing import Annotated, Any

import typer

from taskwheel.cli.extra import server_installed
from taskwheel.cli.options import option


def _setting(variable: str, metavar: str, help: str) -> Any:
    return option(envvar=variable, metavar=metavar, help=help)


Listen = Annotated[
    str | None,
    _setting("TASKWHEEL_LISTEN", "HOST:PORT", "Port 0: any free one.  [default: 127.0.0.1:7420]"),
]
DatabaseUrl = Annotated[
    str | None,
    _setting("TASKWHEEL_DATABASE_URL", "URL", "Where everything is kept.  [default: sqlite:///taskwheel.db]"),
]
DirectDatabaseUrl = Annotated[
    str | None,
    _setting(
        "TASKWHEEL_DIRECT_DATABASE_URL",
        "URL",
        "The same PostgreSQL past a pooler that shares connections, to hear other servers.  [default: --database-url]",
    ),
]
Lease = Annotated[
    str | None, _setting("TASKWHEEL_LEASE", "DURATION", "How long a worker has to renew a run.  [default: 30s]")
]
TlsCert = Annotated[
    str | None, _setting("TASKWHEEL_TLS_CERT", "FILE", "Serve with TLS: the certificate, PEM.  [default: no TLS]")
]
TlsKey = Annotated[str | None, _setting("TASKWHEEL_TLS_KEY", "FILE", "The key of the certificate, PEM.")]
TlsClientCa = Annotated[
    str | None, _setting("TASKWHEEL_TLS_CLIENT_CA", "FILE", "Take only callers with a certificate of this CA, PEM.")
]


def serve(
    *,
    listen: Listen = None,
    database_url: DatabaseUrl = None,
    direct_database_url: DirectDatabaseUrl = None,
    lease: Lease = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    tls_client_ca: TlsClientCa = None,
) -> None:
    """Serve the API until SIGTERM or Ctrl-C."""
    with server_installed():
        from taskwheel_server.app.serve import serve as run_server
        from taskwheel_server.app.settings import Settings
        from taskwheel_server.errors import InvalidArgument
    try:
        settings = Settings.read(
            os.environ,
            listen=listen,
            database_url=database_url,
            direct_database_url=direct_database_url,
            lease=lease,
            tls_cert=tls_cert,
            tls_key=tls_key,
            tls_client_ca=tls_client_ca,
        )
    except InvalidArgument as error:
        raise typer.BadParameter(error.description, param_hint=f"--{error.field}") from None
    raise typer.Exit(run_server(settings))
