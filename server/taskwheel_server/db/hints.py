"""What servers on one database tell each other: hints, which may be lost, of what a turn left for others to do.

A hint saves waiting. Whoever has not heard one finds the same in the tables, when it looks around a moment later.
"""

from __future__ import annotations

import json
import os
import secrets
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from taskwheel_server.db.dialect.common import reason_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from sqlalchemy.engine import URL

    from taskwheel_server.db.dialect.common import Channel, SharedDialect

# Bytes: PostgreSQL takes less than 8,000.
MAX_BYTES = 7_800
# Seconds between two greetings, and how long one counts: three may be lost.
GREETING = 5.0
PRESENT = 4 * GREETING
# Seconds after which a broken connection is tried again.
BACK_OFF = 1.0

log = structlog.get_logger()


@dataclass(slots=True)
class Hint:
    """What a turn of another server has left, or news for those who wait.

    Attributes:
        ready: (namespace, handler) pairs that have got ready runs.
        stops: (run uid, attempt, whether its lease is lost) of runs that their worker, wherever it is, must stop.
        sequences: the newest event by namespace, of those that got events.
        logged: uids of runs that got log lines.
        ended: uids of runs that ended.
        untold: whether there is more than is said here: look around.
    """

    ready: set[tuple[str, str]] = field(default_factory=set)
    stops: list[tuple[str, int, bool]] = field(default_factory=list)
    sequences: dict[str, int] = field(default_factory=dict)
    logged: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    untold: bool = False

    def dump(self, origin: str) -> str:
        """Return it as text of at most MAX_BYTES, as said by `origin`."""
        said: dict[str, Any] = {"origin": origin, "sequences": self.sequences, "untold": self.untold}
        lists: dict[str, Any] = {
            "ready": sorted(self.ready),
            "stops": self.stops,
            "ended": sorted(self.ended),
            "logged": sorted(self.logged),
        }
        text = json.dumps(said | lists, separators=(",", ":"))
        return text if len(text) <= MAX_BYTES else json.dumps(said | {"untold": True}, separators=(",", ":"))

    @classmethod
    def load(cls, said: dict[str, Any]) -> Hint:
        """Return the hint of `dump`'s JSON, perhaps of a version that says more or less."""
        return cls(
            ready={(namespace, handler) for namespace, handler in said.get("ready", ())},
            stops=[(uid, attempt, lost) for uid, attempt, lost in said.get("stops", ())],
            sequences=said.get("sequences", {}),
            logged=set(said.get("logged", ())),
            ended=set(said.get("ended", ())),
            untold=said.get("untold", True),
        )


class Hearing:
    """Listens for hints on a thread and a connection of its own, and knows who else is there.

    Servers greet each other now and then. Who hears its own greeting knows that hints arrive; through a pooler that
    shares connections they do not.

    Args:
        dialect: how to listen.
        url: where; not through such a pooler.
        receive: called on the thread with each hint of another server.
    """

    def __init__(self, dialect: SharedDialect, url: URL, receive: Callable[[Hint], None]) -> None:
        self._dialect = dialect
        self._url = url
        self._receive = receive
        self.origin = secrets.token_hex(8)
        # When each server was heard last, by the monotonic clock in seconds.
        self._heard: dict[str, float] = {}
        self._greeted = -PRESENT
        self._stopping = threading.Event()
        # Of the thread's whole life: a connection may be lost just when its wait is to end.
        self._interrupted, self._interrupt = os.pipe()
        self._thread = threading.Thread(target=self._loop, name="hints", daemon=True)
        self._thread.start()

    @property
    def reliable(self) -> bool:
        """Whether hints arrive."""
        return self._lately(self.origin)

    @property
    def alone(self) -> bool:
        """Whether nobody else would hear a hint, as far as is known."""
        return not any(self._lately(origin) for origin in list(self._heard) if origin != self.origin)

    def close(self) -> None:
        """End the thread."""
        self._stopping.set()
        os.write(self._interrupt, b"!")
        self._thread.join()
        os.close(self._interrupted)
        os.close(self._interrupt)

    def _lately(self, origin: str) -> bool:
        return time.monotonic() - self._heard.get(origin, -PRESENT) < PRESENT

    def _loop(self) -> None:
        lost = False
        while not self._stopping.is_set():
            try:
                with self._dialect.listen(self._url) as channel:
                    self._greeted = -PRESENT
                    if lost:
                        log.info("hints_heard")
                    lost = False
                    # What was said before was not heard.
                    self._receive(Hint(untold=True))
                    while not self._stopping.is_set():
                        self._listen(channel)
            except self._dialect.failures as error:
                if not lost:
                    log.warning("hints_lost", reason=reason_of(error))
                lost = True
                self._heard.clear()
                self._stopping.wait(BACK_OFF)

    def _listen(self, channel: Channel) -> None:
        now = time.monotonic()
        if now >= self._greeted + GREETING:
            self._greeted = now
            channel.tell(json.dumps({"origin": self.origin, "hello": True}))
        for text in channel.wait(self._greeted + GREETING - now, self._interrupted):
            self._hear(channel, text)

    def _hear(self, channel: Channel, text: str) -> None:
        try:
            said = json.loads(text)
            origin = str(said["origin"])
            hint = None if "hello" in said else Hint.load(said)
        except (ValueError, TypeError, LookupError, AttributeError):
            # Whoever can use the database can say anything.
            log.warning("hint_not_understood")
            return
        new = not self._lately(origin)
        self._heard[origin] = time.monotonic()
        if origin == self.origin:
            return
        if hint:
            self._receive(hint)
        elif new:
            # So that who has just come knows of us at once.
            channel.tell(json.dumps({"origin": self.origin, "hello": True}))
