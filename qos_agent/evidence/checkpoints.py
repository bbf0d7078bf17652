"""Signed checkpoints: making them, checking them, and comparing two of one journal."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from qos_agent.evidence import notes
from qos_agent.evidence.merkle import verify_consistency
from qos_agent.evidence.notes import Checkpoint, Note, Signature
from qos_agent.evidence.signer import Signer, Verifier

_PREFIX = "qos-agent"


class Relation(StrEnum):
    """The relation of two checkpoints of one origin."""

    CONSISTENT = "consistent"
    FORKED = "forked"
    INCONSISTENT = "inconsistent"
    UNPROVEN = "unproven"
    UNRELATED = "unrelated"


def origin(device: str, journal: str) -> str:
    """Return the origin of a journal; it is also the name of the key in its seals."""
    return f"{device_name(device)}/{_quoted(journal)}"


def device_name(device: str) -> str:
    """Return the name of a device's key in statements that concern two journals."""
    return f"{_PREFIX}/{_quoted(device)}"


def _quoted(text: str) -> str:
    """Return a name as in a URL: a key's name has neither a space nor a plus."""
    from urllib.parse import quote

    return quote(text, safe="")


def signed(name: str, text: str, signer: Signer) -> Note:
    """Return a note with one signature. Raises SigningError if signing fails."""
    return Note(text, (signature(name, text, signer),))


def signature(name: str, text: str, signer: Signer) -> Signature:
    """Return a signature of a note's text. Raises SigningError if signing fails."""
    identity = notes.key_id(name, signer.public_key.raw)
    return Signature(name, identity, signer.sign(text.encode()))


def is_signed_by(note: Note, name: str, key: Verifier) -> bool:
    """Return True if the note has a correct signature of that key.

    Lines of other keys and of unknown types are ignored. A line that claims to be of
    this key but is wrong makes the note invalid, as in Go's sumdb/note.
    """
    identity = notes.key_id(name, key.raw)
    own = [s for s in note.signatures if (s.name, s.key_id) == (name, identity)]
    return bool(own) and all(key.verifies(note.text.encode(), s.signature) for s in own)


def relation(
    one: Checkpoint, other: Checkpoint, proof: Sequence[bytes] | None = None
) -> Relation:
    """Return the relation of two checkpoints whose signatures were checked.

    Two checkpoints of equal size with different roots show a fork without a proof. For
    different sizes `proof` is the consistency proof; without one nothing is known. A
    wrong proof may also be a transmission error, so it shows no fork by itself.
    """
    if one.origin != other.origin:
        return Relation.UNRELATED
    old, new = sorted((one, other), key=lambda checkpoint: checkpoint.size)
    if old.size == new.size:
        return Relation.CONSISTENT if old.root == new.root else Relation.FORKED
    if proof is None:
        return Relation.UNPROVEN
    consistent = verify_consistency(old.size, new.size, proof, old.root, new.root)
    return Relation.CONSISTENT if consistent else Relation.INCONSISTENT
