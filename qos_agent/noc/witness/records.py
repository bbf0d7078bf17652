"""Records of the witness: journals, seals, problems and national roots."""

from __future__ import annotations

from dataclasses import dataclass

from qos_agent.evidence.cosignatures import Cosignature
from qos_agent.evidence.notes import Checkpoint

# The kind of a statement of the witness itself, which hands nothing over.
RESUMED = "seal_resumed"


@dataclass(frozen=True, slots=True)
class JournalState:
    """A journal as the witness has cosigned it last."""

    id: int
    origin: str
    station: str
    regency: str
    key: bytes
    first_size: int
    size: int
    root: bytes
    first_ns: int
    last_ns: int
    handed: int
    ended_ns: int | None


@dataclass(frozen=True, slots=True)
class SignedSeal:
    """A seal whose signature was checked, with the key and the signature."""

    origin: str
    size: int
    station: str
    regency: str
    previous: int | None
    root: bytes
    key: bytes
    signature: bytes
    proof: bytes
    at_ns: int

    def checkpoint(self) -> Checkpoint:
        """Return its checkpoint."""
        return Checkpoint(self.origin, self.size, self.root)


@dataclass(frozen=True, slots=True)
class StoredSeal:
    """A cosigned seal."""

    checkpoint: Checkpoint
    key: bytes
    signature: bytes
    cosignature: Cosignature
    at_ns: int


@dataclass(frozen=True, slots=True)
class Problem:
    """A finding about the seals of a station; it is recorded once for a subject."""

    kind: str
    subject: str
    station: str
    regency: str
    at_ns: int
    detail: str


@dataclass(frozen=True, slots=True)
class StoredRoot:
    """A national root: time, last seal, text of the root before, and note."""

    at_s: int
    last_seal: int
    before: str
    note: bytes
