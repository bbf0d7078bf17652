"""Hand-overs: signed statements that link the last seal of one journal to the next.

A journal is replaced after damage, a rewind, a restored backup, or a new device; a key
is replaced by `enrol`. The statement has the last checkpoint before, the first one
after, and both public keys. The old key signs it if it still exists. If it does not,
the statement names the centre as the one that must confirm it.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from enum import StrEnum

from qos_agent.evidence import checkpoints, notes
from qos_agent.evidence.notes import Checkpoint, Note
from qos_agent.evidence.signer import PublicKey, Signer

_TITLE = "qos-agent handover v1"
_LINES = 12


class Kind(StrEnum):
    """The reason of a hand-over."""

    MOVED = "moved"
    RECOVERED = "recovered"
    REWOUND = "rewound"
    RESTORED = "restored"
    IN_MEMORY = "in_memory"
    DEVICE = "device"
    KEY = "key"


class Confirmation(StrEnum):
    """The one who vouches for the new key: the old key, or the operations centre."""

    DEVICE = "device"
    CENTRE = "centre"


@dataclass(frozen=True, slots=True)
class Handover:
    """The content of a statement."""

    kind: Kind
    old: Checkpoint
    old_key: PublicKey
    new: Checkpoint
    new_key: PublicKey
    confirmed_by: Confirmation

    def text(self) -> str:
        """Return the text to be signed."""
        keys = (_encoded(self.old_key.raw), _encoded(self.new_key.raw))
        return (
            f"{_TITLE}\n{self.kind}\n{self.old.text()}{keys[0]}\n"
            f"{self.new.text()}{keys[1]}\n{self.confirmed_by}\n"
        )


def statement(
    kind: Kind,
    old: tuple[Checkpoint, PublicKey],
    new: tuple[Checkpoint, Signer],
    names: tuple[str, str],
    old_signer: Signer | None,
) -> Note:
    """Return the signed statement; `names` are those of the old and the new key.

    `old_signer` is None if the old key does not exist any more. Raises SigningError.
    """
    (before, old_key), (after, signer) = old, new
    same = signer.public_key == old_key
    by = Confirmation.DEVICE if same or old_signer else Confirmation.CENTRE
    text = Handover(kind, before, old_key, after, signer.public_key, by).text()
    signers = [(names[1], signer)]
    if old_signer is not None and not same:
        signers.append((names[0], old_signer))
    return Note(text, tuple(checkpoints.signature(n, text, s) for n, s in signers))


def parse_handover(text: str) -> Handover:
    """Read the text of a statement. Raises ValueError if it is not well-formed."""
    lines = text.split("\n")
    if len(lines) != _LINES or lines[0] != _TITLE or lines[-1]:
        raise ValueError("this is no hand-over of version 1")
    return Handover(
        kind=Kind(lines[1]),
        old=_checkpoint(lines[2:5]),
        old_key=PublicKey(notes.decoded(lines[5])),
        new=_checkpoint(lines[6:9]),
        new_key=PublicKey(notes.decoded(lines[9])),
        confirmed_by=Confirmation(lines[10]),
    )


def verified(note: Note, old_name: str, new_name: str) -> Handover:
    """Return the hand-over of a note whose signatures are correct.

    Raises ValueError if a signature is missing or wrong. The caller must know one of
    the two keys from elsewhere, and the centre must have confirmed the new one if
    `confirmed_by` says so.
    """
    found = parse_handover(note.text)
    if not checkpoints.is_signed_by(note, new_name, found.new_key):
        raise ValueError("the new key did not sign the hand-over")
    if found.confirmed_by is Confirmation.CENTRE or found.new_key == found.old_key:
        return found
    if not checkpoints.is_signed_by(note, old_name, found.old_key):
        raise ValueError("the old key did not sign the hand-over")
    return found


def _checkpoint(lines: list[str]) -> Checkpoint:
    return notes.parse_checkpoint("\n".join(lines) + "\n")


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
