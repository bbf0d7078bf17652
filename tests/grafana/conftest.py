"""The simulated days, for all tests of dashboards and alerts."""

from __future__ import annotations

from tests.grafana.day import healthy, troubled

__all__ = ["healthy", "troubled"]
