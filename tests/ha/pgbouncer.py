"""PgBouncer in transaction mode, with fewer connections to the database than it gives out."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Self

import psycopg
from sqlalchemy.engine import URL

from tests.faults.processes import free_target, until
from tests.ha.programs import USER, Program, folder, program

# Two servers have ten connections to it: what one transaction leaves behind, others would find.
CONNECTIONS = 4


class PgBouncer:
    """The pooler of one database, an async context manager.

    Args:
        url: of the database.
    """

    def __init__(self, url: URL) -> None:
        self._database = url
        self._server = str(url.query.get("host", url.host))
        # The folder of a socket may be closed to others.
        self._user = Path(self._server).owner() if self._server.startswith("/") else USER
        host, _, port = free_target().partition(":")
        self.url = URL.create(url.drivername, url.username, host=host, port=int(port), database=url.database)

    async def __aenter__(self) -> Self:
        self._folder = folder(self._user)
        base = self._folder.__enter__()
        settings = base / "pgbouncer.ini"
        settings.write_text(self._configured(base))
        self._process = Program(base / "pgbouncer.log", [program("pgbouncer"), str(settings)], self._user)
        try:
            await until(lambda: asyncio.to_thread(self._answers), "the pooler answers")
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._process.kill()
        self._folder.__exit__(None, None, None)

    def _configured(self, base: Path) -> str:
        url = self._database
        place = f"host={self._server} port={url.port or 5432} dbname={url.database} user={url.username}"
        return "\n".join(
            [
                "[databases]",
                f"{url.database} = {place}",
                "[pgbouncer]",
                f"listen_addr = {self.url.host}",
                f"listen_port = {self.url.port}",
                "unix_socket_dir =",
                "auth_type = any",
                f"logfile = {base / 'log'}",
                "pool_mode = transaction",
                f"default_pool_size = {CONNECTIONS}",
            ]
        )

    def _answers(self) -> bool:
        text = self.url.set(drivername="postgresql").render_as_string(hide_password=False)
        try:
            psycopg.connect(text, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True
