"""The generated reference pages are what the code gives now."""

from __future__ import annotations

import re
import runpy
from collections.abc import Callable
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("name", ["agent-toml.md", "noc-toml.md"])
def test_every_setting_is_described_in_sentences(name: str) -> None:
    """No key has an empty meaning or a fragment, and no duration is a bare number."""
    rows = [line[2:-2].split(" | ") for line in PAGES[name]().splitlines()]
    settings = [row for row in rows if row[0].startswith("`") and len(row) == 3]
    assert len(settings) > 30
    for key, default, meaning in settings:
        assert re.match(r"[A-Z0-9].*\.$", meaning), key
        assert not re.search(r"\d\.0\b.*,", default), key
