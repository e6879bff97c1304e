"""What handlers call: the wheel for what changes, a few threads for what only reads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from taskwheel_server.db.interruptible import Interruptible
from taskwheel_server.db.store import Store
from taskwheel_server.errors import NotFound
from taskwheel_server.model.names import DEFAULT_NAMESPACE, parse_parent
from taskwheel_server.rpc.attendance import Attendance
from taskwheel_server.wheel import Wheel

T = TypeVar("T")

# Who calls, as long as nobody has to say so.
ANONYMOUS = "anonymous"
# As many as the store has reading connections: more would only queue there.
READERS = 4
# So many of them may look through long lists; the others are there for who asks for one record.
_LISTERS = 2
# Seconds.
_INTERRUPT_INTERVAL = 0.02


class Backend:
    """The way from the event loop to the wheel and the store.

    Args:
        store: read on threads of its own.
        wheel: given commands.
        lease: how long a lease lasts, µs.
        retention: how long runs are kept after their end, µs.
    """

    def __init__(self, store: Store, wheel: Wheel, *, lease: int, retention: int) -> None:
        self.store = store
        self.wheel = wheel
        self.lease = lease
        self.retention = retention
        self.start_time = wheel.clock.now()
        self.attendance = Attendance(self.now, exclusive=store.exclusive)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="reader")
        self._listers = asyncio.Semaphore(_LISTERS)

    def now(self) -> int:
        """Return the current instant, µs."""
        return self.wheel.clock.now()

    @property
    def horizon(self) -> int:
        """The instant (µs) at or before which what has ended counts as gone, deleted or not."""
        return self.now() - self.retention

    async def read(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Call `function(connection, *args, **kwargs)` in one snapshot that holds all that was acknowledged.

        When the call that asks for it is cancelled or past its deadline, the read ends, too.

        Raises:
            Unavailable: STORE_UNAVAILABLE.
        """
        reading = Interruptible(lambda connection: function(connection, *args, **kwargs))
        future = self._readers.submit(self.store.read, reading)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            # Again and again: it may just have been between two statements.
            while not future.done():
                await asyncio.to_thread(reading.interrupt)
                await asyncio.sleep(_INTERRUPT_INTERVAL)
            raise

    async def list(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Call `function` as `read` does, when a reader is free that may take long.

        Raises:
            Unavailable: STORE_UNAVAILABLE.
        """
        async with self._listers:
            return await self.read(function, *args, **kwargs)

    def close(self) -> None:
        """Wait for the reads under way, and end the threads."""
        self._readers.shutdown(cancel_futures=True)


def namespace_of(parent: str) -> str:
    """Return the namespace that a request's parent names.

    Raises:
        InvalidArgument: it is no parent.
        NotFound: NAMESPACE_NOT_FOUND.
    """
    namespace = parse_parent(parent)
    if namespace != DEFAULT_NAMESPACE:
        name = f"namespaces/{namespace}"
        raise NotFound("NAMESPACE_NOT_FOUND", f"there is no namespace {name}", parent=name)
    return namespace
