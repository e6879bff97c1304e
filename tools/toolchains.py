"""Programs that come from other languages' toolchains: each by name, at a pinned version, into .tools of this clone.

A machine without the toolchain does without: what needs it is skipped, in words. With CI=true that is a failure.
"""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".tools"


class MissingToolchain(Exception):
    """A toolchain is not on this machine."""


def skipping_fails() -> bool:
    """Tell whether a part that is left out for want of a toolchain is a failure."""
    return os.environ.get("CI") == "true"


@contextmanager
def _alone() -> Iterator[None]:
    """Keep other processes from installing at the same time."""
    FOLDER.mkdir(exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def go_tool(package: str, version: str) -> Path:
    """Return the program that Go's tool makes of a package, after installing it if need be.

    Raises:
        MissingToolchain: There is no `go` on the PATH.
        subprocess.CalledProcessError: It could not be installed.
    """
    name = package.rsplit("/", 1)[-1]
    folder = FOLDER / f"{name}@{version}"
    with _alone():
        if not (folder / name).exists():
            _require("go")
            environment = os.environ | {"GOBIN": str(folder)}
            subprocess.run(["go", "install", f"{package}@{version}"], cwd=ROOT, env=environment, check=True)
    return folder / name


def npm_tool(package: str, version: str) -> Path:
    """Return the program of an npm package that is called as the package, after installing it if need be.

    Raises:
        MissingToolchain: There is no `node` or `npm` on the PATH.
        subprocess.CalledProcessError: It could not be installed.
    """
    _require("node", "npm")
    name = package.rsplit("/", 1)[-1]
    folder = FOLDER / f"{name}@{version}"
    program = folder / "node_modules" / ".bin" / name
    with _alone():
        if not program.exists():
            quiet = ["--no-save", "--no-audit", "--no-fund", "--silent"]
            subprocess.run(["npm", "install", "--prefix", folder, *quiet, f"{package}@{version}"], cwd=ROOT, check=True)
    return program


def _require(*programs: str) -> None:
    for program in programs:
        if not shutil.which(program):
            raise MissingToolchain(f"there is no `{program}` on the PATH")
