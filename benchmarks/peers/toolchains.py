"""What the drivers are built with: each peer is installed by name, in a pinned version, from its registry."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

SOURCES = Path(__file__).parent
BUILD = SOURCES.parents[1] / ".peers"


class Missing(Exception):
    """Something that a peer needs is not on this machine."""


def _run(*command: str | Path, folder: Path = BUILD) -> None:
    """Run a command of a set-up.

    Raises:
        Missing: it fails; what it said last is the reason.
    """
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(command, check=False, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        said = done.stdout.strip().splitlines() or ["no reason given"]
        raise Missing(f"{Path(command[0]).name} {command[1]} failed: {said[-1]}")


@cache
def go_drivers() -> Path:
    """Build the drivers of the Go peers and return the program."""
    if not shutil.which("go"):
        raise Missing("needs Go 1.26 or later")
    program = BUILD / "go-peers"
    _run("go", "build", "-o", program, ".", folder=SOURCES / "go")
    return program


@cache
def node_drivers() -> Path:
    """Install what the Node peers need and return the folder of their drivers."""
    if not (shutil.which("node") and shutil.which("npm")):
        raise Missing("needs Node 20 or later, and npm")
    folder = BUILD / "node"
    shutil.copytree(SOURCES / "node", folder, dirs_exist_ok=True)
    _run("npm", "install", "--no-package-lock", "--no-audit", "--no-fund", folder=folder)
    return folder


@cache
def python_environment() -> Path:
    """Install what the Python peers need, in an environment of their own, and return its interpreter."""
    folder = BUILD / "python"
    interpreter = folder / "bin" / "python"
    uv = Path(sys.executable).with_name("uv")
    if not interpreter.exists():
        _run(uv, "venv", "--quiet", "--python", sys.executable, folder)
    _run(uv, "pip", "install", "--python", interpreter, "-r", SOURCES / "python" / "requirements.txt")
    return interpreter


@cache
def install_redis() -> None:
    """Install Redis where Debian's package manager may."""
    if shutil.which("redis-server"):
        return
    if os.geteuid() or not shutil.which("apt-get"):
        raise Missing("needs Redis: apt-get install redis-server")
    _run("apt-get", "update")
    _run("apt-get", "install", "--yes", "redis-server")
