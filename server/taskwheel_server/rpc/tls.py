"""TLS of the API: a certificate with its key, and whether callers must have certificates too."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc

from taskwheel_server.errors import InvalidArgument


def read_credentials(cert: str, key: str, client_ca: str) -> grpc.ServerCredentials | None:
    """Return the credentials of a server, or None for one without TLS.

    Args:
        cert: the file of its certificate, with those that lead to the CA behind it, PEM; empty: no TLS.
        key: the file of the certificate's key, PEM.
        client_ca: the file of the CAs that callers' certificates are signed by, PEM; empty: callers need none.

    Raises:
        InvalidArgument: a file cannot be used, or one is given without those that belong to it.
    """
    if not (cert and key):
        if cert or key or client_ca:
            raise InvalidArgument("tls-cert", "goes with tls-key, and tls-client-ca needs both")
        return None
    # gRPC itself says nothing of files that it cannot use.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    roots = None
    with _named("tls-cert", f"{cert} with {key}"):
        context.load_cert_chain(cert, key, password="")
        pair = (Path(key).read_bytes(), Path(cert).read_bytes())
    if client_ca:
        with _named("tls-client-ca", client_ca):
            context.load_verify_locations(client_ca)
            roots = Path(client_ca).read_bytes()
    return grpc.ssl_server_credentials([pair], root_certificates=roots, require_client_auth=bool(client_ca))


@contextmanager
def _named(flag: str, files: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:  # ssl.SSLError is one
        raise InvalidArgument(flag, f"{files} cannot be used: {error.strerror or error}") from None
