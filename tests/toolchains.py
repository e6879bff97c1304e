"""Programs of other toolchains for tests."""

from pathlib import Path

import pytest

from tools.toolchains import MissingToolchain, go_tool, skipping_fails

# By the package that the README has people install, each in a version that does not move.
GO_TOOLS = {
    "github.com/fullstorydev/grpcurl/cmd/grpcurl": "v1.9.4",
    "github.com/grpc-ecosystem/grpc-health-probe": "v0.4.61",
    "github.com/bojand/ghz/cmd/ghz": "v0.93.0",
}


def go_program(name: str) -> Path:
    """A program that a test needs; without Go the test is skipped, or fails where nothing may be skipped."""
    [package] = [package for package in GO_TOOLS if package.endswith(f"/{name}")]
    try:
        return go_tool(package, GO_TOOLS[package])
    except MissingToolchain as error:
        if skipping_fails():
            pytest.fail(str(error))
        pytest.skip(str(error))
