"""A device without a clock reports slots missed while stopped once time is known."""

from __future__ import annotations

import threading
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
from tests.support.waiting import eventually

HOURS = 6
OTHERS = [name for name in PROBES if name != "host"]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return settings of an agent that measures only its host, once a minute."""
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
        folder=settings.journal.folder,
        identity=settings.identity(),
        collectors=("collector",),
        phase_at=lambda _: Phase.IDLE,
        limits=JournalLimits(disk_reserve_bytes=0),
    )
    journal.put([point(clock.boot_ns(), "host")], clock.state(), clock.boot_id)
    journal.close()


def _missed(folder: Path) -> list[Record]:
    with reading(folder) as journal:
        records = [decode(line) for line in journal.lines(EVERY_SEQ)]
    return [r for r in records if r.fields.get("reason") == "not_running"]


def _pending(folder: Path) -> int:
    with reading(folder) as journal:
        return journal.stats().pending


def test_slots_missed_before_the_clock_is_known_are_reported_after(
    settings: Settings, tmp_path: Path
) -> None:
    """Without a trusted clock nothing is reported; once it is set, one reading is.

    Six hours with a slot per minute are 360 slots, in one skipped reading.
    """
    clock = FakeClock()
    _run_before(settings, clock)
    true_offset_ns = clock.offset_ns + HOURS * 3600 * 10**9
    clock.trusted, clock.boot_id = False, "boot-2"
    agent = Agent(Loaded(settings, {}), clock, OTHERS)
    running = threading.Thread(target=agent.run, daemon=True)
    running.start()
    eventually(lambda: _pending(tmp_path) >= 1)
    assert _missed(tmp_path) == []
    clock.offset_ns, clock.trusted = true_offset_ns, True

    def reported() -> bool:
        clock.advance(61)  # the next commit
        return bool(_missed(tmp_path))

    eventually(reported)
    agent.stop()
    running.join(30)
    (reading_of_stop,) = _missed(tmp_path)
    assert (reading_of_stop.measurement, reading_of_stop.fields["slots"]) == (
        "host",
        HOURS * 60,
    )
