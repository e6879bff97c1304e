"""Programs of other toolchains for tests."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tools.toolchains import MissingToolchain, skipping_fails


def needed(install: Callable[[str, str], Path], package: str, version: str) -> Path:
    """A program that a test needs; without its toolchain the test is skipped, or fails where nothing may be skipped."""
    try:
        return install(package, version)
    except MissingToolchain as error:
        if skipping_fails():
            pytest.fail(str(error))
        pytest.skip(str(error))
