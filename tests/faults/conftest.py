"""Limits and the result table of the fault tests.

A sample of all faults takes about a minute. The full run (`make faults`) takes at most
half an hour, because each test ends at its time limit and counts its tries.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

FULL = os.environ.get("QOS_FAULTS") == "full"

Account = Callable[[str, int, int, int, int], None]
_T = TypeVar("_T")
# After this time a fault has been tried often enough.
LIMIT_S = 240.0
_PRINT_EVERY_S = 15.0


def tried(name: str, tries: Iterable[_T], limit_s: float = LIMIT_S) -> Iterator[_T]:
    """Yield the tries until the time limit, and print the progress."""
    started = printed = time.monotonic()
    for number, item in enumerate(tries):
        now = time.monotonic()
        if now - started > limit_s:
            print(f"  {name}: time limit reached after {number}", flush=True)
            return
        if now - printed > _PRINT_EVERY_S:
            print(f"  {name}: {number} in {now - started:.0f} s", flush=True)
            printed = now
        yield item


@pytest.fixture
def quick_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a folder in memory, for tests that do not check syncs."""
    if not Path("/dev/shm").is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


@pytest.fixture
def account(record_property: Callable[[str, object], None]) -> Account:
    """Return a function that adds a table row; lost and doubled must be 0."""

    def enter(fault: str, tries: int, readings: int, lost: int, doubled: int) -> None:
        record_property("fault", (fault, tries, readings, lost, doubled))
        assert (lost, doubled) == (0, 0)

    return enter


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the result table."""
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
