"""Fixtures shared by the tests of the operations centre."""

from __future__ import annotations

from pathlib import Path

import pytest

from qos_agent.noc.register.store import Register


@pytest.fixture
def register(tmp_path: Path) -> Register:
    """Return an empty register in a file."""
    return Register(tmp_path / "register.sqlite3")
