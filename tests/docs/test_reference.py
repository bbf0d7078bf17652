"""The generated reference pages are what the code gives now."""

from __future__ import annotations

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
