"""The table itself: `make test-clients` takes every language through it."""

import pytest

from tests.conformance.drivers.verbs import Verbs
from tests.conformance.stage import Stage
from tests.conformance.table import FOLDER, behaviours

README = (FOLDER.parent / "README.md").read_text("utf-8")


@pytest.mark.parametrize("row", behaviours(), ids=lambda row: row.name)
def test_a_row_uses_verbs_that_are_told_of(row):
    for step in row.steps:
        verb = step.get("do") or step["runner"]
        assert hasattr(Verbs if "do" in step and verb != "join" else Stage, verb) or verb == "join"
        assert f"`{verb}`" in README


@pytest.mark.parametrize("row", behaviours(), ids=lambda row: row.name)
def test_a_row_can_fail(row):
    assert any({"ok", "error"} & set(step) or step.get("runner") == "requested" for step in row.steps)
