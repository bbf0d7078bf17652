"""What all tests share: the laboratory, the servers, and a clock one can turn."""

from __future__ import annotations

import pytest

from tests.clocks import FakeClock

pytest_plugins = ["tests.lab.fixtures", "tests.servers.fixtures"]


@pytest.fixture
def clock() -> FakeClock:
    """A clock that stands still until a test turns it."""
    return FakeClock()
