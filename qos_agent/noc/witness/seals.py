"""Seals and hand-overs as they arrive: read from points, with every value checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qos_agent.evidence import notes
from qos_agent.evidence.merkle import PROOF_MAX, split
from qos_agent.evidence.notes import Checkpoint, Note

_TEXT_MAX = 100_000
_SIZE_MAX = 2**63 - 1
HANDOVER = "handover"


@dataclass(frozen=True, slots=True)
class Arrival:
    """The place and the time of a `seal` point."""

    station: str
    regency: str
    at_ns: int

    @property
    def at_s(self) -> int:
        """The time in seconds since 1970."""
        return self.at_ns // 10**9


@dataclass(frozen=True, slots=True)
class Seal:
    """A seal: its note and checkpoint, and the proof from the seal before it.

    `previous` is None for the first seal of a journal.
    """

    arrival: Arrival
    note: Note
    checkpoint: Checkpoint
    previous: int | None
    proof: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class HandoverPoint:
    """A hand-over that is not verified yet."""

    arrival: Arrival
    note: Note


@dataclass(frozen=True, slots=True)
class Malformed:
    """A point that is no seal, and the reason."""

    arrival: Arrival
    reason: str


Arrived = Seal | HandoverPoint | Malformed


def read_point(arrival: Arrival, values: Mapping[str, Any]) -> Arrived:
    """Return the seal or hand-over in the fields of a point."""
    try:
        note = notes.parse_note(_bytes(values, "note"))
        if values.get("cause") == HANDOVER:
            return HandoverPoint(arrival, note)
        checkpoint = _checkpoint(note)
        return Seal(arrival, note, checkpoint, _previous(values), _proof(values))
    except ValueError as error:
        return Malformed(arrival, str(error))


def _checkpoint(note: Note) -> Checkpoint:
    checkpoint = notes.parse_checkpoint(note.text)
    if checkpoint.text() != note.text:
        raise ValueError("the checkpoint has extension lines")
    return checkpoint


def _previous(values: Mapping[str, Any]) -> int | None:
    previous = values.get("previous")
    if previous is None:
        return None
    if type(previous) is not int or not 0 <= previous <= _SIZE_MAX:
        raise ValueError("the size of the seal before is not a number")
    return previous


def _proof(values: Mapping[str, Any]) -> tuple[bytes, ...]:
    hashes = split(_bytes(values, "proof")) if "proof" in values else []
    if len(hashes) > PROOF_MAX:
        raise ValueError(f"a proof of {len(hashes)} hashes is too long")
    return tuple(hashes)


def _bytes(values: Mapping[str, Any], name: str) -> bytes:
    text = values.get(name)
    if not isinstance(text, str) or len(text) > _TEXT_MAX:
        raise ValueError(f"the field {name} is missing or too long")
    return notes.decoded(text)
