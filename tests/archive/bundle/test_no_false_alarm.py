"""A bundle of a device that lived through anything is valid.

A random life of a journal: points, seals, restarts, kills, seals that a power cut lost,
clocks that were not trusted, removed points, and replaced keys. Everything that was
delivered on the way is in the database, as with InfluxDB.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from qos_agent.agent.events import reading_of
from qos_agent.archive.bundle.centre import Centre
from qos_agent.archive.bundle.register import StationKey
from qos_agent.archive.bundle.verifying import verify
from qos_agent.evidence import keys
from qos_agent.journal.tables import FILE_NAME
from qos_agent.model import Phase
from tests.agent.test_sealing import Device
from tests.archive.bundle.support import NAME, STATION, bundle_of, journal_source
from tests.journal.support import ALL, put

LIVES = 60 if os.environ.get("QOS_FAULTS") == "full" else 3
STEPS = 16


class Life:
    """A device, and the database that has all lines that it ever stored."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.device = Device(folder)
        self.database: dict[bytes, None] = {}
        self.keys = [StationKey(STATION, NAME, self.device.public_key, 0)]
        self.folders = 0

    def put(self) -> None:
        """Store points, and events of the journal."""
        device = self.device
        put(device.journal, device.clock, self.random.randrange(1, 90))
        now_ns = device.clock.boot_ns()
        device._store([reading_of(e, now_ns) for e in device.journal.take_events()])

    def seal(self) -> None:
        """Seal the points."""
        self.device.seal()

    def deliver(self) -> None:
        """Copy all lines to the database."""
        self.database |= dict.fromkeys(
            line for _, line in self.device.journal.lines(ALL)
        )

    def restart(self) -> None:
        """Close the journal and open it again."""
        self.deliver()
        self.device.journal.close()
        self.device.open()

    def kill(self) -> None:
        """Go on with the files as they are on the disk now."""
        self.deliver()
        device = self.device
        self.folders += 1
        folder = device.folder.with_name(f"killed-{self.folders}")
        shutil.copytree(device.folder, folder)
        device.journal.close()
        device.folder, device.path = folder, folder / keys.FILE_NAME
        device.open()

    def lose_seal(self) -> None:
        """Make a seal that a power cut keeps out of the journal.

        It is not the first one of a journal: a hand-over that is lost is not repeated.
        """
        device = self.device
        self.put()
        self.seal()
        self.put()
        device.sealer.seal("interval", Phase.PRE, device.clock.boot_ns())
        self.restart()

    def wait_for_clock(self) -> None:
        """Store points while the clock is not trusted, and stamp them later."""
        clock = self.device.clock
        clock.synced = False
        self.put()
        self.seal()
        clock.synced = True
        self.put()

    def lose_journal(self) -> None:
        """Remove or damage the file of the journal."""
        self.deliver()
        device = self.device
        device.journal.close()
        path = device.folder / FILE_NAME
        if self.random.random() < 0.5:
            path.write_bytes(b"\xff" * 5000)
        else:
            path.unlink()
        device.open()

    def replace_key(self) -> None:
        """Create a new key, which the centre imports."""
        device = self.device
        at_s = device.clock.state().offset_ns // 10**9
        at_s += device.clock.boot_ns() // 10**9 + 10
        device.clock.advance(60.0)
        keys.retire_key(device.path, f"2024021400{len(self.keys):04}")
        device.public_key = keys.create_key(device.path).public_key
        last = self.keys[-1]
        values = (STATION, NAME, last.key, last.valid_from_s, at_s)
        new = StationKey(STATION, NAME, device.public_key, at_s)
        self.keys[-1:] = [StationKey(*values), new]
        self.restart()


@pytest.mark.parametrize("seed", range(LIVES))
def test_an_untouched_bundle_has_no_fault(tmp_path: Path, seed: int) -> None:
    """Nothing is reported whatever happened to the device, in whatever order."""
    (tmp_path / "device").mkdir()
    life = Life(tmp_path / "device", seed)
    actions: list[Callable[[], None]] = [
        *(4 * [life.put]),
        *(4 * [life.seal]),
        life.restart,
        life.kill,
        life.lose_seal,
        life.wait_for_clock,
        life.lose_journal,
        life.replace_key,
    ]
    life.put()
    life.seal()
    done = [life.random.choice(actions) for _ in range(STEPS)]
    for action in done:
        action()
    life.put()
    life.seal()
    life.deliver()
    life.device.journal.close()
    source = journal_source(life.device.folder)
    bundle_of(tmp_path / "bundle", [*life.database], Centre(life.keys), source)
    verdict = verify(tmp_path / "bundle")
    names = [action.__name__ for action in done]
    faults = [list(one.findings.lines()) for one in verdict.journals]
    assert verdict.is_valid, (names, faults, verdict.findings)
