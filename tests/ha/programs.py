"""Programs that this machine has, run in a folder of their own, as a user that PostgreSQL's programs accept."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.faults.processes import until

# They refuse to be root.
USER = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name


def program(name: str) -> str:
    """Return where a program is: `tools/ha.sh` has seen to it that it is there."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    path = os.pathsep.join([*map(str, reversed(versions)), os.environ["PATH"], "/usr/sbin"])
    found = shutil.which(name, path=path)
    assert found, f"{name} is not installed: run `make test-ha`"
    return found


@contextmanager
def folder(user: str = USER) -> Iterator[Path]:
    """Give a folder of a user's, outside of pytest's, which is closed to others."""
    with tempfile.TemporaryDirectory(prefix="taskwheel-ha-", ignore_cleanup_errors=True) as name:
        shutil.chown(name, user)
        yield Path(name)


class Program:
    """A process whose output goes to a file.

    Args:
        log: that file.
        command: its program and arguments.
        user: whose it is; only root can choose.
    """

    def __init__(self, log: Path, command: Sequence[str], user: str = USER) -> None:
        environment = {"PATH": os.environ["PATH"], "HOME": str(log.parent), "LANG": "C.UTF-8"}
        # Not subprocess's `user`: it forks, which does not go well with the threads of gRPC.
        group = str(pwd.getpwnam(user).pw_gid)
        become = ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups"] if os.geteuid() == 0 else []
        with log.open("ab") as sink:
            self._child = subprocess.Popen(
                [*become, *command], stdout=sink, stderr=sink, start_new_session=True, cwd=log.parent, env=environment
            )

    def kill(self) -> None:
        """End it as a power cut would, and wait until it is gone."""
        self._child.kill()
        self._child.wait()


def running(pid_file: Path, argument: str) -> int | None:
    """Return the process that a file names, unless it is gone and its number another's, without that argument."""
    try:
        pid = int(pid_file.read_text().split()[0])
        arguments = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        return None
    return pid if any(argument in each for each in arguments) else None


def children(parent: int) -> list[int]:
    """Return the processes that a process has started and that are left."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent and fields[0] != "Z":
            found.append(int(path.parent.name))
    return found


async def kill_family(parent: int) -> None:
    """End a process and its children as a power cut would, and wait until they are gone."""
    family = [parent, *children(parent)]
    for pid in family:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    await until(lambda: not any(map(_alive, family)), "the killed are gone")


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
