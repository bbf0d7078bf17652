"""What the tests of the centre share."""

from __future__ import annotations

from pathlib import Path

import pytest

from qos_agent.noc.register.store import Register


@pytest.fixture
def register(tmp_path: Path) -> Register:
    """An empty register in a file."""
    return Register(tmp_path / "register.sqlite3")
