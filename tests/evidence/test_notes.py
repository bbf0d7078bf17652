"""Signed notes and checkpoints in the formats of C2SP."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qos_agent.evidence import checkpoints, notes
from qos_agent.evidence.merkle import consistency_proof
from qos_agent.evidence.notes import Checkpoint, Note, Signature
from qos_agent.evidence.signer import PublicKey
from tests.evidence.support import leaves, naive_root, nodes

# The example of the package documentation of golang.org/x/mod/sumdb/note.
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZ"
    "SNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
).encode()
NAMES = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1)
HASHES = leaves(40)


def _key(text: str) -> tuple[str, PublicKey]:
    """Return name and key of a verifier key of Go's sumdb/note."""
    name, _, content = text.split("+", 2)
    return name, PublicKey(base64.b64decode(content)[1:])


def test_the_example_of_go_verifies() -> None:
    """The note in the documentation of sumdb/note has a correct signature."""
    name, key = _key(GO_KEY)
    note = notes.parse_note(GO_NOTE)
    assert checkpoints.is_signed_by(note, name, key)
    assert notes.verifier_key(name, key.raw) == GO_KEY
    assert note.to_bytes() == GO_NOTE


def test_an_altered_text_does_not_verify() -> None:
    """One changed character makes the signature wrong."""
    name, key = _key(GO_KEY)
    note = notes.parse_note(GO_NOTE.replace(b"answer", b"enswer"))
    assert not checkpoints.is_signed_by(note, name, key)


def test_signatures_of_other_keys_are_ignored() -> None:
    """Lines of unknown keys and types neither help nor harm."""
    name, key = _key(GO_KEY)
    unknown = Signature("other/key", b"abcd", bytes(3000))
    note = notes.parse_note(GO_NOTE)
    more = Note(note.text, (unknown, *note.signatures, unknown))
    read = notes.parse_note(more.to_bytes())
    assert read == more
    assert checkpoints.is_signed_by(read, name, key)
    assert not checkpoints.is_signed_by(Note(note.text, (unknown,)), name, key)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"text\n",
        b"text\n\n",
        b"text\n\nno mark\n",
        GO_NOTE[:-1],
        GO_NOTE + b"\n",
        GO_NOTE.replace(b"cryptography", b"\x00"),
        GO_NOTE.replace(b"cryptography", b"\xff"),
        GO_NOTE.replace(b"PeterNeumann x", b"Peter+Neumann x"),
        GO_NOTE.replace(b"nAM=", b"nAN="),
        GO_NOTE.replace(b"x08go/", b"x08go*"),
        GO_NOTE + "\u2014 a AAAA\n".encode(),
        GO_NOTE + 101 * "\u2014 a AAAAAAA=\n".encode(),
        bytes(100_000),
    ],
)
def test_a_malformed_note_is_rejected(content: bytes) -> None:
    """Control characters, loose base64, empty lines and excess are errors."""
    with pytest.raises(ValueError):  # noqa: PT011  the messages differ
        notes.parse_note(content)


@given(st.binary(max_size=300) | st.text(max_size=100).map(str.encode))
def test_any_bytes_are_a_note_or_a_value_error(content: bytes) -> None:
    """Reading never fails otherwise, and an accepted note keeps its bytes."""
    for variant in (content, content + b"\n\n" + GO_NOTE.rpartition(b"\n\n")[2]):
        try:
            note = notes.parse_note(variant)
        except ValueError:
            continue
        assert note.to_bytes() == variant


@given(NAMES, st.integers(0, 2**63 - 1), st.binary(min_size=32, max_size=32))
def test_a_checkpoint_is_read_as_written(name: str, size: int, root: bytes) -> None:
    """Writing and reading gives the same, also with extension lines."""
    checkpoint = Checkpoint(name, size, root)
    assert notes.parse_checkpoint(checkpoint.text()) == checkpoint
    assert notes.parse_checkpoint(checkpoint.text() + "extension\n") == checkpoint


@pytest.mark.parametrize(
    "text",
    [
        "",
        "origin\n1\n",
        "origin\n01\n" + 43 * "A" + "=\n",
        "origin\n-1\n" + 43 * "A" + "=\n",
        "origin\n\u0661\n" + 43 * "A" + "=\n",
        "origin\n99999999999999999999\n" + 43 * "A" + "=\n",
        "origin\n9223372036854775808\n" + 43 * "A" + "=\n",
        "\n1\n" + 43 * "A" + "=\n",
        "origin\n1\nAAAA\n",
        "origin\n1\n" + 43 * "A" + "=",
        "origin\n1\n" + 43 * "A" + "=\n\n",
    ],
)
def test_a_malformed_checkpoint_is_rejected(text: str) -> None:
    """Sizes have no leading zero, sign or other digits; the root has 32 bytes."""
    with pytest.raises(ValueError):  # noqa: PT011  the messages differ
        notes.parse_checkpoint(text)


def test_the_relation_of_two_checkpoints() -> None:
    """Equal sizes show a fork at once, and other sizes need a proof."""
    origin = checkpoints.origin("pi 1", "abc")
    assert origin == "qos-agent/pi%201/abc"
    assert notes.is_key_name(origin)
    old = Checkpoint(origin, 13, naive_root(HASHES[:13]))
    new = Checkpoint(origin, 40, naive_root(HASHES))
    proof = consistency_proof(13, 40, nodes(HASHES))
    wrong = Checkpoint(origin, 40, HASHES[0])
    assert checkpoints.relation(old, new, proof) == "consistent"
    assert checkpoints.relation(new, old, proof) == "consistent"
    assert checkpoints.relation(old, new) == "unproven"
    assert checkpoints.relation(old, wrong, proof) == "inconsistent"
    assert checkpoints.relation(new, wrong) == "forked"
    assert checkpoints.relation(new, new) == "consistent"
    assert checkpoints.relation(new, Checkpoint("other", 40, new.root)) == "unrelated"
