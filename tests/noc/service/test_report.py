"""The line of a minute in the census's log."""

from __future__ import annotations

from qos_agent.config.places import provinces
from qos_agent.noc.service.report import Report


def test_an_error_of_the_server_is_one_short_line() -> None:
    """A wrong token fails for every province, and the line lists none of them."""
    report = Report(0, failed=dict.fromkeys(provinces(), "HTTP 401"))
    assert str(report).endswith("; all provinces failed: HTTP 401")


def test_provinces_with_an_error_are_named_in_order() -> None:
    """Provinces with another error have a part of their own."""
    report = Report(0, failed={"32": "timeout", "31": "timeout", "11": "HTTP 500"})
    expected = "provinces 31, 32 failed: timeout; provinces 11 failed: HTTP 500"
    assert str(report).endswith(f"; {expected}")
