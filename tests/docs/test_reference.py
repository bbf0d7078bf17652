"""The generated reference pages are what the code gives now."""

from __future__ import annotations

import re
import runpy
from collections.abc import Callable
from pathlib import Path

import pytest

from qos_agent.model.schema.codes import CAUSES, REASONS

GENERATOR = Path(__file__).parents[2] / "docs" / "reference" / "generate.py"
PAGES: dict[str, Callable[[], str]] = runpy.run_path(str(GENERATOR))["PAGES"]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_current(name: str) -> None:
    """The committed page equals the generated one; `make docs` writes it."""
    assert (GENERATOR.parent / name).read_text(encoding="utf-8") == PAGES[name]()


def test_every_reference_page_is_generated() -> None:
    """No reference page is written by hand."""
    pages = {path.name for path in GENERATOR.parent.glob("*.md")}
    assert pages - {"README.md"} == set(PAGES)


@pytest.mark.parametrize("word", [*CAUSES, *REASONS])
def test_every_cause_and_reason_has_a_row_with_what_to_do(word: str) -> None:
    """A technician finds each word of the log in the table of failed measurements."""
    page = (GENERATOR.parents[1] / "guide" / "troubleshooting.md").read_text("utf-8")
    section = page.split("## A measurement fails")[1].split("\n## ")[0]
    words = [row.split("|")[1] for row in section.splitlines() if row.startswith("|")]
    assert any(f"`{word}`" in names for names in words)


@pytest.mark.parametrize("name", ["agent-toml.md", "noc-toml.md"])
def test_every_setting_is_described_in_sentences(name: str) -> None:
    """No key has an empty meaning or a fragment, and no duration is a bare number."""
    rows = [line[2:-2].split(" | ") for line in PAGES[name]().splitlines()]
    settings = [row for row in rows if row[0].startswith("`") and len(row) == 3]
    assert len(settings) > 30
    for key, default, meaning in settings:
        assert re.match(r"[A-Z0-9].*\.$", meaning), key
        assert not re.search(r"\d\.0\b.*,", default), key
