"""What all tests share: the laboratory, the servers, and a clock one can turn."""

from __future__ import annotations

import os

import pytest

from deploy.demo.grafana import VARIABLE
from tests.support.clocks import FakeClock

pytest_plugins = ["tests.lab.fixtures", "tests.servers.fixtures"]


def pytest_report_header() -> str:
    """Say which Grafana this run uses: its test cannot be demanded everywhere."""
    named = os.environ.get(VARIABLE)
    return f"Grafana: {named or f'none, its test is not run; {VARIABLE} names one'}"


@pytest.fixture
def clock() -> FakeClock:
    """A clock that stands still until a test turns it."""
    return FakeClock()
