"""Cosignatures and national roots in a bundle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from qos_agent.archive.bundle import layout
from qos_agent.archive.bundle.findings import Findings, Kind
from qos_agent.evidence import checkpoints, cosignatures, library, notes, proofs
from qos_agent.evidence.notes import Checkpoint, Note
from qos_agent.evidence.resumption import Resumption, parse_resumption
from qos_agent.evidence.signer import PublicKey
from qos_agent.system.files import read_bytes

# A journal with a seal each ten minutes for ten years.
_NOTES_MAX_BYTES = 500_000_000
_SMALL_MAX_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Witness:
    """The name and key of the witness whose cosignatures and roots count."""

    name: str
    key: PublicKey

    def has_signed(self, note: Note) -> bool:
        """Return True if the witness signed a note with its key for roots."""
        key = library.fastest_key(self.key)
        return checkpoints.is_signed_by(note, self.name, key)

    def cosignature(self, note: Note) -> cosignatures.Cosignature | None:
        """Return the cosignature in a note, or None."""
        key = library.fastest_key(self.key)
        return cosignatures.cosignature(note, self.name, key)


@dataclass(frozen=True, slots=True)
class NationalRoot:
    """A national root whose signature is correct."""

    note: Note
    checkpoint: Checkpoint


def read_witness(path: Path) -> Witness | None:
    """Return the witness of a bundle, or None. Raises ValueError, OSError."""
    if not path.exists():
        return None
    lines = read_bytes(path, _SMALL_MAX_BYTES).decode("utf-8").splitlines()
    name, raw = notes.parse_verifier_key(lines[0] if lines else "")
    if lines[1:] != [notes.verifier_key(name, raw, notes.COSIGNATURE)]:
        raise ValueError("the two keys are not those of one witness")
    return Witness(name, PublicKey(raw))


def read_roots(
    folder: Path, witness: Witness | None, findings: Findings
) -> Mapping[str, NationalRoot]:
    """Return the roots that the witness has signed, by their text."""
    roots = {}
    for path in sorted(folder.glob("*.txt")):
        try:
            note = notes.parse_note(read_bytes(path, _SMALL_MAX_BYTES))
            found = NationalRoot(note, notes.parse_checkpoint(note.text))
        except (ValueError, OSError) as error:
            findings.detail(Kind.NATIONAL_ROOT, f"{path.name}: {error}")
            continue
        if witness is None or not witness.has_signed(note):
            text = f"{path.name}: the witness has not signed it"
            findings.detail(Kind.NATIONAL_ROOT, text)
        elif witness.cosignature(note) is None:
            text = f"{path.name}: has no cosignature with a time"
            findings.detail(Kind.COSIGNATURE, text)
        else:
            roots[note.text] = found
    return roots


def read_notes(path: Path) -> Iterator[Note]:
    """Yield the notes of a file, each of which ends with an empty line.

    Raises ValueError, OSError.
    """
    size_bytes = min(path.stat().st_size, _NOTES_MAX_BYTES)
    blocks = read_bytes(path, size_bytes).split(b"\n\n")
    if blocks.pop() != b"" or len(blocks) % 2:
        raise ValueError("the file does not end with a whole note")
    for text, signatures in zip(blocks[::2], blocks[1::2], strict=True):
        yield notes.parse_note(text + b"\n\n" + signatures + b"\n")


def notes_text(found: Sequence[bytes]) -> bytes:
    """Return notes in the form that `read_notes` reads."""
    return b"".join(note + b"\n" for note in found)


def read_resumed(
    path: Path, witness: Witness, seals: Mapping[int, Checkpoint], findings: Findings
) -> list[Resumption]:
    """Return the statements of the witness about seals that it never received."""
    found = []
    try:
        for note in read_notes(path):
            one = parse_resumption(note.text)
            if witness.has_signed(note) and seals.get(one.after.size) == one.after:
                found.append(one)
            else:
                text = f"{path.name}: is not of this journal and witness"
                findings.detail(Kind.COSIGNATURE, text)
    except FileNotFoundError:
        return []
    except (ValueError, OSError) as error:
        findings.detail(Kind.COSIGNATURE, f"{path.name}: {error}")
    return found


def check_cosigned(
    path: Path,
    witness: Witness,
    seals: Mapping[int, Checkpoint],
    resumed: Sequence[Resumption],
    findings: Findings,
) -> int:
    """Compare the cosigned notes with the seals; return the number of correct ones.

    A seal before a cosigned one must be cosigned, too: the witness signs only a seal
    that continues the one before. The only exceptions are those that it has stated: a
    resumption, and a beginning with a later seal.
    """
    good: set[int] = set()
    try:
        for note in read_notes(path):
            size = _cosigned_size(note, witness, seals, findings)
            good |= {size} if size is not None else set()
    except (ValueError, OSError) as error:
        findings.detail(Kind.COSIGNATURE, f"{path.name}: {error}")
    for size in seals:
        is_before = good and size < max(good) and size not in good
        if is_before and not any(one.covers(size) for one in resumed):
            text = f"the seal of {size} points has no cosignature"
            findings.detail(Kind.COSIGNATURE, text)
    return len(good)


def _cosigned_size(
    note: Note,
    witness: Witness,
    seals: Mapping[int, Checkpoint],
    findings: Findings,
) -> int | None:
    checkpoint = notes.parse_checkpoint(note.text)
    own = seals.get(checkpoint.size)
    if witness.cosignature(note) is None:
        text = f"the cosignature of the seal of {checkpoint.size} points is not correct"
        findings.detail(Kind.COSIGNATURE, text)
        return None
    if own == checkpoint:
        return checkpoint.size
    if own is not None:
        text = f"the witness cosigned another seal of {checkpoint.size} points"
        findings.detail(Kind.FORKED, text)
    elif checkpoint.size > max(seals, default=0):
        text = f"the witness cosigned a seal of {checkpoint.size} points"
        findings.detail(Kind.TRUNCATED, text)
    else:
        text = f"the seal of {checkpoint.size} points, which the witness cosigned"
        findings.detail(Kind.FILE, f"{layout.SEALS}: lacks {text}")
    return None


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The text of a national root, and the number of points that it confirms."""

    root: str
    size: int


