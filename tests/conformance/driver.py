"""The driver of a language, as a process."""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# A step answers within its own deadline; a driver that does not is broken.
_PATIENCE = 40.0


class DriverDied(Exception):
    """The driver ended, or did not answer in time."""


class Driver:
    """One driver, connected to one server.

    Args:
        command: what starts it.
        folder: where.
        log: for its standard error.
    """

    def __init__(self, command: Sequence[str], folder: Path, log: Path) -> None:
        self._log = log
        with log.open("wb") as sink:
            try:
                self._process = subprocess.Popen(
                    command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=sink
                )
            except OSError as error:
                raise DriverDied(f"it does not start: {error}") from None
        self._answers: queue.Queue[bytes] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            self._answers.put(line)
        self._answers.put(b"")

    def ask(self, line: dict[str, Any]) -> dict[str, Any]:
        """The answer to a line."""
        assert self._process.stdin
        try:
            self._process.stdin.write(json.dumps(line).encode() + b"\n")
            self._process.stdin.flush()
            answer = self._answers.get(timeout=_PATIENCE)
        except queue.Empty:
            raise DriverDied(f"no answer within {_PATIENCE:.0f} s to {line.get('do', 'the first line')}") from None
        except BrokenPipeError:
            answer = b""
        if not answer:
            raise DriverDied(f"it ended: {self._log.read_text(errors='replace')[-2000:]}")
        try:
            told: dict[str, Any] = json.loads(answer)
        except ValueError:
            raise DriverDied(f"wrote {answer[:300]!r}, which is not JSON") from None
        return told

    def close(self) -> None:
        """End it."""
        assert self._process.stdin
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
