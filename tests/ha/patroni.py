"""Three etcd and three PostgreSQL under Patroni, on free ports of this machine."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from pathlib import Path
from typing import Any, Self

import psycopg

from tests.faults.processes import free_target, until
from tests.ha.programs import Program, folder, kill_family, program, running

# Seconds in which the three come up, and in which one of them is back: a copy of the database is made.
PATIENCE = 120.0
NODES = 3
# Shorter than as shipped, as far as Patroni lets them be: after `ttl` seconds a leader that is silent is none.
_TIMES = {"ttl": 20, "loop_wait": 1, "retry_timeout": 3}
_RUNNING = {"running", "streaming"}


class Node:
    """One PostgreSQL with its Patroni.

    Args:
        base: the folder to make its own in.
        number: of the node.
        etcd: addresses of all members.
    """

    def __init__(self, base: Path, number: int, etcd: list[str]) -> None:
        self.name = f"node-{number}"
        self.target, self.api = free_target(), free_target()
        self._base = base
        self._data = base / self.name
        self._patroni: Program | None = None
        self._settings = base / f"{self.name}.json"
        self._settings.write_text(json.dumps(self._configured(etcd)))

    def _configured(self, etcd: list[str]) -> dict[str, Any]:
        users = {name: {"username": "postgres"} for name in ("superuser", "replication", "rewind")}
        shared = {
            **_TIMES,
            # A leader that is dead is not started again where there is another: that would be no failover.
            "primary_start_timeout": 0,
            # A commit is on a second disk before it is acknowledged.
            "synchronous_mode": True,
            "postgresql": {
                "use_pg_rewind": True,
                "parameters": {"wal_log_hints": "on", "max_connections": 50, "shared_buffers": "64MB"},
            },
        }
        return {
            "scope": "taskwheel",
            "name": self.name,
            "restapi": {"listen": self.api, "connect_address": self.api},
            "etcd3": {"hosts": etcd},
            "bootstrap": {"dcs": shared, "initdb": [{"encoding": "UTF8"}, {"locale": "C"}]},
            "postgresql": {
                "listen": self.target,
                "connect_address": self.target,
                "data_dir": str(self._data),
                "bin_dir": str(Path(program("initdb")).parent),
                "pgpass": str(self._base / f"{self.name}.pgpass"),
                "authentication": users,
                "pg_hba": ["host all all 127.0.0.1/32 trust", "host replication all 127.0.0.1/32 trust"],
                "parameters": {"unix_socket_directories": ""},
            },
        }

    def start(self) -> None:
        """Start Patroni, which starts PostgreSQL."""
        command = (program("patroni"), str(self._settings))
        self._patroni = Program(self._base / f"{self.name}.log", command)

    async def crash(self) -> None:
        """Kill PostgreSQL; Patroni lives on."""
        if postmaster := running(self._data / "postmaster.pid", str(self._data)):
            await kill_family(postmaster)

    async def kill(self) -> None:
        """Kill both, as when a machine is lost."""
        if self._patroni:
            self._patroni.kill()
            self._patroni = None
        await self.crash()

    def revive(self) -> None:
        """Start what was killed and Patroni does not start by itself."""
        if self._patroni is None:
            self.start()


class PatroniCluster:
    """The nodes with what they agree by, an async context manager: inside its block they are ready."""

    async def __aenter__(self) -> Self:
        self._folder = folder()
        self._base = self._folder.__enter__()
        self._etcd: list[Program] = []
        self.nodes: list[Node] = []
        try:
            clients = self._start_etcd()
            self.nodes = [Node(self._base, number, clients) for number in range(NODES)]
            for node in self.nodes:
                node.start()
            await self.ready()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        for node in self.nodes:
            await node.kill()
        for member in self._etcd:
            member.kill()
        self._folder.__exit__(None, None, None)

    def _start_etcd(self) -> list[str]:
        clients = [free_target() for _ in range(NODES)]
        peers = [f"http://{free_target()}" for _ in range(NODES)]
        members = ",".join(f"etcd-{number}={peer}" for number, peer in enumerate(peers))
        for number, (client, peer) in enumerate(zip(clients, peers, strict=True)):
            name = f"etcd-{number}"
            flags = {
                "name": name,
                "data-dir": str(self._base / name),
                "listen-client-urls": f"http://{client}",
                "advertise-client-urls": f"http://{client}",
                "listen-peer-urls": peer,
                "initial-advertise-peer-urls": peer,
                "initial-cluster": members,
                "heartbeat-interval": "300",
                "election-timeout": "3000",
            }
            command = [program("etcd"), *(f"--{flag}={value}" for flag, value in flags.items())]
            self._etcd.append(Program(self._base / f"{name}.log", command))
        return clients

    def url(self, database: str) -> str:
        """Return the URL that names all nodes."""
        hosts = ",".join(node.target for node in self.nodes)
        return f"postgresql+psycopg://postgres@{hosts}/{database}?target_session_attrs=read-write"

    async def ready(self) -> None:
        """Wait until there is a leader, one who has all that it acknowledges, and one more."""
        await until(self._is_ready, f"Patroni's cluster is ready, logs in {self._base}", PATIENCE)

    async def _is_ready(self) -> bool:
        roles = await self._roles()
        return sorted(roles.values()) == ["leader", "replica", "sync_standby"]

    async def leader(self) -> Node | None:
        """Return the node that leads, if one does."""
        roles = await self._roles()
        return next((node for node in self.nodes if roles.get(node.name) == "leader"), None)

    async def _roles(self) -> dict[str, str]:
        """Return the roles of those who run, by name, as the first who answers sees them."""
        for node in self.nodes:
            found = await asyncio.to_thread(_asked, f"http://{node.api}/cluster")
            if found is not None:
                members = found["members"]
                return {each["name"]: each["role"] for each in members if each["state"] in _RUNNING}
        return {}

    async def writable(self) -> float:
        """Wait until one of them takes writes; return how long that took, s."""
        began = time.monotonic()
        await until(lambda: asyncio.to_thread(_writes, self.url("postgres")), "a node takes writes", PATIENCE)
        return time.monotonic() - began

    async def create_database(self, name: str) -> str:
        """Create a database and return its URL."""
        await asyncio.to_thread(_execute, self.url("postgres"), f"CREATE DATABASE {name}")
        return self.url(name)


def _asked(url: str) -> Any:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return json.load(answer)
    except (OSError, ValueError):
        return None


def _execute(url: str, statement: str) -> None:
    text = url.replace("+psycopg", "", 1)
    with psycopg.connect(text, autocommit=True, connect_timeout=2) as connection:
        connection.execute(statement.encode())


def _writes(url: str) -> bool:
    try:
        _execute(url, "SELECT pg_current_xact_id()")
    except psycopg.OperationalError:
        return False
    return True
