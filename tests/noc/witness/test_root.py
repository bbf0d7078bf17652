"""The national root, its proofs, and its times."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from qos_agent.config.calendar_file import named
from qos_agent.evidence import checkpoints, cosignatures, notes, proofs
from qos_agent.evidence.merkle import leaf_hash
from qos_agent.noc.census.voting_window import VotingWindow
from qos_agent.noc.witness import root
from qos_agent.noc.witness.schedule import SETTLE_S, root_due_s
from tests.evidence.support import naive_root
from tests.noc.witness.support import WITNESS, WITNESS_NAME, Bench, SealedDevice

AT_S = 1_700_000_400


def _devices(count: int) -> list[SealedDevice]:
    return [SealedDevice(n, f"31710100010{n:02}").grow(n) for n in range(1, count + 1)]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Return a witness that has cosigned seals of five devices."""
    devices = _devices(5)
    bench = Bench(tmp_path, devices)
    bench.check(*(device.arrived(device.seal()) for device in devices))
    return bench


def test_the_root_is_that_of_all_newest_checkpoints(bench: Bench) -> None:
    """Leaves are the root before and each journal's text; both signatures verify."""
    first = root.build(bench.store, WITNESS_NAME, WITNESS, AT_S)
    texts = [device.checkpoint().text() for device in _devices(5)]
    start = "qos-agent national root: there is no root before\n"
    hashes = [leaf_hash(text.encode()) for text in (start, *texts)]
    tree = first.checkpoint
    assert (tree.size, tree.root) == (6, naive_root(hashes))
    assert tree.origin == "witness.example/noc/root/20231114T222000Z"
    key = WITNESS.public_key
    assert checkpoints.is_signed_by(first.note, WITNESS_NAME, key)
    cosigned = cosignatures.cosignature(first.note, WITNESS_NAME, key)
    assert cosigned is not None
    assert cosigned.time_s == AT_S


def test_a_root_contains_the_root_before(bench: Bench) -> None:
    """So one published root fixes all earlier ones."""
    first = root.build(bench.store, WITNESS_NAME, WITNESS, AT_S)
    second = root.build(bench.store, WITNESS_NAME, WITNESS, AT_S + 3600)
    assert second.before == first.note.text
    assert second.checkpoint.root != first.checkpoint.root


def test_each_journal_has_a_proof_for_each_root(bench: Bench) -> None:
    """A proof for an earlier root has the seal of that time, also after later seals."""
    devices = _devices(5)
    first = root.build(bench.store, WITNESS_NAME, WITNESS, AT_S)
    for device in devices:
        device.seal()
        bench.check(device.grow(3).arrived(device.seal()))
    late = SealedDevice(6, "3171010001006").grow(2)
    bench.keys.apply([late.key()])
    bench.check(late.arrived(late.seal()))
    second = root.build(bench.store, WITNESS_NAME, WITNESS, AT_S + 3600)
    key = WITNESS.public_key
    for built, sizes in ((first, (1, 2, 3, 4, 5)), (second, (4, 5, 6, 7, 8))):
        for device, size in zip(devices, sizes, strict=True):
            made = root.proof_of(bench.store, built, device.origin, WITNESS_NAME, key)
            assert made is not None
            read = proofs.parse_proof(made.to_bytes())
            note = notes.parse_note(read.extra)
            assert notes.parse_checkpoint(note.text).size == size
            assert proofs.includes(read, note.text)
            assert not proofs.includes(read, note.text.replace("pi-", "pi-9"))
            assert checkpoints.is_signed_by(
                note, device.origin, device.signer.public_key
            )
            assert cosignatures.cosignature(note, WITNESS_NAME, key) is not None
    assert root.proof_of(bench.store, first, late.origin, WITNESS_NAME, key) is None


def test_a_published_root_is_a_whole_file(bench: Bench, tmp_path: Path) -> None:
    """The file is the note, small enough to print, and is replaced in one step."""
    built = root.build(bench.store, WITNESS_NAME, WITNESS, AT_S)
    path = root.publish(built, tmp_path)
    assert notes.parse_note(path.read_bytes()) == built.note
    assert path.stat().st_size < 500
    newest = root.newest(bench.store)
    assert newest is not None
    assert newest == built
    assert root.newest(bench.store, AT_S + 1) is None


def _due(text: str) -> str:
    voting = VotingWindow(named("2024-02-14"))
    moment = datetime.fromisoformat(text)
    due_s = root_due_s(voting, int(moment.timestamp()))
    return f"{datetime.fromtimestamp(due_s, UTC):%H:%M}"


def test_a_root_is_due_each_hour_and_after_each_phase() -> None:
    """Polls close at 13:00 local time, in three zones, and seals need time to arrive.

    The calendar of 2024 has voting from 07:00, and 13:00 WIT is 04:00 UTC.
    """
    assert SETTLE_S == 900
    assert _due("2024-02-14T03:59:00+00:00") == "03:00"
    assert _due("2024-02-14T04:00:00+00:00") == "04:00"
    assert _due("2024-02-14T04:14:00+00:00") == "04:00"
    assert _due("2024-02-14T04:15:00+00:00") == "04:15"
    assert _due("2024-02-14T06:16:00+00:00") == "06:15"
    assert _due("2024-01-10T06:59:00+00:00") == "06:00"
