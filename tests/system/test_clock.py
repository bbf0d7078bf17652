"""Trust in the wall clock, and detection of its steps."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from qos_agent.model import ClockState
from qos_agent.model.time_span import LAST_NS
from qos_agent.system.clock import (
    ClockEvidence,
    StepWatch,
    SystemClock,
    doubt,
    is_trusted,
)

MINUTE_NS = 60 * 10**9
NOW_NS = 1_800_000_000 * 10**9
# A Raspberry Pi that has just booted; its clock has not been set yet.
BOOTED = ClockEvidence(NOW_NS, MINUTE_NS, synced=False, has_rtc=False, not_before_ns=0)


@pytest.mark.parametrize(
    ("evidence", "trusted"),
    [
        (BOOTED, False),
        (replace(BOOTED, synced=True), True),
        (replace(BOOTED, has_rtc=True), True),
        (replace(BOOTED, boot_ns=6 * MINUTE_NS), True),
        (replace(BOOTED, boot_ns=6 * MINUTE_NS, newest_record_ns=NOW_NS + 1), False),
        (replace(BOOTED, has_rtc=True, newest_record_ns=NOW_NS + 1), False),
        (replace(BOOTED, synced=True, newest_record_ns=NOW_NS + 1), True),
        (replace(BOOTED, collector_offset_ms=-900.0), True),
        (replace(BOOTED, has_rtc=True, collector_offset_ms=-3.6e6), False),
        (replace(BOOTED, has_rtc=True, collector_offset_ms=20_000.0), True),
        (replace(BOOTED, synced=True, not_before_ns=NOW_NS + 1), False),
        (replace(BOOTED, synced=True, has_rtc=True, wall_ns=LAST_NS), False),
    ],
    ids=[
        "just booted",
        "synchronised",
        "battery",
        "time to be set",
        "behind its records",
        "battery but behind",
        "synchronised, behind its records",
        "collector agrees",
        "collector contradicts",
        "collector undecided",
        "before this software",
        "in the far future",
    ],
)
def test_trust(evidence: ClockEvidence, trusted: bool) -> None:
    """Stronger evidence decides before weaker evidence."""
    assert is_trusted(evidence) is trusted


@pytest.mark.parametrize(
    ("evidence", "reason"),
    [
        (BOOTED, "no time server has set the clock"),
        (replace(BOOTED, not_before_ns=NOW_NS + 1), "in the past"),
        (replace(BOOTED, wall_ns=LAST_NS), "in the far future"),
        (replace(BOOTED, newest_record_ns=NOW_NS + 1), "behind the newest point"),
        (replace(BOOTED, collector_offset_ms=-3.6e6), "from the collector's"),
    ],
)
def test_doubt(evidence: ClockEvidence, reason: str) -> None:
    """The reason names the evidence that decides."""
    assert reason in (doubt(evidence) or "")


@pytest.mark.parametrize("content", ["", "zero\n", "\ufffd" * 99])
def test_without_a_boot_id_each_process_has_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    """An id of any other form is not taken from the file."""
    (tmp_path / "boot_id").write_text(content)
    monkeypatch.setattr("qos_agent.system.clock._BOOT_ID", tmp_path / "boot_id")
    first, second = SystemClock(0), SystemClock(0)
    assert len(first.boot_id) == 36
    assert first.boot_id != second.boot_id


def test_system_clock_relates_wall_to_boot_time() -> None:
    """Boot time plus the offset is the wall time to a millisecond."""
    clock = SystemClock(0)
    state = clock.state()
    assert abs(clock.boot_ns() + state.offset_ns - time.time_ns()) < 10**6
    assert (state.error_ms is None) is not state.synced


def test_system_clock_before_this_software_is_not_trusted() -> None:
    """A clock that shows a time before this software existed is wrong."""
    assert not SystemClock(time.time_ns() + 10**12).state().trusted


def test_collector_that_contradicts_ends_the_trust() -> None:
    """A clock an hour off the collector's Date is not trusted until it is set."""
    clock = SystemClock(0)
    clock.compared(-3.6e6)
    state = clock.state()
    assert state.trusted is state.synced
    clock.compared(10.0)
    assert clock.state().trusted


@pytest.mark.parametrize(
    ("moved_ms", "step_ms"),
    [(0, None), (30, None), (-30, None), (3.6e6, 3.6e6), (-600, -600)],
)
def test_a_step_is_detected_and_slewing_is_not(
    moved_ms: float, step_ms: float | None
) -> None:
    """A step is a change of half a second or more; the first call returns None."""
    watch = StepWatch()
    state = ClockState(10**18, trusted=True, synced=True)
    assert watch.step_ms(state) is None
    moved = replace(state, offset_ns=state.offset_ns + int(moved_ms * 1e6))
    assert watch.step_ms(moved) == step_ms
    assert watch.step_ms(moved) is None
