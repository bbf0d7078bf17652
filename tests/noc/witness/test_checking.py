"""The check of arriving seals: consistent ones are cosigned, others are named."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qos_agent.evidence import checkpoints, cosignatures
from qos_agent.evidence.handover import Kind
from qos_agent.evidence.notes import Note
from qos_agent.noc.witness import checking, root
from qos_agent.noc.witness.checking import find_missing, find_two_journals
from qos_agent.noc.witness.seals import HandoverPoint, Malformed, Seal
from tests.evidence.support import MemorySigner
from tests.noc.witness.support import (
    MINUTE_NS,
    NOW_NS,
    OTHER,
    WITNESS,
    WITNESS_NAME,
    Bench,
    SealedDevice,
)


@pytest.fixture
def device() -> SealedDevice:
    """Return a device with a few points."""
    return SealedDevice().grow(5)


@pytest.fixture
def bench(tmp_path: Path, device: SealedDevice) -> Bench:
    """Return a checker that knows the key of the device."""
    return Bench(tmp_path, [device])


def test_consistent_seals_are_cosigned(bench: Bench, device: SealedDevice) -> None:
    """The note has both signatures; the same seal again changes nothing."""
    first = device.arrived(device.seal())
    second = device.grow(7).arrived(device.seal())
    assert bench.check(first).cosigned == 1
    assert bench.check(first, second).cosigned == 1
    assert bench.check(first, second).known == 2
    journal = bench.store.journal(device.origin)
    assert journal is not None
    stored = bench.store.newest_seal(journal.id, 10**9)
    assert stored is not None
    note = root.cosigned_note(stored, WITNESS_NAME, WITNESS.public_key)
    assert checkpoints.is_signed_by(note, device.origin, device.signer.public_key)
    cosigned = cosignatures.cosignature(note, WITNESS_NAME, WITNESS.public_key)
    assert cosigned is not None
    assert cosigned.time_s == NOW_NS // 10**9
    assert stored.checkpoint == device.checkpoint()
    assert bench.kinds() == []


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 4))
def test_the_order_of_arrival_does_not_matter(seed: int, batch: int) -> None:
    """However seals arrive after the first one, all are cosigned without a problem."""
    chooser = random.Random(seed)
    device = SealedDevice().grow(1)
    bench = Bench(None, [device])
    bench.check(device.arrived(device.seal()))
    arrived = [device.grow(n).arrived(device.seal()) for n in range(1, 9)]
    chooser.shuffle(arrived)
    for start in range(0, len(arrived), batch):
        bench.check(*arrived[start : start + batch])
    assert bench.size(device.origin) == len(device.leaves)
    assert bench.kinds() == []
    assert bench.store.gaps(NOW_NS) == []


def test_the_first_batch_is_checked_by_size(bench: Bench, device: SealedDevice) -> None:
    """The smallest seal begins the journal, although the newest arrived first."""
    arrived = [device.grow(2).arrived(device.seal()) for _ in range(4)]
    assert bench.check(*reversed(arrived)).cosigned == 4


def test_a_small_seal_without_a_predecessor_is_a_fork(
    bench: Bench, device: SealedDevice
) -> None:
    """A copy that begins again under the same journal has no seal before."""
    bench.check(device.arrived(device.seal()))
    bench.check(device.grow(9).arrived(device.seal()))
    clone = SealedDevice(at_ns=device.at_ns).grow(8, "other")
    bench.check(clone.arrived(clone.seal()))
    assert bench.kinds() == [checking.FORKED]


def test_a_key_signs_only_for_its_device(bench: Bench, device: SealedDevice) -> None:
    """The registered key under the name of another device is refused."""
    renamed = RenamedDevice().grow(4)
    bench.check(renamed.arrived(renamed.seal()))
    assert bench.kinds() == [checking.UNKNOWN_KEY]
    bench.keys.apply([renamed.key()])
    bench.check(renamed.arrived(renamed.seal()))
    assert bench.size(renamed.origin) == 4


class RenamedDevice(SealedDevice):
    """A device with the same key and another name."""

    @property
    def name(self) -> str:
        """The other name."""
        return "qos-agent/renamed"

    @property
    def origin(self) -> str:
        """The origin under the other name."""
        return f"{self.name}/{self.journal}"


def test_a_missing_seal_is_reported_until_it_arrives(
    bench: Bench, device: SealedDevice
) -> None:
    """Later seals wait; after a quarter of an hour the journal is named once."""
    bench.check(device.arrived(device.seal()))
    lost = device.grow(3).arrived(device.seal())
    later = [device.grow(2).arrived(device.seal()) for _ in range(3)]
    assert bench.check(*later).waiting == 3
    assert find_missing(bench.store, NOW_NS, 900) == 0
    after_ns = NOW_NS + 16 * MINUTE_NS
    assert [find_missing(bench.store, after_ns, 900) for _ in range(2)] == [1, 0]
    assert bench.kinds() == [checking.MISSING]
    assert bench.check(lost).cosigned == 4
    assert bench.kinds() == []


def test_seals_before_the_first_one_are_left(
    bench: Bench, device: SealedDevice
) -> None:
    """A witness that starts later begins with the first seal that it reads."""
    early = device.arrived(device.seal())
    now = device.grow(5).arrived(device.seal())
    bench.check(now)
    assert bench.check(early).known == 1
    assert bench.kinds() == []


def test_two_seals_of_one_size_are_a_fork(bench: Bench, device: SealedDevice) -> None:
    """A copied card has other points in the same number."""
    bench.check(device.arrived(device.seal()))
    clone = device.copy().grow(4, "other")
    bench.check(device.grow(4).arrived(device.seal()))
    bench.check(clone.arrived(clone.seal()))
    assert bench.kinds() == [checking.FORKED]


@pytest.mark.parametrize("points", [2, 4, 9])
def test_two_seals_after_one_are_a_fork(
    bench: Bench, device: SealedDevice, points: int
) -> None:
    """Both continue the same seal, so one of the two devices is a copy."""
    bench.check(device.arrived(device.seal()))
    clone = device.copy().grow(points, "other")
    bench.check(device.grow(6).arrived(device.seal()))
    bench.check(clone.arrived(clone.seal()))
    assert bench.kinds() == [checking.FORKED]
    assert bench.size(device.origin) == len(device.leaves)


def test_a_fork_among_waiting_seals_is_found(
    bench: Bench, device: SealedDevice
) -> None:
    """Two seals that wait for the same one contradict each other already."""
    bench.check(device.arrived(device.seal()))
    device.grow(3).seal()
    clone = device.copy().grow(4, "other")
    bench.check(device.grow(4).arrived(device.seal()))
    bench.check(clone.arrived(clone.seal()))
    assert bench.kinds() == [checking.FORKED]


def test_an_older_journal_is_found(bench: Bench, device: SealedDevice) -> None:
    """A device that was rewound seals fewer points than it has sealed before."""
    bench.check(device.arrived(device.seal()))
    old = device.copy()
    for _ in range(3):
        bench.check(device.grow(4).arrived(device.seal()))
    bench.check(old.grow(1).arrived(old.seal()))
    assert bench.kinds() == [checking.FORKED]


def test_a_changed_point_makes_the_next_seal_inconsistent(
    bench: Bench, device: SealedDevice
) -> None:
    """The tree of the next seal has another leaf below the seal before."""
    bench.check(device.arrived(device.seal()))
    device.leaves[2] = b"x" * 32
    bench.check(device.grow(4).arrived(device.seal()))
    assert bench.kinds() == [checking.INCONSISTENT]
    assert bench.size(device.origin) == 5


def test_a_seal_without_proof_is_not_cosigned(
    bench: Bench, device: SealedDevice
) -> None:
    """Removing the proof from the point gains nothing."""
    bench.check(device.arrived(device.seal()))
    fields = device.grow(4).seal()
    del fields["proof"]
    bench.check(device.arrived(fields))
    assert bench.kinds() == [checking.INCONSISTENT]


def test_an_unknown_key_is_named(bench: Bench, device: SealedDevice) -> None:
    """A forged seal, and one of a station without a key, are not cosigned."""
    forger = SealedDevice(7, device.station).grow(5)
    bench.check(forger.arrived(forger.seal()))
    assert bench.kinds() == [checking.UNKNOWN_KEY]
    bench.check(device.arrived(device.seal(), OTHER))
    assert bench.kinds() == [checking.UNKNOWN_KEY] * 2
    assert bench.size(forger.origin) == bench.size(device.origin) == 0


def test_a_seal_of_another_station_is_not_accepted(
    tmp_path: Path, device: SealedDevice
) -> None:
    """Points of one station under the name of another have the wrong key."""
    other = SealedDevice(2, OTHER).grow(5)
    bench = Bench(tmp_path, [device, other])
    bench.check(other.arrived(other.seal(), device.station))
    assert bench.kinds() == [checking.UNKNOWN_KEY]


def test_a_wrong_signature_is_named(bench: Bench, device: SealedDevice) -> None:
    """The key's name and identity in the line are not enough."""
    genuine = device.arrived(device.seal())
    forged = device.grow(1).arrived(device.seal())
    assert not isinstance(genuine, Malformed | HandoverPoint)
    assert not isinstance(forged, Malformed | HandoverPoint)
    mixed = Note(forged.note.text, genuine.note.signatures)
    bench.check(
        Seal(forged.arrival, mixed, forged.checkpoint, forged.previous, forged.proof)
    )
    assert bench.kinds() == [checking.INVALID]


