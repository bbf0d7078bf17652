"""Seals of a real journal, with a real key."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from qos_agent.agent import sealing
from qos_agent.agent.agent import Agent
from qos_agent.agent.sealing import NO_KEY, Sealer
from qos_agent.config.loading import Loaded
from qos_agent.config.settings import Settings
from qos_agent.evidence import handover, keys, last_seal, notes
from qos_agent.evidence.merkle import leaf_hash, split, verify_consistency
from qos_agent.evidence.signer import PublicKey
from qos_agent.journal import Journal
from qos_agent.journal.reader import EVERY_SEQ, reading
from qos_agent.model import Phase, Reading, Value
from qos_agent.model.line_protocol import decode, points
from qos_agent.system.clock import SystemClock
from tests.evidence.support import naive_root
from tests.journal.support import LIMITS, change, pre, put
from tests.support.clocks import FakeClock
from tests.support.readings import IDENTITY


class Device:
    """A folder with journal and key, which the test opens, seals and damages."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = FakeClock()
        self.path = folder / keys.FILE_NAME
        self.device = IDENTITY.device
        self.public_key: PublicKey = keys.create_key(self.path).public_key
        self.open()

    def open(self) -> None:
        """Open the journal and load the key, as the start of the agent does."""
        self.journal = Journal.open(
            self.folder,
            IDENTITY,
            ("collector",),
            pre,
            LIMITS,
            anchor=sealing.anchor(self.folder),
        )
        self.sealer = self._sealer()

    def _sealer(self) -> Sealer:
        return sealing.load(self.journal, self.device, self.folder, self.path)

    def seal(self, cause: str = "interval") -> list[dict[str, Value]]:
        """Seal, store the readings, and return their fields."""
        now_ns = self.clock.boot_ns()
        readings = self.sealer.seal(cause, Phase.PRE, now_ns)
        self._store(readings)
        return [dict(reading.samples[0].fields) for reading in readings]

    def _store(self, readings: list[Reading]) -> None:
        self.clock.advance(1.0)
        rows = [p for reading in readings for p in points(reading, IDENTITY)]
        self.journal.put(rows, self.clock.state(), self.clock.boot_id)

    def faults(self) -> tuple[str, ...]:
        """Close the journal and verify it."""
        self.journal.close()
        with reading(self.folder) as reader:
            return reader.verify([self.public_key]).faults


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Device]:
    """Return a device with a new key and 300 points."""
    device = Device(tmp_path)
    put(device.journal, device.clock, 300)
    yield device
    device.journal.close()


def _handover(fields: dict[str, Value]) -> handover.Handover:
    note = notes.parse_note(notes.decoded(str(fields["note"])))
    return handover.verified(note, "qos-agent/pi-1", "qos-agent/pi-1")


def test_each_seal_is_consistent_with_the_one_before(device: Device) -> None:
    """Root, size and proof verify without the journal; `journal verify` agrees."""
    seals = []
    for count in (1, 2, 300):
        put(device.journal, device.clock, count)
        seals += device.seal()
    hashes = [leaf_hash(line) for _, line in device.journal.lines()]
    for seal in seals:
        size = int(seal["size"])
        assert seal["root"] == naive_root(hashes[:size]).hex()
        assert seal["key"] == device.public_key.fingerprint
    for old, new in pairwise(seals):
        assert new["previous"] == old["size"]
        proof = split(notes.decoded(str(new["proof"])))
        roots = (bytes.fromhex(str(seal["root"])) for seal in (old, new))
        assert verify_consistency(int(old["size"]), int(new["size"]), proof, *roots)
    assert device.faults() == ()


def test_a_seal_that_was_not_stored_leaves_no_gap(device: Device) -> None:
    """After a power cut before the commit, the next seal continues the stored one."""
    (stored,) = device.seal()
    put(device.journal, device.clock, 5)
    lost = device.sealer.seal("interval", Phase.PRE, device.clock.boot_ns())
    assert lost
    device.journal.close()
    device.open()
    put(device.journal, device.clock, 5)
    (seal,) = device.seal("start")
    assert seal["previous"] == stored["size"]
    last = last_seal.read(device.folder)
    assert last is not None
    assert last.checkpoint.size == seal["size"]


