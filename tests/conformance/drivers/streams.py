"""A stream of the client that is read only as far as the runner asks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any


class Stream:
    """Events or log entries.

    Args:
        items: what the client answered.
    """

    def __init__(self, items: AsyncGenerator[Any, None]) -> None:
        self._items = items
        self._coming: asyncio.Task[Any] | None = None

    async def take(self, count: int | None, timeout: float) -> list[Any]:
        """The next items: `count` of them, or as many as come in time or until the end."""
        deadline = asyncio.get_running_loop().time() + timeout
        taken: list[Any] = []
        while count is None or len(taken) < count:
            self._coming = self._coming or asyncio.ensure_future(anext(self._items))
            await asyncio.wait((self._coming,), timeout=deadline - asyncio.get_running_loop().time())
            if not self._coming.done():
                break
            if (error := self._coming.exception()) is not None:
                if taken or isinstance(error, StopAsyncIteration):
                    break
                raise error
            taken.append(self._coming.result())
            self._coming = None
        return taken

    async def close(self) -> None:
        """End it."""
        if self._coming and not self._coming.done():
            self._coming.cancel()
            await asyncio.wait((self._coming,))
        await self._items.aclose()
