"""Where one measurement takes place: its processes, in a temporary folder, and what drivers are told of them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from benchmarks.processes import wait_for

Command = Sequence[str | Path]

_TICKS = os.sysconf("SC_CLK_TCK")
STOP_TIMEOUT = 15.0


class Child:
    """A process that this program starts and ends, with all that come of it.

    Args:
        command: program and arguments.
        end: the signal that asks it to end.
        **options: for Popen.
    """

    def __init__(self, command: Command, *, end: int = signal.SIGTERM, **options: Any) -> None:
        self.command = " ".join(map(str, command))
        self.popen = subprocess.Popen(command, start_new_session=True, **options)
        self._end = end

    @property
    def cpu(self) -> float:
        """CPU seconds used so far by it and its descendants, those that ended included."""
        return sum(sum(times) for times in _family(self.popen.pid)) / _TICKS

    @property
    def memory(self) -> int:
        """Resident memory, bytes."""
        return int(Path(f"/proc/{self.popen.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")

    def stop(self) -> None:
        """End it by the end of its input, or by the signal if it has none; by force if it does not heed that."""
        if self.popen.stdin:
            with suppress(BrokenPipeError):
                self.popen.stdin.close()
        else:
            self.popen.send_signal(self._end)
        try:
            self.popen.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it and its descendants at once."""
        with suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()


def _family(pid: int) -> Iterator[list[int]]:
    """Yield user, system, and reaped children's user and system time of a process and its descendants, ticks."""
    children: dict[int, list[int]] = {}
    times: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            child = int(entry.parent.name)
            fields = entry.read_text().rpartition(")")[2].split()
            children.setdefault(int(fields[1]), []).append(child)
            times[child] = [int(ticks) for ticks in fields[11:15]]
    wanted = [pid]
    while wanted:
        number = wanted.pop()
        wanted += children.get(number, [])
        yield times.get(number, [])


class Site:
    """The services of one measurement.

    Args:
        log: where all processes write what they have to say.

    Attributes:
        folder: for their data; gone afterwards.
        environment: variables for what is started here.
        settle: each called when the queue has been filled and before it is drained.
    """

    def __init__(self, log: Path, environment: Mapping[str, str]) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="peers-"))
        # PostgreSQL does not run as root: its user must get through.
        self.folder.chmod(0o755)
        self.environment = {**os.environ, **environment, "TMPDIR": str(self.folder)}
        self.settle: list[Callable[[], object]] = []
        self._log = log
        self._services: list[Child] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for service in reversed(self._services):
            service.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def memory(self) -> int:
        """Resident memory of the service that was started last, bytes."""
        return self._services[-1].memory

    @property
    def cpu(self) -> float:
        """CPU seconds of all services so far."""
        return sum(service.cpu for service in self._services)

    def child(self, command: Command, **options: Any) -> Child:
        """Start a process that belongs here."""
        with self._log.open("ab") as log:
            options = {"stdin": subprocess.DEVNULL, "stdout": log, **options}
            return Child(command, stderr=log, env=self.environment, **options)

    def serve(self, target: str, command: Command, **options: Any) -> None:
        """Start a service and wait until it listens on `target`.

        Raises:
            RuntimeError: it does not.
        """
        service = self.child(command, **options)
        self._services.append(service)
        failure = f"did not start, see {self._log}: {service.command}"
        wait_for(target, lambda: service.popen.poll() is None, failure)
