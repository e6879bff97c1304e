"""`taskwheel` on a machine whose wall clock is wrong: `shifted SECONDS ARGUMENT…`."""

from __future__ import annotations

import sys
import time

_SHIFT = int(sys.argv.pop(1))
_now, _now_ns = time.time, time.time_ns


def main() -> None:
    time.time = lambda: _now() + _SHIFT
    time.time_ns = lambda: _now_ns() + _SHIFT * 10**9
    # Not before: modules keep the clock they find.
    from taskwheel.cli import main  # noqa: PLC0415

    main()


if __name__ == "__main__":
    main()
