"""`taskwheel serve`: a server until a signal ends it."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import Coroutine

import structlog

from taskwheel_server.app import logs
from taskwheel_server.app.server import Server
from taskwheel_server.app.settings import Settings
from taskwheel_server.errors import TaskwheelError
from taskwheel_server.rpc.server import PortInUse

# Objects that pile up before cycles are looked for: several turns' worth.
GARBAGE = 50_000
# Seconds after which a thread that computes lets another one have its turn: the wheel has answers of the database to
# go on with ten times in a turn, and the event loop would let it wait for 5 ms each time.
SWITCH_INTERVAL = 0.0005

_log = structlog.get_logger()


def serve(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT, and return the exit status; a second signal ends it at once."""
    logs.configure()
    sys.setswitchinterval(SWITCH_INTERVAL)
    try:
        _run(_serve(settings))
    except (PortInUse, TaskwheelError, OSError) as error:
        print(f"taskwheel: {error}", file=sys.stderr)  # noqa: T201 - for the person who typed the command
        return 1
    return 0


def _run(main: Coroutine[None, None, None]) -> None:
    try:
        import uvloop  # noqa: PLC0415 - optional
    except ModuleNotFoundError:
        asyncio.run(main)
    else:
        uvloop.run(main)


async def _serve(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    async with Server(settings):
        # What start-up made stays; what turns make goes by itself. Without this a tenth of the time is spent looking.
        gc.collect()
        gc.freeze()
        gc.set_threshold(GARBAGE)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await stop.wait()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
        _log.info("stopping")
    _log.info("stopped")
