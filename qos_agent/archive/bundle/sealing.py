"""The seals of a journal in a bundle: read from their lines, and their signatures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from qos_agent.archive.bundle.findings import Findings, Kind
from qos_agent.archive.bundle.intervals import SealedSize
from qos_agent.archive.bundle.register import Keys, StationKey, moment
from qos_agent.evidence import checkpoints, handover, library, notes
from qos_agent.evidence.merkle import PROOF_MAX, split, verify_consistency
from qos_agent.evidence.notes import Checkpoint, Note
from qos_agent.evidence.signer import PublicKey
from qos_agent.model.line_protocol import decode

_HANDOVER = "handover"


@dataclass(frozen=True, slots=True)
class SealPoint:
    """A seal or a hand-over as a point: place, time, note and proof."""

    line: bytes
    station: str
    at_s: int
    seq: int
    note: Note
    checkpoint: Checkpoint | None
    previous: int | None
    proof: tuple[bytes, ...]

    @property
    def is_handover(self) -> bool:
        """True for a statement that links two journals or keys."""
        return self.checkpoint is None

    def sealed(self) -> SealedSize:
        """Return what its checkpoint says about the tree."""
        if self.checkpoint is None:
            raise ValueError("a hand-over seals no tree")
        found = self.checkpoint
        return SealedSize(found.size, found.root, self.previous, self.proof)


def read_seal(line: bytes) -> SealPoint:
    """Read the line of a `seal` point. Raises ValueError."""
    record = decode(line)
    fields = record.fields
    if record.measurement != "seal" or "note" not in fields:
        raise ValueError("the line is no seal")
    note = notes.parse_note(notes.decoded(str(fields["note"])))
    checkpoint = None
    if fields.get("cause") != _HANDOVER:
        checkpoint = notes.parse_checkpoint(note.text)
        if checkpoint.text() != note.text:
            raise ValueError("the checkpoint has extension lines")
    proof = split(notes.decoded(str(fields["proof"]))) if "proof" in fields else []
    if len(proof) > PROOF_MAX:
        raise ValueError(f"a proof of {len(proof)} hashes is too long")
    return SealPoint(
        line,
        record.tags.get("station", ""),
        record.time_ns // 10**9,
        int(fields.get("seq", 0)),
        note,
        checkpoint,
        int(fields["previous"]) if "previous" in fields else None,
        tuple(proof),
    )


@dataclass(frozen=True, slots=True)
class Verified:
    """The seals of a journal that registered keys have signed, and these keys.

    `seals` has one of each size, in order. `signed` has all of them and the correct
    hand-overs.
    """

    seals: Sequence[SealPoint]
    signed: Sequence[SealPoint]
    keys: Sequence[PublicKey]
    handovers: Sequence[handover.Handover]


def verified(
    points: Iterable[SealPoint], origin: str, keys: Keys, findings: Findings
) -> Verified:
    """Return the seals that registered keys have signed, and report the others."""
    by_size: dict[int, SealPoint] = {}
    signed: list[SealPoint] = []
    used: list[PublicKey] = []
    handed: list[handover.Handover] = []
    for point in sorted(points, key=lambda p: (p.at_s, p.seq)):
        if point.is_handover:
            statement = _handover(point, origin, findings)
            if statement is not None:
                handed.append(statement)
                signed.append(point)
            continue
        key = signing_key(point, origin, keys, findings)
        sealed = point.checkpoint
        if key is None or sealed is None:
            continue
        if key not in used:
            used.append(key)
        signed.append(point)
        other = by_size.setdefault(sealed.size, point)
        if other.checkpoint != sealed:
            findings.detail(Kind.FORKED, f"two seals of {sealed.size} points")
        elif (point.previous or 0) < (other.previous or 0):
            # Without new points, as after a restart, a seal continues one of its size.
            by_size[sealed.size] = point
    seals = [by_size[size] for size in sorted(by_size)]
    _check_proofs(seals, findings)
    return Verified(seals, signed, used, handed)


def signing_key(
    point: SealPoint, origin: str, keys: Keys, findings: Findings
) -> PublicKey | None:
    """Return the registered key that signed a seal, or report why there is none."""
    size = point.checkpoint.size if point.checkpoint else 0
    where = f"seal of {size} points at {moment(point.at_s)}"
    if point.checkpoint is None or point.checkpoint.origin != origin:
        findings.detail(Kind.SEAL_INVALID, f"{where}: is of another journal")
        return None
    own = [key for key in keys.of(point.station) if _is_of(key, point.note, origin)]
    if not own:
        text = f"{where}: no key of station {point.station} has signed it"
        findings.detail(Kind.UNKNOWN_KEY, text)
        return None
    key = library.fastest_key(own[0].key)
    if not checkpoints.is_signed_by(point.note, origin, key):
        findings.detail(Kind.SEAL_INVALID, f"{where}: the signature is wrong")
        return None
    if not any(one.is_valid(point.at_s) for one in own):
        findings.detail(Kind.EXPIRED_KEY, f"{where}: {own[0].key.fingerprint}")
        return None
    return own[0].key


def _is_of(key: StationKey, note: Note, origin: str) -> bool:
    """Return True if a note claims to be signed by a key of the origin's device."""
    identity = notes.key_id(origin, key.key.raw)
    claims = any((s.name, s.key_id) == (origin, identity) for s in note.signatures)
    return claims and origin.rpartition("/")[0] == key.name


def _check_proofs(seals: Sequence[SealPoint], findings: Findings) -> None:
    """Report the seals whose proof does not fit the seal that they continue."""
    by_size = {seal.sealed().size: seal.sealed() for seal in seals}
    continued: dict[int, int] = {}
    for one in by_size.values():
        # Each seal continues the newest one, so a second one is of a copy.
        if one.previous == one.size:
            continue
        if one.previous is not None and one.previous in continued:
            sizes = f"{continued[one.previous]} and of {one.size} points"
            text = f"the seals of {sizes} both continue that of {one.previous} points"
            findings.detail(Kind.FORKED, text)
        elif one.previous is not None:
            continued[one.previous] = one.size
        before = by_size.get(-1 if one.previous is None else one.previous)
        if before is None or before.size > one.size:
            continue
        roots = (before.root, one.root)
        if not verify_consistency(before.size, one.size, one.proof, *roots):
            text = f"seal of {one.size} points after that of {before.size} points"
            findings.detail(Kind.INCONSISTENT, text)


def _handover(
    point: SealPoint, origin: str, findings: Findings
) -> handover.Handover | None:
    """Return a statement that leads to this journal, or report its fault."""
    try:
        found = handover.parse_handover(point.note.text)
        names = (found.old.origin, found.new.origin)
        handover.verified(point.note, *(name.rpartition("/")[0] for name in names))
    except ValueError as error:
        findings.detail(Kind.HANDOVER, f"at {moment(point.at_s)}: {error}")
        return None
    if found.new.origin == origin:
        return found
    text = f"at {moment(point.at_s)}: leads to {found.new.origin}"
    findings.detail(Kind.HANDOVER, text)
    return None
