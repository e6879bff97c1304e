"""The pages of the documentation: their links, and what they claim of the code."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [ROOT / "README.md", *ROOT.glob("protos/*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("clients/*/README.md")]
)


def anchors(page: Path) -> set[str]:
    """What the headings of a page are linked by."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target
        assert not anchor or anchor in anchors(page.parent / target if target else page), f"{target}#{anchor}"


def test_every_reason_of_the_page_on_errors_is_given_by_the_server():
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    reasons = set(re.findall(r"^\|[^|]*\| (`[A-Z_`, ]+`)", page, re.MULTILINE))
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "server").rglob("*.py"))
    for reason in re.findall("[A-Z_]+", " ".join(reasons)):
        assert f'"{reason}"' in source, reason
