"""The check of one journal in a bundle."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from qos_agent.archive.bundle import layout
from qos_agent.archive.bundle.findings import Findings, Kind, Spans
from qos_agent.archive.bundle.intervals import MISSING_SPANS, Interval, intervals
from qos_agent.archive.bundle.numbered import LINE_MAX_BYTES, NumberedLines
from qos_agent.archive.bundle.register import Keys
from qos_agent.archive.bundle.removals import split_missing, statements
from qos_agent.archive.bundle.sealing import SealPoint, Verified, read_seal, verified
from qos_agent.archive.bundle.witnessed import (
    NationalRoot,
    Witness,
    check_cosigned,
    check_proofs,
    read_resumed,
)
from qos_agent.evidence import checkpoints
from qos_agent.evidence.merkle import leaf_hash
from qos_agent.system.files import read_bytes

# Ten years with a seal each ten minutes.
_SEALS_MAX = 600_000
_ORIGIN_MAX_BYTES = 4000


@dataclass(frozen=True, slots=True)
class Context:
    """The keys, stations, witness and roots that all journals must agree with."""

    keys: Keys
    stations: set[str] | None
    witness: Witness | None
    roots: Mapping[str, NationalRoot]


@dataclass(slots=True)
class JournalReport:
    """The result for one journal.

    `proven` points are those that a seal proves. `sealed` is the number of points that
    the last seal covers, and `confirmed` that of the newest national root. `roots` is
    the number of national roots that have a seal of it.
    """

    device: str
    journal: str
    stations: tuple[str, ...] = ()
    proven: int = 0
    sealed: int = 0
    seals: int = 0
    cosigned: int = 0
    confirmed: int | None = None
    roots: int = 0
    removed: int = 0
    absent: int = 0
    first_s: int | None = None
    last_s: int | None = None
    removals: list[str] = field(default_factory=list)
    handovers: list[str] = field(default_factory=list)
    resumed: list[str] = field(default_factory=list)
    keys: list[bytes] = field(default_factory=list)
    predecessors: list[str] = field(default_factory=list)
    findings: Findings = field(default_factory=Findings)

    @property
    def origin(self) -> str:
        """The origin of its seals."""
        return checkpoints.origin(self.device, self.journal)


def read_origin(folder: Path) -> tuple[str, str]:
    """Return device and journal of a folder. Raises ValueError, OSError."""
    content = read_bytes(folder / layout.ORIGIN, _ORIGIN_MAX_BYTES).decode("utf-8")
    device, journal, *others = content.split("\n")
    if others != [""]:
        raise ValueError(f"{layout.ORIGIN} must have two lines")
    return device, journal


def check_journal(
    folder: Path,
    identity: tuple[str, str],
    context: Context,
    progress: Callable[[int], None],
) -> JournalReport:
    """Check lines, seals, cosignatures and proof of a journal. Raises OSError.

    `progress` is called with the number of proven points so far.
    """
    report = JournalReport(*identity)
    findings = report.findings
    points = list(_seal_points(folder / layout.SEALS, findings))
    found = verified(points, report.origin, context.keys, findings)
    by_size = {
        seal.checkpoint.size: seal.checkpoint for seal in found.seals if seal.checkpoint
    }
    report.seals, report.sealed = len(by_size), max(by_size, default=0)
    report.keys = [key.raw for key in found.keys]
    if found.seals:
        times = [seal.at_s for seal in found.seals]
        report.first_s, report.last_s = min(times), max(times)
    else:
        findings.detail(Kind.UNKNOWN_KEY, "no seal of a registered key")
    _note_handovers(report, found, context)
    _check_points(folder, report, found, points, progress)
    _check_stations(report, found, context)
    if context.witness is not None and (folder / layout.COSIGNED).exists():
        resumed = read_resumed(
            folder / layout.RESUMED, context.witness, by_size, findings
        )
        report.resumed = [
            f"after the seal of {one.before.size} points, with {one.after.size} points"
            for one in resumed
            if one.before.size
        ]
        report.cosigned = check_cosigned(
            folder / layout.COSIGNED, context.witness, by_size, resumed, findings
        )
    confirmed = check_proofs(folder, context.roots, by_size, findings)
    if confirmed:
        report.confirmed, report.roots = confirmed[-1].size, len(confirmed)
    return report


def _seal_points(path: Path, findings: Findings) -> Iterator[SealPoint]:
    """Yield the seals of a file, and report the lines that are none."""
    try:
        with path.open("rb") as file:
            for _ in range(_SEALS_MAX):
                line = file.readline(LINE_MAX_BYTES)
                if not line:
                    return
                try:
                    yield read_seal(line.removesuffix(b"\n"))
                except (ValueError, TypeError) as error:
                    findings.detail(Kind.SEAL_INVALID, f"{path.name}: {error}")
    except OSError as error:
        findings.detail(Kind.FILE, f"{path.name}: cannot be read: {error.strerror}")


def _note_handovers(report: JournalReport, found: Verified, context: Context) -> None:
    """Record the statements that link this journal with another one or a new key."""
    for one in found.handovers:
        name = report.origin.rpartition("/")[0]
        if not context.keys.stations(name, one.new_key):
            text = f"to a key that is not registered ({one.new_key.fingerprint})"
            report.findings.detail(Kind.HANDOVER, text)
            continue
        text = f"{one.kind}: from {one.old.origin}, {one.old.size} points"
        if one.old_key != one.new_key:
            text += f", to the key {one.new_key.fingerprint}, signed by the "
            text += "old key, too" if one.confirmed_by == "device" else "new key only"
        report.handovers.append(text)
        report.predecessors.append(one.old.origin)


def _check_points(
    folder: Path,
    report: JournalReport,
    found: Verified,
    points: list[SealPoint],
    progress: Callable[[int], None],
) -> None:
    """Compare the lines with the seals."""
    findings = report.findings
    with ExitStack() as stack:
        file = _opened(folder / layout.POINTS, findings, stack)
        leaves = _opened(folder / layout.LEAVES, findings, stack)
        if file is None:
            return
        lines = NumberedLines(file, report.device, report.journal, leaves, findings)
        missing, unproven = Spans(limit=MISSING_SPANS), Spans(limit=MISSING_SPANS)
        sizes = [seal.sealed() for seal in found.seals]
        for interval in intervals(sizes, lines.chunk):
            _add(report, interval, missing, unproven)
            progress(report.proven)
        lines.finish()
    for seq in lines.late:
        missing.remove(seq)
    _explain(report, missing, unproven, lines)
    report.stations = tuple(sorted(lines.stations))
    _compare_seals(report, points, lines)


def _add(
    report: JournalReport, interval: Interval, missing: Spans, unproven: Spans
) -> None:
    """Count the result of one interval."""
    findings = report.findings
    points = interval.last - interval.first + 1
    for seq, lines in interval.doubled.items():
        for _ in lines[1:]:
            findings.point(Kind.INSERTED, seq)
    for seq in interval.altered:
        findings.point(Kind.ALTERED, seq)
    for seq in interval.leaves:
        findings.point(Kind.LEAVES, seq)
    gaps = (
        [interval.missing]
        if interval.is_proven
        else [
            interval.missing,
            interval.unknown,
        ]
    )
    for first, last in sorted(span for gap in gaps for span in gap.spans):
        missing.add(first, last)
    report.absent += interval.absent
    lost = interval.missing.count + interval.unknown.count
    if interval.is_proven:
        report.proven += points - lost - len(interval.altered)
        return
    findings.point(Kind.UNPROVEN, interval.first, interval.last)
    unproven.add(interval.first, interval.last)
    if interval.start is not None and not lost and not interval.altered:
        text = f"at least one of the points {interval.first} to {interval.last}"
        findings.detail(Kind.ALTERED, text)


def _explain(
    report: JournalReport, missing: Spans, unproven: Spans, lines: NumberedLines
) -> None:
    """Separate the points that the device removed from those that are missing."""
    unsure = report.findings.points.get(Kind.ALTERED, Spans()).spans + unproven.spans
    stated = [
        one
        for one in statements(lines.events)
        if not any(first <= one.seq <= last for first, last in unsure)
        and 0 < one.seq <= report.sealed
    ]
    report.removed, rest, used = split_missing(missing, stated)
    report.removals = [str(one) for one in used]
    for first, last in rest.spans:
        report.findings.point(Kind.MISSING, first, last)


def _check_stations(report: JournalReport, found: Verified, context: Context) -> None:
    """Report points under a station that the keys of this device never had."""
    name = report.origin.rpartition("/")[0]
    own = {s for key in found.keys for s in context.keys.stations(name, key)}
    for station in report.stations:
        if found.keys and station not in own:
            text = f"station {station}: the key of this device was never registered"
            report.findings.detail(Kind.NOT_REGISTERED, f"{text} for it")
        elif context.stations is not None and station not in context.stations:
            text = f"station {station}: is not in {layout.REGISTER}"
            report.findings.detail(Kind.NOT_REGISTERED, text)


def _compare_seals(
    report: JournalReport, points: Iterable[SealPoint], lines: NumberedLines
) -> None:
    """Report seals that are in only one of the two files."""
    inside = {leaf_hash(line): line for line in lines.seals}
    for point in points:
        leaf = leaf_hash(point.line)
        if inside.pop(leaf, None) is None and 0 < point.seq <= report.sealed:
            text = (
                f"{layout.SEALS}: the seal of point {point.seq} is not the sealed one"
            )
            report.findings.detail(Kind.ALTERED, text)
    for line in inside.values():
        try:
            number = read_seal(line).seq
        except (ValueError, TypeError):
            continue
        text = f"{layout.SEALS}: the seal of point {number} is missing"
        report.findings.detail(Kind.FILE, text)


def _opened(path: Path, findings: Findings, stack: ExitStack) -> BinaryIO | None:
    try:
        return stack.enter_context(path.open("rb"))
    except OSError as error:
        findings.detail(Kind.FILE, f"{path.name}: cannot be read: {error.strerror}")
        return None
