"""UUIDv7 (RFC 9562) identities whose time is the store's and which strictly increase within a process."""

from __future__ import annotations

import random
import re
import threading
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from taskwheel_server.clock import Clock

UID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

_VERSION_7 = 0x7 << 76
_VARIANT = 0x2 << 62
_RANDOM_BITS = 62
_LOW = (1 << _RANDOM_BITS) - 1


class Minter:
    """Mint uids. Thread-safe.

    uuid-utils offers no monotonic mint for a given instant, and tests crank the clock; hence this one.

    Args:
        clock: gives the time part.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._millisecond = 0
        self._counter = 0

    def mint(self) -> str:
        """Return a new uid, greater than every uid minted before by this object."""
        return self.mint_many(1)[0]

    def mint_many(self, count: int) -> list[str]:
        """Return new uids in increasing order, greater than every uid minted before by this object."""
        with self._lock:
            millisecond = self._clock.now() // 1000
            if millisecond > self._millisecond:
                self._millisecond = millisecond
                # Uids need to differ, not to be secret: lease tokens fence mistakes, credentials fence people.
                # The top bit starts at 0, so that counting up within a millisecond cannot overflow in practice.
                self._counter = random.getrandbits(73)
            first, time = self._counter, self._millisecond << 80 | _VERSION_7 | _VARIANT
            counters = list(accumulate((1 + random.getrandbits(24) for _ in range(count)), initial=first))[1:]
            self._counter = counters[-1]
        return [_written(time | (counter >> _RANDOM_BITS) << 64 | counter & _LOW) for counter in counters]


def _written(number: int) -> str:
    digits = f"{number:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def time_of(uid: str) -> int:
    """Return the instant in a UUIDv7, µs; 0 when it is not one."""
    return int(uid[:8] + uid[9:13], 16) * 1000 if UID.fullmatch(uid) and uid[14] == "7" else 0
