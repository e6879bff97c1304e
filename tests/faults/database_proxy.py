"""A connection to PostgreSQL that breaks at the worst moment: between a COMMIT and its answer."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Self

from sqlalchemy.engine import URL

# How the wheel's transactions begin and end, on the wire; those of readers begin otherwise.
_BEGIN = b"READ COMMITTED READ WRITE"
_COMMIT = b"COMMIT\0"


class DatabaseProxy:
    """Forwards connections to a PostgreSQL server, and breaks one at its next COMMIT when it has been told to.

    Args:
        url: of a database.
    """

    def __init__(self, url: URL) -> None:
        self._server = url
        self._listener = socket.create_server(("127.0.0.1", 0))
        front = url.set(host="127.0.0.1", port=self._listener.getsockname()[1], query={})
        self.url = front.render_as_string(hide_password=False)
        self._before: Callable[[], object] | None = None
        self.cuts = 0
        self._accepting = threading.Thread(target=self._accept)

    def __enter__(self) -> Self:
        self._accepting.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._listener.close()

    def cut(self, before: Callable[[], object] = lambda: None) -> None:
        """Break the next connection that commits: PostgreSQL hears of it after `before`, its answer goes nowhere."""
        self._before = before

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=[client], daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client, self._connect() as server:
            answers = threading.Thread(target=_forward, args=[server, client], daemon=True)
            answers.start()
            try:
                self._forward_statements(client, server)
            except OSError:
                # Closed alone, it would stay open for as long as its answers are waited for.
                server.shutdown(socket.SHUT_RDWR)
            answers.join()

    def _forward_statements(self, client: socket.socket, server: socket.socket) -> None:
        writes = False
        while data := client.recv(65536):
            writes |= _BEGIN in data
            if writes and _COMMIT in data and self._before:
                before, self._before = self._before, None
                client.shutdown(socket.SHUT_RDWR)
                before()
                self.cuts += 1
            server.sendall(data)
        server.shutdown(socket.SHUT_WR)

    def _connect(self) -> socket.socket:
        folder, port = self._server.query.get("host"), self._server.port or 5432
        if not folder:
            return socket.create_connection((self._server.host or "127.0.0.1", port))
        server = socket.socket(socket.AF_UNIX)
        server.connect(f"{folder}/.s.PGSQL.{port}")
        return server


def _forward(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_RDWR)
