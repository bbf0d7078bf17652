"""Cosignatures: statements of a witness that a checkpoint extends the one before.

c2sp.org/tlog-cosignature, Ed25519. The signed text has the time of the statement, which
stands in front of the signature in its line.
"""

from __future__ import annotations

from dataclasses import dataclass

from qos_agent.evidence import notes
from qos_agent.evidence.notes import Note, Signature
from qos_agent.evidence.signer import Signer, Verifier

_HEADER = "cosignature/v1"
_TIME_BYTES = 8
_TIME_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Cosignature:
    """A time in seconds since 1970 and the 64 bytes of the signature."""

    time_s: int
    signature: bytes

    def line(self, name: str, public_key: bytes) -> Signature:
        """Return the signature line of a witness with that name and key."""
        identity = notes.key_id(name, public_key, notes.COSIGNATURE)
        content = self.time_s.to_bytes(_TIME_BYTES, "big") + self.signature
        return Signature(name, identity, content)


def message(text: str, time_s: int) -> bytes:
    """Return the bytes that a witness signs for the text of a checkpoint."""
    return f"{_HEADER}\ntime {time_s}\n{text}".encode()


def cosigned(text: str, time_s: int, signer: Signer) -> Cosignature:
    """Return a cosignature. Raises SigningError if signing fails."""
    return Cosignature(time_s, signer.sign(message(text, time_s)))


def cosignature(note: Note, name: str, key: Verifier) -> Cosignature | None:
    """Return the newest cosignature of a witness in a note, or None.

    A line that claims to be of this witness but is wrong makes the note invalid, so
    that the result is None.
    """
    identity = notes.key_id(name, key.raw, notes.COSIGNATURE)
    own = [s for s in note.signatures if (s.name, s.key_id) == (name, identity)]
    found = [_verified(note.text, line.signature, key) for line in own]
    valid = [one for one in found if one is not None]
    if len(valid) < len(found):
        return None
    return max(valid, key=lambda one: one.time_s, default=None)


def _verified(text: str, content: bytes, key: Verifier) -> Cosignature | None:
    if len(content) != _TIME_BYTES + notes.ED25519_SIGNATURE_BYTES:
        return None
    time_s = int.from_bytes(content[:_TIME_BYTES], "big")
    signature = content[_TIME_BYTES:]
    if time_s > _TIME_MAX or not key.verifies(message(text, time_s), signature):
        return None
    return Cosignature(time_s, signature)
