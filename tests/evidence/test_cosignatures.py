"""Cosignatures, the library for many signatures, and proofs as text."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qos_agent.evidence import checkpoints, cosignatures, keys, library, notes, proofs
from qos_agent.evidence.cosignatures import Cosignature
from qos_agent.evidence.merkle import inclusion_proof, leaf_hash
from qos_agent.evidence.notes import Checkpoint, Note, Signature
from qos_agent.evidence.proofs import TreeProof
from qos_agent.evidence.signer import PublicKey, Signer
from qos_agent.model.errors import SigningError
from tests.evidence.support import MemorySigner, naive_root, nodes
from tests.evidence.test_keys import MESSAGE, PUBLIC, SIGNATURE

CHECKPOINT = Checkpoint("qos-agent/pi-1/a", 3, leaf_hash(b"x"))
NAME = "witness.example/w1"
SIGNER = MemorySigner(1)

# The example of c2sp.org/tlog-cosignature at commit 5ba5ee8 of github.com/C2SP/C2SP.
EXAMPLE = (
    "example.com/behind-the-sofa\n20852163\n"
    "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URY"
    "N7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
    "— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZC"
    "B9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
).encode()


def _cosigned(time_s: int, signer: Signer = SIGNER) -> Signature:
    one = cosignatures.cosigned(CHECKPOINT.text(), time_s, signer)
    return one.line(NAME, signer.public_key.raw)


def test_the_signed_bytes_are_those_of_the_standard() -> None:
    """The text of c2sp.org/tlog-cosignature, Ed25519 signed message, is built."""
    note = notes.parse_note(EXAMPLE)
    time_s = int.from_bytes(note.signatures[1].signature[:8], "big")
    assert time_s == 1679315147
    assert cosignatures.message(note.text, time_s) == (
        b"cosignature/v1\ntime 1679315147\nexample.com/behind-the-sofa\n20852163\n"
        b"CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    )
    assert notes.parse_checkpoint(note.text).size == 20852163


def test_a_cosignature_verifies_with_its_name_key_and_time() -> None:
    """The newest of two is returned; another name or key finds none."""
    note = Note(CHECKPOINT.text(), (_cosigned(5), _cosigned(7)))
    key = SIGNER.public_key
    read = notes.parse_note(note.to_bytes())
    found = cosignatures.cosignature(read, NAME, key)
    assert found is not None
    assert found.time_s == 7
    assert cosignatures.cosignature(read, "other", key) is None
    assert cosignatures.cosignature(read, NAME, MemorySigner(2).public_key) is None
    # The device's kind of signature has another identity.
    assert not checkpoints.is_signed_by(read, NAME, key)


@given(st.integers(0, 71), st.integers(0, 7))
def test_a_changed_bit_of_a_cosignature_is_found(place: int, bit: int) -> None:
    """The time is signed too, and one wrong line makes the note invalid."""
    line = _cosigned(1_700_000_000)
    content = bytearray(line.signature)
    content[place] ^= 1 << bit
    wrong = Signature(line.name, line.key_id, bytes(content))
    key = library.fastest_key(SIGNER.public_key)
    for lines in ((wrong,), (line, wrong)):
        note = Note(CHECKPOINT.text(), lines)
        assert cosignatures.cosignature(note, NAME, key) is None


@pytest.mark.parametrize("content", [b"short", bytes(71), b"\xff" * 72])
def test_other_bytes_are_no_cosignature(content: bytes) -> None:
    """A wrong length and a time beyond the limit of the standard are rejected."""
    key = SIGNER.public_key
    identity = notes.key_id(NAME, key.raw, notes.COSIGNATURE)
    note = Note(CHECKPOINT.text(), (Signature(NAME, identity, content),))
    assert cosignatures.cosignature(note, NAME, key) is None


def test_a_cosignature_keeps_time_and_signature() -> None:
    """The line has eight bytes of time and the signature after the identity."""
    line = Cosignature(258, b"s" * 64).line(NAME, bytes(32))
    assert line.signature == bytes(6) + b"\x01\x02" + b"s" * 64


def test_the_library_and_openssl_agree(tmp_path: Path) -> None:
    """Both verify the vector of RFC 8032, and sign with the same key file."""
    signature = bytes.fromhex(SIGNATURE)
    fast = library.fastest_key(PublicKey(bytes.fromhex(PUBLIC)))
    assert isinstance(fast, library.FastKey)
    assert fast.verifies(MESSAGE, signature)
    assert not fast.verifies(b"\x73", signature)
    assert not fast.verifies(MESSAGE, b"short")
    assert not library.FastKey(b"short").verifies(MESSAGE, signature)
    slow = keys.create_key(tmp_path / "key.pem")
    quick = library.fastest_signer(tmp_path / "key.pem")
    assert quick is not None
    assert quick.public_key == slow.public_key
    assert quick.sign(b"text") == slow.sign(b"text")
    assert library.fastest_signer(tmp_path / "missing.pem") is None


def test_another_kind_of_key_is_named(tmp_path: Path) -> None:
    """A file that is no Ed25519 key gives the error of its file."""
    path = tmp_path / "key.pem"
    path.write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    with pytest.raises(SigningError, match=r"key.pem: is not a private key"):
        library.LibrarySigner.of(path)


def test_a_proof_is_read_as_written() -> None:
    """A leaf of a tree verifies through text, and another entry does not."""
    entries = [f"entry {number}\n" for number in range(7)]
    hashes = [leaf_hash(entry.encode()) for entry in entries]
    tree = Checkpoint("root/1", 7, naive_root(hashes))
    note = checkpoints.signed(NAME, tree.text(), SIGNER).to_bytes()
    proof = TreeProof(4, inclusion_proof(4, 7, nodes(hashes)), note, b"note of it")
    read = proofs.parse_proof(proof.to_bytes())
    assert read == proof
    assert proofs.includes(read, entries[4])
    assert not proofs.includes(read, entries[3])
    bare = TreeProof(0, [], note)
    assert proofs.parse_proof(bare.to_bytes()) == bare


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"c2sp.org/tlog-proof@v1\n\nx",
        b"c2sp.org/tlog-proof@v2\nindex 1\n\nx",
        b"c2sp.org/tlog-proof@v1\nindex 01\n\nx",
        b"c2sp.org/tlog-proof@v1\nindex 1\nAAAA\n\nx",
        b"c2sp.org/tlog-proof@v1\nextra !\nindex 1\n\nx",
        b"c2sp.org/tlog-proof@v1\nindex 1\n" + b"x" * 300_000,
    ],
)
def test_a_malformed_proof_is_rejected(content: bytes) -> None:
    """Other headers, indexes and hashes are errors and no crash."""
    with pytest.raises(ValueError):  # noqa: PT011  each has its own message
        proofs.parse_proof(content)
