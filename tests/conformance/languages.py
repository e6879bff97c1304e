"""What each language needs, how its client is built and tested, and how its driver starts."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Language:
    """One language.

    Args:
        name: its column.
        folder: of its client, from the root.
        driver: the command that starts its driver there.
        source: what is there once the driver is written, from the folder.
        tools: the programs that must be on the path.
        build: the commands that build client and driver.
        test: the commands that run the client's own tests.
    """

    name: str
    folder: str
    driver: tuple[str, ...]
    source: str
    tools: tuple[str, ...] = ()
    build: tuple[tuple[str, ...], ...] = ()
    test: tuple[tuple[str, ...], ...] = ()

    @property
    def path(self) -> Path:
        """The folder of its client."""
        return ROOT / self.folder

    def lacks(self) -> str:
        """Why there is nothing to run; empty when there is."""
        if missing := [tool for tool in self.tools if not shutil.which(tool)]:
            return f"no {' and no '.join(missing)} on this machine"
        return "" if list(self.path.glob(self.source)) else "no driver yet"


_MAVEN = ("mvn", "-q", "-B", "-ntp")

# Python's own tests are those of `make test`.
LANGUAGES = (
    Language("python", ".", (sys.executable, "-m", "tests.conformance.drivers"), "tests/conformance/drivers"),
    Language(
        "go",
        "clients/go",
        ("build/conformance",),
        "cmd/conformance/*.go",
        tools=("go",),
        build=(("go", "build", "-o", "build/", "./..."),),
        test=(("go", "vet", "./..."), ("go", "test", "./...")),
    ),
    Language(
        "node",
        "clients/node",
        ("npm", "run", "--silent", "conformance"),
        "**/conformance/*.ts",
        tools=("node", "npm"),
        build=(("npm", "ci", "--no-audit", "--no-fund", "--silent"), ("npm", "run", "--silent", "build")),
        test=(("npm", "test", "--silent"),),
    ),
    Language(
        "java",
        "clients/java",
        ("sh", "conformance.sh"),
        "conformance.sh",
        tools=("java", "mvn"),
        build=((*_MAVEN, "test-compile"),),
        test=((*_MAVEN, "surefire:test"),),
    ),
)
