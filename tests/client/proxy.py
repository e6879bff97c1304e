"""A connection that can break: a TCP proxy before the server."""

from __future__ import annotations

import contextlib
import socket
import threading


class Proxy:
    """Forwards connections to a server until they are cut.

    Args:
        address: host and port of the server.
    """

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._target = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self.refusing = False
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                incoming, _ = self._listener.accept()
                if self.refusing:
                    incoming.close()
                    continue
                outgoing = socket.create_connection(self._target)
                self._sockets += [incoming, outgoing]
                for pair in ((incoming, outgoing), (outgoing, incoming)):
                    threading.Thread(target=self._forward, args=pair, daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for each in (source, target):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def cut(self) -> None:
        """Break all connections there are."""
        for each in self._sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Break everything, and take no more."""
        self._listener.close()
        self.cut()
        for each in self._sockets:
            each.close()
