from types import SimpleNamespace
from typing import Any

from taskwheel_server.app.watchdog import HANGS_AFTER, Watchdog


async def test_a_turn_that_hangs_is_told_once_and_so_is_its_end():
    wheel: Any = SimpleNamespace(turn_began=None)
    told = []

    async def tell(turns: object) -> None:
        told.append(turns)

    watchdog = Watchdog(wheel, tell)
    await watchdog.look(100.0)
    wheel.turn_began = 100.0
    await watchdog.look(100.0 + HANGS_AFTER)
    assert told == []
    await watchdog.look(100.1 + HANGS_AFTER)
    await watchdog.look(200.0)
    assert told == [False]
    wheel.turn_began = 200.0
    await watchdog.look(201.0)
    assert told == [False, True]
