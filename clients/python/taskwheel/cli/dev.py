"""`taskwheel dev`: a server, a worker and the tasks of the sample, in one process."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shlex
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from string import Template
from typing import Annotated

import typer

from taskwheel.cli.options import option

# What is made here stays here, in the folder that the command is given in.
_FOLDER = Path(".taskwheel")
_DEFAULT_LISTEN = "127.0.0.1:7420"

# The sample takes a second.
_ONCE_TIMEOUT = 60.0

_NEXT_LINES = Template("""\
  $taskwheel task list
  $taskwheel task preview report-every-minute
  $taskwheel task run report --follow
  $taskwheel run list
  $taskwheel events --follow --after 0

  grpcurl -plaintext $address list
  grpcurl -plaintext -d '{"name": "report"}' $address taskwheel.v1.TaskService/RunTask
  grpcurl -plaintext -d '{"filter": "state = SUCCEEDED"}' $address taskwheel.v1.TaskRunService/ListTaskRuns
  grpcurl -plaintext -d '{"after_sequence": 0}' $address taskwheel.v1.EventService/WatchEvents
""")


def dev(
    *,
    once: Annotated[bool, option("--once", help="End when the sample has run, with 0 if it SUCCEEDED.")] = False,
    listen: Annotated[
        str | None,
        option(
            envvar="TASKWHEEL_LISTEN",
            metavar="HOST:PORT",
            help=f"Where to listen.  [default: {_DEFAULT_LISTEN}, or a free port if that one is taken]",
        ),
    ] = None,
    database_url: Annotated[
        str, option(envvar="TASKWHEEL_DATABASE_URL", metavar="URL", help="Where everything is kept.")
    ] = f"sqlite:///{_FOLDER}/taskwheel.db",
) -> None:
    """Start a server, a worker and sample tasks, until Ctrl-C."""
    try:
        import structlog

        from taskwheel_server.app import logs
        from taskwheel_server.errors import TaskwheelError
        from taskwheel_server.rpc.server import PortInUse
    except ImportError as error:
        raise typer.BadParameter(f"{error}; install the extra: pip install 'taskwheel[server]'") from None

    logs.configure()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    _FOLDER.mkdir(exist_ok=True)
    (_FOLDER / ".gitignore").write_text("*\n", encoding="utf-8")
    try:
        ended = asyncio.run(_dev(listen or _free_listen(), database_url, once=once))
    except TimeoutError:
        typer.echo(f"error: the sample has not ended within {_ONCE_TIMEOUT:.0f} s", err=True)
        raise typer.Exit(1) from None
    except (PortInUse, TaskwheelError) as error:
        typer.echo(f"error: {error}", err=True)
        if getattr(error, "reason", "") == "DATABASE_IN_USE":
            typer.echo("  stop it, or keep this one's data elsewhere with --database-url", err=True)
        raise typer.Exit(1) from None
    raise typer.Exit(1 if once and not ended else 0)


async def _dev(listen: str, database_url: str, *, once: bool) -> bool:
    """Whether the tour ended before somebody ended it."""
    from taskwheel.cli.dev_tour import tell

    loop = asyncio.get_running_loop()
    async with _server(listen, database_url) as address, _worker(address):
        touring = asyncio.create_task(_tour(address, once=once))
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, touring.cancel)
        try:
            await touring
            return True
        except asyncio.CancelledError:
            tell("\nstopping ...")
            return False
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)


async def _tour(address: str, *, once: bool) -> None:
    from taskwheel import AsyncClient
    from taskwheel.cli.dev_tour import Tour, tell, tell_event

    async with AsyncClient(address) as client:
        async with asyncio.timeout(_ONCE_TIMEOUT if once else None):
            events = await Tour(client).run()
        if once:
            tell("\nWithout --once the server stays up, and the report is run every minute.")
            return
        tell("\nTo go on, in another terminal (here events are shown until Ctrl-C):", style="bold")
        tell(_next_lines(address))
        async for event in events:
            tell_event(event)


@contextlib.asynccontextmanager
async def _server(listen: str, database_url: str) -> AsyncIterator[str]:
    """A server, and its address."""
    from taskwheel.cli.dev_tour import tell
    from taskwheel_server.app import Server, Settings

    async with Server(Settings(listen, database_url)) as server:
        address = f"{listen.rpartition(':')[0]}:{server.port}"
        tell(f"server   {address}, everything is kept in {database_url}", style="bold")
        yield address


def _free_listen() -> str:
    """The default address, or one with a free port if that port is taken."""
    from taskwheel.cli.dev_tour import tell

    host, port = _DEFAULT_LISTEN.split(":")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
        try:
            probe.bind((host, int(port)))
        except OSError:
            tell(f"{_DEFAULT_LISTEN} is taken, so another port is used", style="yellow")
            return f"{host}:0"
    return _DEFAULT_LISTEN


@contextlib.asynccontextmanager
async def _worker(address: str) -> AsyncIterator[None]:
    """The worker of the sample, which ends what it has begun when the block ends."""
    from taskwheel.cli.dev_tour import tell
    from taskwheel.sample import make_worker

    worker = make_worker(address, _FOLDER / "reports")
    working = asyncio.create_task(worker.serve())
    tell(f"worker   {worker.worker_id} with the handlers {', '.join(worker.handlers)}")
    try:
        yield
    finally:
        worker.stop()
        await working


def _next_lines(address: str) -> str:
    """What to paste into another terminal."""
    beside = os.path.relpath(Path(sys.executable).with_name("taskwheel"))
    command = "taskwheel" if shutil.which("taskwheel") else shlex.quote(beside)
    export = "" if address == _DEFAULT_LISTEN else f"  export TASKWHEEL_ADDRESS={address}\n"
    return export + _NEXT_LINES.substitute(taskwheel=command, address=address)
