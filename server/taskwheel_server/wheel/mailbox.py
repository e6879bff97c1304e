"""Where commands wait for the next turn: bounded, urgent ones first, a thread-safe border crossed once a turn."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from taskwheel_server.errors import ResourceExhausted, Unavailable

if TYPE_CHECKING:
    from taskwheel_server.wheel.commands import Command

# Rows, not commands: about two seconds of work at full load, and at most 200 MiB of payload.
CAPACITY = 50_000
# A transaction of about a thousand rows commits in a few ms; larger ones gain nothing and delay everybody.
TURN_ROWS = 1_000
# A group this large is a sign of many callers, who gain by company: a turn waits for more of them as long as they keep
# coming, at most LINGER seconds, and goes ahead after PAUSE seconds without one.
CROWD = 4
LINGER = 0.003
PAUSE = 0.0005


class Mailbox:
    """Commands on their way to the wheel.

    Args:
        capacity: rows that may wait; urgent commands pass even a full mailbox, for they free what others wait for.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._condition = threading.Condition()
        self._urgent: deque[tuple[Command, int]] = deque()
        self._normal: deque[tuple[Command, int]] = deque()
        self._rows = 0
        self._woken = False
        self._closed = False
        self._lingering = False

    def put(self, command: Command) -> None:
        """Add a command.

        Raises:
            ResourceExhausted: MAILBOX_FULL; nothing was taken on.
            Unavailable: SHUTTING_DOWN.
        """
        weight = command.weight
        with self._condition:
            if self._closed:
                raise Unavailable("SHUTTING_DOWN", "the server is shutting down; try again")
            if self._rows >= self._capacity and not command.urgent:
                raise ResourceExhausted("MAILBOX_FULL", "more work arrives than can be stored; try again shortly")
            (self._urgent if command.urgent else self._normal).append((command, weight))
            self._rows += weight
            if not self._lingering:
                self._condition.notify()

    def wake(self) -> None:
        """End the current or next wait: time has moved, or a chore is due."""
        with self._condition:
            self._woken = True
            self._condition.notify()

    def close(self) -> None:
        """Refuse further commands and end the wait."""
        with self._condition:
            self._closed = True
            self._woken = True
            self._condition.notify()

    @property
    def empty(self) -> bool:
        """Whether nothing waits."""
        return not self._urgent and not self._normal

    def wait(self, timeout: float | None) -> None:
        """Wait for a command, a wake or `timeout` seconds (None: without end)."""
        with self._condition:
            if self.empty and not self._woken:
                self._condition.wait(timeout)
            self._woken = False

    def linger(self) -> None:
        """Wait for company as long as it keeps coming: only after a crowd, never when idle."""
        end = time.monotonic() + LINGER
        with self._condition:
            self._lingering = True
            before = -1
            while before < (before := len(self._urgent) + len(self._normal)) and time.monotonic() < end:
                self._condition.wait(PAUSE)
            self._lingering = False

    def take(self) -> list[Command]:
        """Take a turn's worth of commands, urgent ones first; at least one of each kind if there is any."""
        taken: list[Command] = []
        rows = 0
        with self._condition:
            for queue in (self._urgent, self._normal):
                # Whatever it weighs: else a steady trickle of urgent ones would hold back a large one for ever.
                first = True
                while queue and (first or rows + queue[0][1] <= TURN_ROWS):
                    command, weight = queue.popleft()
                    rows += weight
                    taken.append(command)
                    first = False
            self._rows -= rows
        return taken