def check_proofs(
    folder: Path,
    roots: Mapping[str, NationalRoot],
    seals: Mapping[int, Checkpoint],
    findings: Findings,
) -> list[Confirmed]:
    """Return what the roots confirm, in the order of their time.

    A journal that a root has is in all later ones, too.
    """
    paths = [folder / layout.PROOF, *(folder / layout.EARLIER).glob("*")]
    checked = (_proof(p, roots, seals, findings) for p in paths if p.exists())
    found = {one.root: one for one in checked if one is not None}
    # The origin of a root ends with its time.
    ordered = sorted(roots, key=lambda text: roots[text].checkpoint.origin)
    confirmed: list[Confirmed] = []
    for text in ordered:
        if text in found:
            confirmed.append(found[text])
        elif confirmed:
            problem = "no proof that a later national root has a seal of this journal"
            name = roots[text].checkpoint.origin
            findings.detail(Kind.NATIONAL_ROOT, f"{name}: {problem}")
    sizes = [one.size for one in confirmed]
    if sizes != sorted(sizes):
        text = "a later national root has an older seal of this journal"
        findings.detail(Kind.NATIONAL_ROOT, text)
    return confirmed


def _proof(
    path: Path,
    roots: Mapping[str, NationalRoot],
    seals: Mapping[int, Checkpoint],
    findings: Findings,
) -> Confirmed | None:
    try:
        proof = proofs.parse_proof(read_bytes(path, _SMALL_MAX_BYTES))
        text = notes.parse_note(proof.checkpoint).text
        entry = notes.parse_note(proof.extra).text
        confirmed = notes.parse_checkpoint(entry)
        is_included = proofs.includes(proof, entry)
    except (ValueError, OSError) as error:
        findings.detail(Kind.NATIONAL_ROOT, f"{path.name}: {error}")
        return None
    if text not in roots or not is_included:
        problem = "is not of a national root in the bundle"
        problem = "does not lead to the national root" if text in roots else problem
        findings.detail(Kind.NATIONAL_ROOT, f"{path.name}: {problem}")
        return None
    if seals.get(confirmed.size) == confirmed:
        return Confirmed(text, confirmed.size)
    text = f"the national root has a seal of {confirmed.size} points"
    is_longer = confirmed.size > max(seals, default=0)
    findings.detail(Kind.TRUNCATED if is_longer else Kind.FORKED, text)
    return None
