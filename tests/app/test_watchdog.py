from types import SimpleNamespace
from typing import Any

from taskwheel_server.app.watchdog import STUCK_AFTER, Watchdog


async def test_a_wheel_that_is_stuck_is_told_once_and_so_is_its_end():
    wheel: Any = SimpleNamespace(stuck_since=None)
    told = []

    async def tell(turns: object) -> None:
        told.append(turns)

    watchdog = Watchdog(wheel, tell)
    await watchdog.look(100.0)
    wheel.stuck_since = 100.0
    await watchdog.look(100.0 + STUCK_AFTER)
    assert told == []
    await watchdog.look(100.1 + STUCK_AFTER)
    await watchdog.look(200.0)
    assert told == [False]
    wheel.stuck_since = 200.0
    await watchdog.look(201.0)
    assert told == [False, True]
