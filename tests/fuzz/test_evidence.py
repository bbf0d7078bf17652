"""Notes, cosignatures, proofs, hand-overs and keys, on mutations of real ones."""

from __future__ import annotations

import json
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest

from qos_agent.evidence import checkpoints, cosignatures, handover, notes, proofs
from qos_agent.evidence.library import FastKey
from qos_agent.evidence.merkle import split, verify_consistency
from qos_agent.model.errors import ConfigError
from qos_agent.noc.register.keys import read_keys
from qos_agent.noc.witness.seals import Arrival, Seal, read_point
from tests.fuzz.mutations import fuzz, seeds
from tests.noc.witness.support import NOW_NS, STATION, Bench, SealedDevice

pytestmark = pytest.mark.slow

# The keys of the corpus; the notes there are signed by MemorySigner(1) and (1000).
DEVICE = SealedDevice()
KEY = FastKey(DEVICE.signer.public_key.raw)
GENUINE = set(seeds("notes"))


@fuzz(seeds("notes"))
def test_notes(data: bytes) -> None:
    """A note is a ValueError, or is read as written; a changed one does not verify."""
    with suppress(ValueError):
        note = notes.parse_note(data)
        assert notes.parse_note(note.to_bytes()) == note
        checkpoint = notes.parse_checkpoint(note.text)
        assert checkpoint.size >= 0
        signed = checkpoints.is_signed_by(note, checkpoint.origin, KEY)
        cosigned = cosignatures.cosignature(note, "witness.example/noc", KEY)
        texts = {notes.parse_note(one).text for one in GENUINE}
        assert note.text in texts or (not signed and cosigned is None)


@fuzz(seeds("proofs"))
def test_proofs(data: bytes) -> None:
    """A proof is a ValueError, or is read as written and proves only its entry."""
    with suppress(ValueError):
        proof = proofs.parse_proof(data)
        assert proofs.parse_proof(proof.to_bytes()) == proof
        assert not proofs.includes(proof, "another entry\n")


@fuzz(seeds("proofs"))
def test_consistency_proofs(data: bytes) -> None:
    """Any hashes are a proof or not; made up ones prove nothing."""
    hashes = split(data[: len(data) // 32 * 32])
    old, size = len(data) % 97 + 1, len(data) + 100
    assert not verify_consistency(old, size, hashes, b"o" * 32, b"n" * 32)


@fuzz(seeds("handovers"))
def test_handovers(data: bytes) -> None:
    """A hand-over is a ValueError, or its text is read as written."""
    with suppress(ValueError):
        note = notes.parse_note(data)
        found = handover.parse_handover(note.text)
        assert found.text() == note.text


@fuzz(seeds("device_keys"))
def test_files_of_keys(data: bytes) -> None:
    """A file of keys is a ConfigError, or has stations with keys."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "keys.pub"
        path.write_bytes(data)
        with suppress(ConfigError):
            for key in read_keys(path, 10**9):
                assert len(key.station) == 13
                assert 0 <= key.valid_from <= 10**9


@fuzz(seeds("seal_points"))
def test_seal_points(data: bytes) -> None:
    """Whatever fields arrive, the witness cosigns only what the device has signed."""
    with suppress(ValueError, RecursionError):
        fields = json.loads(data)
        if not isinstance(fields, dict):
            return
        arrived = read_point(Arrival(STATION, STATION[:4], NOW_NS), fields)
        bench = Bench(None, [DEVICE])
        tally = bench.check(arrived)
        bench.store.close()
        bench.keys.close()
        if tally.cosigned:
            assert isinstance(arrived, Seal)
            assert checkpoints.is_signed_by(arrived.note, DEVICE.origin, KEY)