def test_a_seal_that_waits_for_a_clock_is_continued(device: Device) -> None:
    """A waiting seal will be delivered, so that the next one must continue it."""
    device.seal()
    put(device.journal, device.clock, 5)
    device.clock.trusted = False
    (waiting,) = device.seal()
    device.journal.close()
    device.open()
    device.clock.trusted = True
    (seal,) = device.seal("start")
    assert seal["previous"] == waiting["size"]


def test_a_damaged_last_seal_leaves_no_gap(device: Device) -> None:
    """The journal has the seal too, so the proof starts there."""
    (stored,) = device.seal()
    device.journal.close()
    (device.folder / last_seal.FILE_NAME).write_text("")
    device.open()
    (seal,) = device.seal("start")
    assert seal["previous"] == stored["size"]


def test_an_altered_seal_is_found(device: Device) -> None:
    """A point whose line and hash were replaced differs from the sealed root."""
    device.seal()
    device.journal.close()
    line = b"latency,station=x sent=1i 1"
    leaf = leaf_hash(line)
    values = f"line = x'{line.hex()}', leaf = x'{leaf.hex()}'"
    change(device.folder, [f"UPDATE point SET {values} WHERE seq = 7"])
    with reading(device.folder) as reader:
        faults = reader.verify([device.public_key]).faults
    assert "point 7: its hash is not the one in the tree" in faults


def test_a_seal_of_another_key_is_found(device: Device, tmp_path: Path) -> None:
    """A signature by a key that the device never had is unknown."""
    device.seal()
    device.journal.close()
    other = keys.create_key(tmp_path / "other.pem").public_key
    with reading(device.folder) as reader:
        (fault,) = reader.verify([other]).faults
    assert "unknown key" in fault


def test_seals_are_due_by_phase(device: Device) -> None:
    """Every ten minutes in voting and counting, hourly otherwise."""
    now_ns = device.clock.boot_ns()
    for phase, wait_s in (
        (Phase.VOTING, 600),
        (Phase.COUNTING, 600),
        (Phase.PRE, 3600),
    ):
        assert device.sealer.seal("interval", phase, now_ns)
        end_ns = now_ns + wait_s * 10**9
        assert device.sealer.due(phase, end_ns - 1) is None
        assert device.sealer.due(phase, end_ns) == "interval"
        assert device.sealer.due(Phase.POST, now_ns) == "phase"


def test_without_a_key_nothing_is_sealed(device: Device) -> None:
    """No reading, no file, and the reason for status."""
    device.path.unlink()
    device.journal.close()
    device.open()
    assert device.seal() == []
    assert not device.sealer.due(Phase.PRE, 2**62)
    assert device.sealer.state.problem == NO_KEY
    assert last_seal.read(device.folder) is None


def test_a_key_that_fails_is_a_problem_and_no_exception(device: Device) -> None:
    """The state names the problem; the next try comes a minute later."""
    device.path.write_text("no key any more")
    now_ns = device.clock.boot_ns()
    assert device.seal() == []
    assert "cannot sign" in str(device.sealer.state.problem)
    assert not device.sealer.due(Phase.PRE, now_ns + 59 * 10**9)
    assert device.sealer.due(Phase.PRE, now_ns + 60 * 10**9)


