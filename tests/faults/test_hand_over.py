"""Power cuts around the first seal of a new journal, which has a hand-over."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest

from qos_agent.agent import sealing
from qos_agent.evidence import handover, keys, last_seal, library, notes
from qos_agent.evidence.signer import Signer
from qos_agent.journal import Journal, tables
from qos_agent.journal.reader import EVERY_SEQ
from qos_agent.model import Phase
from qos_agent.model.line_protocol import decode, points
from tests.faults.conftest import FULL, Account, tried
from tests.faults.recording import Call, Disk, recording
from tests.journal.support import LIMITS, pre, put
from tests.support.clocks import FakeClock
from tests.support.readings import IDENTITY

SEED = 17
CUT_SHARE = 1.0 if FULL else 0.05
_FILES = (last_seal.FILE_NAME, last_seal.BEFORE_NAME)


@dataclass(frozen=True, slots=True)
class Files:
    """The small files of the folder after a write, and whether it was synced."""

    content: dict[str, bytes]
    synced: bool


@dataclass
class Cut:
    """The state of the small files, and the part of it that a power cut keeps."""

    now: dict[str, bytes] = field(default_factory=dict)
    on_disk: dict[str, bytes] = field(default_factory=dict)

    def apply(self, files: Files) -> None:
        """Take the state after a write."""
        self.now = files.content
        if files.synced:
            self.on_disk = files.content

    def torn(self, chance: Random) -> dict[str, bytes]:
        """Return the files with each unsynced one as before, empty or complete."""
        found = {}
        for name in {*self.now, *self.on_disk}:
            old, new = self.on_disk.get(name), self.now.get(name)
            content = old if old == new else chance.choice((old, b"", new))
            if content is not None:
                found[name] = content
        return found


def _open(folder: Path, signer: Signer) -> tuple[Journal, sealing.Sealer]:
    journal = Journal.open(
        folder, IDENTITY, ("collector",), pre, LIMITS, anchor=sealing.anchor(folder)
    )
    return journal, sealing.Sealer(journal, IDENTITY.device, signer, folder)


def _session(folder: Path, signer: Signer, clock: FakeClock) -> list[bytes]:
    """Run an agent for two minutes; return the lines of its journal."""
    journal, sealer = _open(folder, signer)
    for cause in ("start", "interval", "stop"):
        put(journal, clock, 3)
        sealer.due(Phase.PRE, clock.boot_ns())
        made = sealer.seal(cause, Phase.PRE, clock.boot_ns())
        clock.advance(60.0)
        rows = [p for reading in made for p in points(reading, IDENTITY)]
        journal.put(rows, clock.state(), clock.boot_id)
    assert sealer.state.problem is None
    lines = [line for _, line in journal.lines(EVERY_SEQ)]
    journal.close()
    return lines


def _handed_over(lines: list[bytes]) -> Iterator[tuple[str, str, str]]:
    """Yield kind, old and new origin of each hand-over."""
    for line in lines:
        fields: dict[str, Any] = dict(decode(line).fields)
        if fields.get("cause") == "handover":
            note = notes.parse_note(notes.decoded(str(fields["note"])))
            name = f"qos-agent/{IDENTITY.device}"
            found = handover.verified(note, name, name)
            yield found.kind.value, found.old.origin, found.new.origin


def _recorded(
    folder: Path, signer: Signer, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> list[Call | Files]:
    """Run an agent on a new journal; return all writes to its folder in order."""
    with recording() as calls, monkeypatch.context() as patch:
        found: list[Any] = calls

        def note(*, synced: bool) -> None:
            present = (name for name in _FILES if (folder / name).exists())
            content = {name: (folder / name).read_bytes() for name in present}
            found.append(Files(content, synced))

        def watch(name: str, *, synced: bool = False) -> None:
            real = getattr(last_seal, name)

            def watched(*arguments: Any) -> None:
                real(*arguments)
                note(synced=synced)

            patch.setattr(last_seal, name, watched)

        note(synced=True)
        watch("write_atomically")
        watch("sync", synced=True)
        watch("forget_before")
        _session(folder, signer, clock)
    return found


@pytest.mark.slow
def test_a_power_cut_keeps_no_hand_over_out_of_the_journal(
    quick_disk: Path, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a cut at each write, the new journal has a hand-over from the old one."""
    folder, clock, chance = quick_disk / "whole", FakeClock(), Random(SEED)
    folder.mkdir()
    keys.create_key(folder / keys.FILE_NAME)
    signer = library.LibrarySigner.of(folder / keys.FILE_NAME)
    assert [*_handed_over(_session(folder, signer, clock))] == []
    old = last_seal.read(folder)
    assert old is not None
    (folder / tables.FILE_NAME).rename(folder / "moved-aside")
    writes = _recorded(folder, signer, clock, monkeypatch)
    disk, cut, tries, lost = Disk(), Cut(), 0, 0
    for write in tried("writes around a hand-over", writes):
        if isinstance(write, Files):
            cut.apply(write)
        else:
            disk.apply(write)
            if chance.random() > CUT_SHARE:
                continue
        states = (disk.written(), cut.now), (disk.torn(chance), cut.torn(chance))
        for journal, small in states:
            place = quick_disk / "cut"
            place.mkdir()
            for name, content in {**journal, **small}.items():
                (place / name).write_bytes(content)
            found = [*_handed_over(_session(place, signer, clock))]
            lost += not any(one[1] == old.checkpoint.origin for one in found)
            tries += 1
            shutil.rmtree(place)
    account("power cut: hand-over to a new journal", tries, tries, lost, 0)
