"""Threads for plain handlers.

concurrent.futures would make a future and wake the loop for each run. Here work is queued by batches, and one thread is
woken at a time: it takes an item, wakes the next thread if more is queued, and goes on until nothing is. So quick
handlers run in a few threads without a switch for each, and slow ones still all run at once.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from queue import SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")


class Pool(Generic[T]):
    """Performs items in threads, which are started as they are needed.

    Args:
        size: how many threads there are at most.
        perform: what to do with an item; must not raise.
    """

    def __init__(self, size: int, perform: Callable[[T], None]) -> None:
        self._size = size
        self._perform = perform
        self._queue: deque[T] = deque()
        self._permits: SimpleQueue[bool] = SimpleQueue()
        self._permitted = False
        self._lock = threading.Lock()
        self._idle = 0
        self._started = 0

    def submit(self, items: Iterable[T]) -> None:
        """Queue items."""
        self._queue.extend(items)
        self._wake_one()

    def withdraw(self) -> list[T]:
        """Take back what no thread has begun."""
        items: list[T] = []
        while self._queue:
            try:
                items.append(self._queue.popleft())
            except IndexError:  # a thread was faster
                break
        return items

    def close(self) -> None:
        """Let threads end as they become idle. What a handler still does ends with the process."""
        for _ in range(self._started):
            self._permits.put(False)

    def _wake_one(self) -> None:
        with self._lock:
            if self._permitted or not self._queue:
                return
            self._permitted = True
            if not self._idle and self._started < self._size:
                self._idle += 1
                self._started += 1
                threading.Thread(target=self._work, name=f"taskwheel-{self._started}", daemon=True).start()
        self._permits.put(True)

    def _work(self) -> None:
        while self._permits.get():
            with self._lock:
                self._idle -= 1
                self._permitted = False
            while self._queue:
                try:
                    item = self._queue.popleft()
                except IndexError:  # another thread was faster
                    break
                if self._queue and not self._permitted:
                    self._wake_one()
                self._perform(item)
            with self._lock:
                self._idle += 1
