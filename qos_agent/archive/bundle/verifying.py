"""Verifies an evidence bundle from its files alone: `qos-agent verify`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from qos_agent.archive.bundle import bag, layout
from qos_agent.archive.bundle.findings import Findings, Kind
from qos_agent.archive.bundle.journal_check import (
    Context,
    JournalReport,
    check_journal,
    read_origin,
)
from qos_agent.archive.bundle.register import Keys, read_keys, read_stations
from qos_agent.archive.bundle.witnessed import (
    NationalRoot,
    Witness,
    read_roots,
    read_witness,
)
from qos_agent.archive.manifest import sha256_of
from qos_agent.evidence import notes
from qos_agent.system.files import read_bytes

_SMALL_MAX_BYTES = 1_000_000
# Called with the number of proven points so far, and what is being done.
Progress = Callable[[int, str], None]


@dataclass(frozen=True, slots=True)
class Expected:
    """Copies from elsewhere that a bundle must agree with: a key, and a root."""

    witness: str | None = None
    root: bytes | None = None


@dataclass(slots=True)
class Verdict:
    """The result for a bundle."""

    journals: list[JournalReport] = field(default_factory=list)
    findings: Findings = field(default_factory=Findings)
    witness: Witness | None = None
    roots: Mapping[str, NationalRoot] = field(default_factory=dict)
    is_signed: bool = False
    has_register: bool = False
    left_out: dict[str, int] = field(default_factory=dict)

    @property
    def is_valid(self) -> bool:
        """True if everything is proven."""
        faults = any(one.findings for one in self.journals)
        return bool(self.journals) and not self.findings and not faults

    def counts(self) -> dict[Kind, int]:
        """Return the number of faults by kind."""
        totals: dict[Kind, int] = {}
        for found in (self.findings, *(one.findings for one in self.journals)):
            for kind, count in found.counts.items():
                totals[kind] = totals.get(kind, 0) + count
        return totals


def verify(
    folder: Path,
    expected: Expected = Expected(),
    progress: Progress = lambda _count, _detail: None,
) -> Verdict:
    """Verify a bundle. Raises OperatorError if the folder is no bundle, and OSError."""
    bag.need_bag(folder)
    verdict = Verdict()
    for fault in bag.faults(folder):
        verdict.findings.detail(Kind.FILE, fault)
    data = folder / bag.PAYLOAD
    verdict.witness = _witness(data, expected, verdict.findings)
    _check_signature(folder, verdict)
    verdict.roots = read_roots(data / layout.ROOTS, verdict.witness, verdict.findings)
    _check_root(expected, verdict)
    context = _context(data, verdict)
    proven = 0
    for path in _journal_folders(data):
        identity = _identity(path, verdict.findings)
        if identity is None:
            continue
        shown = partial(_show, progress, proven, identity[0])
        report = check_journal(path, identity, context, shown)
        verdict.journals.append(report)
        proven += report.proven
    _check_together(verdict)
    verdict.left_out = dict(_left_out(data / layout.LEFT_OUT))
    return verdict


def _witness(data: Path, expected: Expected, findings: Findings) -> Witness | None:
    try:
        found = read_witness(data / layout.KEYS / layout.WITNESS_KEYS)
    except (ValueError, OSError) as error:
        findings.detail(Kind.SIGNATURE, f"{layout.WITNESS_KEYS}: {error}")
        return None
    if expected.witness is None:
        return found
    known = (
        notes.verifier_key(found.name, found.key.raw, kind) if found else ""
        for kind in (notes.ED25519, notes.COSIGNATURE)
    )
    if expected.witness not in known:
        text = f"{layout.WITNESS_KEYS}: is not the published key {expected.witness}"
        findings.detail(Kind.SIGNATURE, text)
    return found


def _check_signature(folder: Path, verdict: Verdict) -> None:
    """Check the centre's signature of the manifest, if there is one."""
    path = folder / layout.SIGNATURE
    if not path.exists():
        return
    findings = verdict.findings
    try:
        note = notes.parse_note(read_bytes(path, _SMALL_MAX_BYTES))
        expected = layout.signed_text(sha256_of(folder / bag.MANIFEST))
    except (ValueError, OSError) as error:
        findings.detail(Kind.SIGNATURE, f"{path.name}: {error}")
        return
    if verdict.witness is None or not verdict.witness.has_signed(note):
        findings.detail(Kind.SIGNATURE, f"{path.name}: the centre has not signed it")
    elif note.text != expected:
        findings.detail(Kind.SIGNATURE, f"{path.name}: is of another manifest")
    else:
        verdict.is_signed = True


