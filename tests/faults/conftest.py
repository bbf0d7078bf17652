"""The table of faults: what was tried how often, and what was lost or doubled.

Sampled, the whole folder takes about a minute; in full (`make faults`) no longer than
half an hour: each test ends at its own limit and then counts what was tried.
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
# At the latest after so long a fault has been tried often enough.
LIMIT_S = 240.0
_SAY_EVERY_S = 15.0


def tried(what: str, tries: Iterable[_T], limit_s: float = LIMIT_S) -> Iterator[_T]:
    """The tries one by one, until the time is up; says how far it is."""
    began = said = time.monotonic()
    for number, one in enumerate(tries):
        now = time.monotonic()
        if now - began > limit_s:
            print(f"  {what}: time is up after {number}", flush=True)
            return
        if now - said > _SAY_EVERY_S:
            print(f"  {what}: {number} in {now - began:.0f} s", flush=True)
            said = now
        yield one


@pytest.fixture
def quick_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder where a sync costs nothing: for what does not prove that it is made."""
    if not Path("/dev/shm").is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


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
