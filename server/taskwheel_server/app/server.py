"""One server: everything it is made of, started in order and stopped in order."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

import structlog

from taskwheel_server.app.settings import Settings
from taskwheel_server.app.watchdog import Watchdog
from taskwheel_server.clock import Clock, SystemClock
from taskwheel_server.db.hints import Hint
from taskwheel_server.db.store import Store
from taskwheel_server.feed import Feed
from taskwheel_server.rpc.admin import AdminService
from taskwheel_server.rpc.backend import Backend
from taskwheel_server.rpc.event_message import EVENT_CODEC
from taskwheel_server.rpc.events import EventService
from taskwheel_server.rpc.hand_back import all_handed_back
from taskwheel_server.rpc.runs import TaskRunService
from taskwheel_server.rpc.server import ApiServer
from taskwheel_server.rpc.tasks import TaskService
from taskwheel_server.rpc.tls import read_credentials
from taskwheel_server.rpc.workers import WorkerService
from taskwheel_server.wheel import Wheel
from taskwheel_server.wheel.outcome import Outcome, resolve

# How long calls under way, workers among them, have to end by themselves: a supervisor kills after 10 s or more.
GRACE = 5.0

_log = structlog.get_logger()


class Server:
    """A server of the API, an async context manager: it answers inside the block.

    Leaving drains it: health goes NOT_SERVING, watches end with the sequence to resume after, workers are told to go
    away, calls under way get GRACE seconds, runs that were claimed and reached nobody are handed back, what the wheel
    was given is committed, then the store closes.

    Args:
        settings: the operator's.
        clock: of a store that has none of its own.
        grace: seconds, in place of GRACE.

    Raises:
        PortInUse: on entering, when `settings.listen` cannot be listened on.
        TaskwheelError: on entering, when the database cannot be used.
    """

    def __init__(self, settings: Settings, clock: Clock | None = None, *, grace: float = GRACE) -> None:
        self.settings = settings
        self._clock = clock or SystemClock()
        self._grace = grace
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await self._start(stack)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def _start(self, stack: AsyncExitStack) -> None:
        settings = self.settings
        loop = asyncio.get_running_loop()
        credentials = read_credentials(settings.tls_cert, settings.tls_key, settings.tls_client_ca)
        self.store = Store(settings.database_url, self._clock, settings.direct_database_url)
        stack.callback(self.store.close)

        def deliver(outcome: Outcome) -> None:
            loop.call_soon_threadsafe(self._deliver, outcome)

        self.wheel = Wheel(self.store, lease=settings.lease, retention=settings.retention, deliver=deliver)
        backend = Backend(self.store, self.wheel, lease=settings.lease, retention=settings.retention)
        stack.callback(backend.close)
        self.feed = Feed(backend.read, EVENT_CODEC, self._clock)

        def hear(hint: Hint) -> None:
            self.wheel.hear(hint)
            loop.call_soon_threadsafe(self.feed.notify, hint)

        self.store.listen(hear)
        workers = WorkerService(backend)
        api = ApiServer(
            {
                "TaskService": TaskService(backend),
                "TaskRunService": TaskRunService(backend, self.feed),
                "EventService": EventService(backend, self.feed),
                "WorkerService": workers,
                "AdminService": AdminService(backend),
            },
            settings.listen,
            credentials,
        )
        self.port = api.port
        self.wheel.start()
        stack.push_async_callback(asyncio.to_thread, self.wheel.stop)
        stack.push_async_callback(all_handed_back, self.wheel)
        await api.start()
        stack.push_async_callback(api.stop, self._grace)
        stack.callback(workers.close)
        stack.callback(self.feed.close)
        watchdog = asyncio.create_task(Watchdog(self.wheel, api.set_serving).run())
        stack.push_async_callback(api.set_serving, False)
        stack.callback(watchdog.cancel)
        _log.info("ready", address=f"{settings.listen.rpartition(':')[0]}:{api.port}", database=self.store.database)

    def _deliver(self, outcome: Outcome) -> None:
        resolve(outcome)
        self.feed.notify(outcome)
