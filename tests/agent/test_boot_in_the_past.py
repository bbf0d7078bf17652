"""A device without a clock of its own: slots passed in the dark are told later."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from qos_agent.agent.agent import Agent
from qos_agent.config.loading import Loaded
from qos_agent.config.settings import Settings
from qos_agent.journal import Journal, JournalLimits
from qos_agent.journal.reader import EVERY_SEQ, reading
from qos_agent.model import Phase, Record
from qos_agent.model.line_protocol import decode
from qos_agent.probes.registry import PROBES
from tests.journal.support import point
from tests.support.clocks import FakeClock

HOURS = 6
OTHERS = [name for name in PROBES if name != "host"]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """An agent that measures its host alone, once a minute."""
    return Settings.model_validate(
        {
            "station": {"id": "S1", "province": "31"},
            "schedule": {"idle": {"host": "1m"}},
            "journal": {"folder": tmp_path, "disk_reserve": "0MB"},
            "runtime": {"folder": tmp_path},
        }
    )


def _run_before(settings: Settings, clock: FakeClock) -> None:
    journal = Journal.open(
        settings.journal.folder, settings.identity(), ("collector",),
        lambda _: Phase.IDLE, JournalLimits(disk_reserve_bytes=0),
    )  # fmt: skip
    journal.put([point(clock.boot_ns(), "host")], clock.state(), clock.boot_id)
    journal.close()


def _absences(folder: Path) -> list[Record]:
    with reading(folder) as journal:
        records = [decode(line) for line in journal.lines(EVERY_SEQ)]
    return [r for r in records if r.fields.get("reason") == "not_running"]


def _pending(folder: Path) -> int:
    with reading(folder) as journal:
        return journal.stats().pending


def _await(condition: Callable[[], bool], limit_s: float = 60.0) -> None:
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.05)


def test_slots_missed_before_the_clock_was_known_are_told_after(
    settings: Settings, tmp_path: Path
) -> None:
    """Booted in the past: nothing is claimed then; once it is set, one skipped reading.

    Six hours of a slot a minute are 360 slots, and no second reading tells of them.
    """
    clock = FakeClock()
    _run_before(settings, clock)
    true_offset_ns = clock.offset_ns + HOURS * 3600 * 10**9
    clock.trusted, clock.boot_id = False, "boot-2"
    agent = Agent(Loaded(settings, {}), clock, OTHERS)
    running = threading.Thread(target=agent.run, daemon=True)
    running.start()
    _await(lambda: _pending(tmp_path) >= 1)
    assert _absences(tmp_path) == []
    clock.offset_ns, clock.trusted = true_offset_ns, True

    def told() -> bool:
        clock.advance(61)  # the next commit
        return bool(_absences(tmp_path))

    _await(told)
    agent.stop()
    running.join(30)
    (absence,) = _absences(tmp_path)
    assert (absence.measurement, absence.fields["slots"]) == ("host", HOURS * 60)
