"""The simulated days, for all tests of dashboards and alerts."""

from __future__ import annotations

import pytest

from tests.grafana.day import healthy, troubled

__all__ = ["healthy", "troubled"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the tests of the simulated days to one worker, which simulates them once."""
    for item in items:
        if {"healthy", "troubled"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.xdist_group("simulated days"))
