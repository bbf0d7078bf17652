"""The table of faults: what was tried how often, and what was lost or doubled."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

FULL = os.environ.get("QOS_FAULTS") == "full"

Account = Callable[[str, int, int, int, int], None]


@pytest.fixture
def account(record_property: Callable[[str, object], None]) -> Account:
    """Enters a line: fault, tries, readings, lost, doubled; the last two must be 0."""

    def enter(fault: str, tries: int, readings: int, lost: int, doubled: int) -> None:
        record_property("fault", (fault, tries, readings, lost, doubled))
        assert (lost, doubled) == (0, 0)

    return enter


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table."""
    rows = [
        value
        for kind in ("passed", "failed")
        for report in terminalreporter.stats.get(kind, [])
        for name, value in getattr(report, "user_properties", [])
        if name == "fault"
    ]
    if not rows:
        return
    form = "{:<44} {:>6} {:>9} {:>5} {:>8}"
    terminalreporter.section("faults, in full" if FULL else "faults, sampled")
    terminalreporter.line(form.format("fault", "tries", "readings", "lost", "doubled"))
    for row in rows:
        terminalreporter.line(form.format(*row))