def _check_root(expected: Expected, verdict: Verdict) -> None:
    """Compare the published copy of a root with those in the bundle."""
    if expected.root is None:
        return
    try:
        text = notes.parse_note(expected.root).text
    except ValueError as error:
        verdict.findings.detail(Kind.NATIONAL_ROOT, f"the published root: {error}")
        return
    if text not in verdict.roots:
        problem = "the published root is not in the bundle"
        verdict.findings.detail(Kind.NATIONAL_ROOT, problem)


def _context(data: Path, verdict: Verdict) -> Context:
    keys, stations = Keys(()), None
    try:
        keys = read_keys(data / layout.KEYS / layout.DEVICE_KEYS)
    except (ValueError, OSError) as error:
        verdict.findings.detail(Kind.UNKNOWN_KEY, f"{layout.DEVICE_KEYS}: {error}")
    try:
        stations = read_stations(data / layout.REGISTER)
    except (ValueError, OSError) as error:
        text = f"{layout.REGISTER}: {error}"
        verdict.findings.detail(Kind.NOT_REGISTERED, text)
    verdict.has_register = stations is not None
    return Context(keys, stations, verdict.witness, verdict.roots)


def _journal_folders(data: Path) -> Iterator[Path]:
    for device in sorted((data / layout.JOURNALS).glob("*")):
        yield from sorted(path for path in device.glob("*") if path.is_dir())


def _show(progress: Progress, before: int, device: str, points: int) -> None:
    progress(before + points, f", {device}")


def _identity(path: Path, findings: Findings) -> tuple[str, str] | None:
    """Return device and journal of a folder, or None if it is not usable."""
    try:
        identity = read_origin(path)
    except (ValueError, OSError) as error:
        findings.detail(Kind.FILE, f"{path.parent.name}/{path.name}: {error}")
        return None
    if path.parts[-4:] != Path(layout.journal_path(*identity)).parts:
        text = f"{path.parent.name}/{path.name}: is not the folder of its journal"
        findings.detail(Kind.FILE, text)
    return identity


def _check_together(verdict: Verdict) -> None:
    """Find journals of one key without a hand-over, and those without a proof."""
    by_key: dict[bytes, list[JournalReport]] = {}
    for report in verdict.journals:
        for key in report.keys:
            by_key.setdefault(key, []).append(report)
        if verdict.roots and report.confirmed is None and report.seals:
            text = "no proof that the national root has a seal of this journal"
            report.findings.detail(Kind.NATIONAL_ROOT, text)
    for reports in by_key.values():
        reports.sort(key=lambda one: (one.first_s or 0, one.journal))
        for report in reports[1:]:
            if not report.predecessors:
                text = f"under the key of journal {reports[0].journal}"
                report.findings.detail(Kind.TWO_JOURNALS, text)


def _left_out(folder: Path) -> Iterator[tuple[str, int]]:
    """Yield the reason of each file, and its number of lines."""
    for path in sorted(folder.glob("*.lp")):
        with path.open("rb") as file:
            parts = iter(lambda: file.read(1 << 20), b"")
            yield path.stem, sum(part.count(b"\n") for part in parts)


def totals(journals: Sequence[JournalReport]) -> dict[str, int]:
    """Return the sums of all journals."""
    names = ("proven", "seals", "cosigned", "removed", "absent")
    found = {name: sum(getattr(one, name) for one in journals) for name in names}
    confirmed = sum(1 for one in journals if one.confirmed is not None)
    return {"journals": len(journals), **found, "in_national_root": confirmed}