def test_a_journal_moved_aside_is_handed_over(device: Device) -> None:
    """A missing file, a damaged one, an old copy and a return each have their name."""
    (before,) = device.seal()
    for kind in ("moved", "recovered", "rewound"):
        device.journal.close()
        file = device.folder / "journal.sqlite3"
        if kind == "moved":
            file.rename(device.folder / "old-copy")
        elif kind == "recovered":
            file.write_bytes(b"\xff" * 5000)
        else:
            change(device.folder, ["DELETE FROM point WHERE seq > 1"])
        device.open()
        put(device.journal, device.clock, 3)
        statement, seal = device.seal("start")
        assert (statement["cause"], statement["handover"]) == ("handover", kind)
        found = _handover(statement)
        assert found.old.root.hex() == before["root"]
        assert found.new.root.hex() == seal["root"]
        assert "previous" not in seal
        before = seal
        assert device.sealer.due(Phase.PRE, device.clock.boot_ns()) is None
        assert not (device.folder / last_seal.BEFORE_NAME).exists()
    device.journal.close()
    (device.folder / "old-copy").rename(device.folder / "journal.sqlite3")
    device.open()
    (statement, _) = device.seal("start")
    assert statement["handover"] == "restored"
    assert device.faults() == ()


def test_a_hand_over_that_was_not_stored_is_repeated(device: Device) -> None:
    """After two power cuts before the commit, it has the same reason and old seal."""
    (before,) = device.seal()
    device.journal.close()
    (device.folder / "journal.sqlite3").rename(device.folder / "old-copy")
    for _ in range(2):
        device.open()
        put(device.journal, device.clock, 3)
        assert device.sealer.seal("start", Phase.PRE, device.clock.boot_ns())
        device.journal.close()
    device.open()
    statement, _ = device.seal("start")
    assert statement["handover"] == "moved"
    assert _handover(statement).old.root.hex() == before["root"]
    assert device.faults() == ()


@pytest.mark.parametrize("old_key", ["kept", "lost"])
def test_a_replaced_key_is_handed_over(device: Device, old_key: str) -> None:
    """The old key signs if its file exists, else the centre must confirm."""
    device.seal()
    if old_key == "kept":
        keys.retire_key(device.path, "20240214T000000")
    else:
        device.path.unlink()
    new = keys.create_key(device.path).public_key
    device.journal.close()
    device.open()
    statement, seal = device.seal("start")
    found = _handover(statement)
    assert (found.kind, found.old_key, found.new_key) == (
        "key",
        device.public_key,
        new,
    )
    assert found.confirmed_by == ("device" if old_key == "kept" else "centre")
    assert seal["previous"] == 300


def test_a_replaced_device_is_handed_over(device: Device) -> None:
    """Another device name on the same card links both names."""
    device.seal()
    device.journal.close()
    device.device = "pi-2"
    device.open()
    statement, _ = device.seal("start")
    note = notes.parse_note(notes.decoded(str(statement["note"])))
    found = handover.verified(note, "qos-agent/pi-1", "qos-agent/pi-2")
    assert found.kind == "device"


PROBES = ("latency", "throughput", "web", "form", "signal")


@pytest.mark.slow
@pytest.mark.parametrize("key", ["with", "without"])
def test_a_real_agent_seals_at_start_and_stop(tmp_path: Path, key: str) -> None:
    """The last seal covers all points but the last one, itself; status has it too."""
    if key == "with":
        keys.create_key(tmp_path / keys.FILE_NAME)
    settings = Settings.model_validate(
        {
            "station": {"id": "S1", "province": "31"},
            "journal": {"folder": tmp_path, "disk_reserve": "0MB"},
            "runtime": {"folder": tmp_path},
        }
    )
    causes: list[Value] = []
    for _ in range(2):
        status = Agent(Loaded(settings, {}), SystemClock(0), PROBES).run(for_s=0.3)
    with reading(tmp_path) as reader:
        for line in reader.lines(EVERY_SEQ):
            record = decode(line)
            if record.measurement == "seal":
                causes.append(record.fields["cause"])
        verdict = reader.verify(keys.public_keys(tmp_path))
    assert verdict.faults == ()
    if key == "with":
        assert causes == ["start", "stop", "start", "stop"]
        assert (status.sealed_size, status.not_sealed) == (verdict.points - 1, None)
    else:
        assert causes == []
        assert (status.sealed_size, status.not_sealed) == (None, NO_KEY)