@pytest.mark.parametrize(
    "change",
    [
        {"note": "AAAA"},
        {"note": 5},
        {"previous": -1},
        {"previous": "5"},
        {"proof": "AAAA"},
        {"cause": "handover"},
    ],
)
def test_a_malformed_point_is_named(
    bench: Bench, device: SealedDevice, change: dict[str, str | int]
) -> None:
    """Other types, lengths and texts in the fields stop nothing."""
    bench.check(device.arrived({**device.seal(), **change}))
    assert bench.kinds() == [checking.INVALID]


def test_a_replaced_key_continues_the_journal(
    bench: Bench, device: SealedDevice
) -> None:
    """Each seal needs the key of its time; the old key is refused afterwards."""
    bench.check(device.arrived(device.seal()))
    stolen = device.copy()
    new = MemoryKeyDevice(device)
    bench.keys.apply([new.key((device.at_ns + MINUTE_NS) // 10**9)])
    bench.check(new.grow(3).arrived(new.seal()))
    assert bench.kinds() == []
    assert bench.size(device.origin) == 8
    stolen.at_ns += MINUTE_NS
    bench.check(stolen.grow(9).arrived(stolen.seal()))
    assert bench.kinds() == [checking.UNKNOWN_KEY]


class MemoryKeyDevice(SealedDevice):
    """The same device with a new key: name and journal stay."""

    def __init__(self, old: SealedDevice) -> None:
        super().__init__(
            old.number, old.station, old.journal, old.leaves, old.previous, old.at_ns
        )

    @property
    def signer(self) -> MemorySigner:
        """The new key."""
        return MemorySigner(self.number + 500)


def test_a_new_journal_needs_a_handover(bench: Bench, device: SealedDevice) -> None:
    """With one nothing is reported; without one two journals are under one key."""
    bench.check(device.arrived(device.seal()))
    moved = SealedDevice(journal="b", at_ns=device.at_ns).grow(2)
    statement = moved.arrived(moved.handed_from(device, Kind.MOVED))
    bench.check(moved.arrived(moved.seal()), statement)
    third = SealedDevice(journal="c", at_ns=moved.at_ns).grow(1)
    bench.check(third.arrived(third.seal()))
    assert find_two_journals(bench.store, 0, NOW_NS) == 0
    assert find_two_journals(bench.store, 0, NOW_NS + 1) == 1
    (problem,) = bench.store.problems("kind = 'seal_two_journals'")
    assert problem.subject == third.origin


def test_a_journal_that_goes_on_after_its_handover_is_found(
    bench: Bench, device: SealedDevice
) -> None:
    """The old card is in another device; a restored backup is handed over again."""
    bench.check(device.arrived(device.seal()))
    clone = device.copy()
    moved = SealedDevice(journal="b", at_ns=device.at_ns).grow(2)
    statement = moved.arrived(moved.handed_from(device, Kind.MOVED))
    bench.check(statement, moved.arrived(moved.seal()))
    clone.at_ns += MINUTE_NS
    seal = clone.grow(4).arrived(clone.seal())
    bench.check(seal)
    assert bench.kinds() == [checking.TWO_JOURNALS]
    clone.at_ns += MINUTE_NS
    bench.check(clone.arrived(clone.handed_from(moved, Kind.RESTORED)))
    bench.check(clone.grow(4).arrived(clone.seal()))
    assert bench.kinds() == [checking.TWO_JOURNALS]


def test_a_handover_to_an_unknown_key_is_not_accepted(
    bench: Bench, device: SealedDevice
) -> None:
    """The register decides which new key counts, even if the old one signed it."""
    thief = SealedDevice(9, device.station, "b").grow(3)
    bench.check(thief.arrived(thief.handed_from(device, Kind.KEY)))
    assert bench.kinds() == [checking.UNKNOWN_KEY]
    forged = thief.handed_from(device, Kind.KEY)
    forged["note"] = str(thief.handed_from(thief, Kind.KEY)["note"])[:-8] + "AAAAAAA="
    bench.check(thief.arrived(forged))
    assert checking.INVALID in bench.kinds()


def test_waiting_seals_are_limited(
    bench: Bench, device: SealedDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A journal with a permanent gap does not fill the database."""
    monkeypatch.setattr(checking, "WAITING_MAX", 3)
    bench.check(device.arrived(device.seal()))
    device.grow(1).seal()
    for _ in range(6):
        bench.check(device.grow(1).arrived(device.seal()))
    ((first, _),) = bench.store.gaps(NOW_NS)
    assert first.size == len(device.leaves) - 2
