"""Writes an evidence bundle: `qos-agent archive export --bundle`.

Only what a registered key has sealed becomes part of the record. Other lines are left
out of it: they are in files of their own, named by the reason.
"""

from __future__ import annotations

import csv
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from qos_agent import __version__
from qos_agent.archive.bundle import bag, layout, texts
from qos_agent.archive.bundle.centre import Centre, RootFile
from qos_agent.archive.bundle.findings import Findings
from qos_agent.archive.bundle.journal_files import Sorted, sorted_lines
from qos_agent.archive.bundle.register import Keys, write_keys
from qos_agent.archive.bundle.sealing import SealPoint, read_seal, verified
from qos_agent.archive.bundle.staging import Progress, Staged, staged
from qos_agent.archive.bundle.witnessed import notes_text
from qos_agent.archive.exporting import write_dictionary
from qos_agent.archive.manifest import need_plain, sha256_of, writing
from qos_agent.archive.sources.types import Source
from qos_agent.evidence import checkpoints
from qos_agent.model.errors import OperatorError
from qos_agent.model.line_protocol import decode
from qos_agent.model.schema import SCHEMA_VERSION

_WORK = ".bundle"
NO_KEY, NO_SEAL, CONTRADICTING = "no-registered-key", "not-sealed", "contradicting"


@dataclass(slots=True)
class Bundled:
    """The result: journals and points in the record, and lines that were left out."""

    folder: Path
    journals: int = 0
    points: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    is_signed: bool = False


def write_bundle(
    sources: Sequence[Source],
    folder: Path,
    centre: Centre,
    progress: Progress = lambda _count, _detail: None,
) -> Bundled:
    """Write a bundle into a new folder.

    Raises OperatorError if the folder has files or if no reading is sealed, and
    QosAgentError or OSError if a source or the disk fails.
    """
    need_plain(folder)
    if folder.exists() and any(folder.iterdir()):
        raise OperatorError(f"{folder}: is not empty. Fix: name a new folder.")
    work = folder.parent / f"{_WORK}-{folder.name}"
    shutil.rmtree(work, ignore_errors=True)
    try:
        with writing(folder.parent):
            result = _written(sources, work, centre, progress)
            if folder.exists():
                folder.rmdir()
            work.rename(folder)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    result.folder = folder
    return result


def _written(
    sources: Sequence[Source], work: Path, centre: Centre, progress: Progress
) -> Bundled:
    data = work / bag.PAYLOAD
    data.mkdir(parents=True)
    with (
        tempfile.TemporaryDirectory(prefix="qos-agent-") as temporary,
        staged(Path(temporary)) as rows,
    ):
        rows.read(sources, progress)
        writer = _Writer(rows, work, centre)
        for number, key in enumerate(rows.journals(), 1):
            writer.journal(key)
            progress(rows.lines, f", {number} journals written")
        result = writer.close()
        result.faults = rows.faults
    if not result.journals:
        raise OperatorError(
            "no reading is sealed by a registered key. Fix: name the keys of the"
            " devices with --keys, or the centre's noc.toml with -c."
        )
    _add_centre(data, centre, writer)
    _finish(work, centre, result)
    return result


class _Writer:
    """Writes the journals one after the other."""

    def __init__(self, rows: Staged, work: Path, centre: Centre) -> None:
        self._rows = rows
        self._work = work
        self._centre = centre
        self._keys = Keys(centre.keys)
        self._files: dict[str, IO[bytes]] = {}
        self._stack = ExitStack()
        self.stations: set[str] = set()
        self.folders: dict[str, Path] = {}
        self.configurations: dict[tuple[str, ...], int] = {}
        self.result = Bundled(work)

    def journal(self, key: tuple[str, str]) -> None:
        """Write the files of a journal, if a registered key has sealed it."""
        origin = checkpoints.origin(*key)
        seals = list(self._seals(key))
        found = verified(seals, origin, self._keys, Findings())
        if not found.seals:
            for _, line in self._rows.of_journal(key):
                self._leave_out(NO_KEY, line)
            return
        folder = self._work / layout.journal_path(*key)
        folder.mkdir(parents=True)
        (folder / layout.ORIGIN).write_text("\n".join([*key, ""]), encoding="utf-8")
        sizes = [seal.sealed() for seal in found.seals]
        chosen = sorted_lines(
            lambda: self._rows.of_journal(key),
            self._rows.leaves(key[1]),
            sizes,
            folder / layout.LEAVES,
        )
        self._write_points(folder, chosen, sizes[-1].size)
        self._write_seals(folder, chosen, found.signed, seals)
        signed = {
            layout.COSIGNED: self._centre.cosigned(origin),
            layout.RESUMED: self._centre.resumed(origin),
        }
        for name, content in signed.items():
            if content:
                (folder / name).write_bytes(notes_text(content))
        self.folders[origin] = folder
        self.result.journals += 1

    def _seals(self, key: tuple[str, str]) -> Iterator[SealPoint]:
        condition = "starts_with(line, 'seal,')"
        for _, line in self._rows.of_journal(key, condition):
            try:
                yield read_seal(line)
            except (ValueError, TypeError):
                continue

    def _write_points(self, folder: Path, chosen: Sorted, last: int) -> None:
        with (folder / layout.POINTS).open("wb") as file:
            for seq, line in chosen.lines():
                if not 0 < seq <= last:
                    self._leave_out(NO_SEAL, line)
                elif not chosen.is_chosen(seq, line):
                    self._leave_out(CONTRADICTING, line)
                else:
                    file.write(line + b"\n")
                    self.result.points += 1
                    self._note(line)

    def _write_seals(
        self,
        folder: Path,
        chosen: Sorted,
        signed: Iterable[SealPoint],
        seals: Iterable[SealPoint],
    ) -> None:
        """Write the seals of registered keys, and all others in the record."""
        last = max(seal.checkpoint.size for seal in signed if seal.checkpoint)
        lines = {seal.line: seal.seq for seal in signed}
        for seal in seals:
            if 0 < seal.seq <= last and chosen.is_chosen(seal.seq, seal.line):
                lines[seal.line] = seal.seq
        with (folder / layout.SEALS).open("wb") as file:
            for line in sorted(lines, key=lambda one: (lines[one], one)):
                file.write(line + b"\n")

    def _note(self, line: bytes) -> None:
        """Note stations, and the configurations that heartbeats name."""
        series = line[: line.find(b" ")]
        start = series.find(b",station=")
        if start >= 0:
            self.stations.add(series[start + 9 :].partition(b",")[0].decode())
        if line.startswith(b"agent,"):
            fields = decode(line).fields
            names = ("device", "journal", "config_hash", "calendar_hash", "version")
            row = tuple(str(fields.get(name, "")) for name in names)
            self.configurations.setdefault(row, int(fields["seq"]))

    def _leave_out(self, reason: str, line: bytes) -> None:
        if reason not in self._files:
            folder = self._work / bag.PAYLOAD / layout.LEFT_OUT
            folder.mkdir(exist_ok=True)
            file = self._stack.enter_context((folder / f"{reason}.lp").open("wb"))
            self._files[reason] = file
        self._files[reason].write(line + b"\n")
        counts = self.result.left_out
        counts[reason] = counts.get(reason, 0) + 1

    def close(self) -> Bundled:
        """Close the files, and return the result."""
        self._stack.close()
        return self.result


def _add_centre(data: Path, centre: Centre, writer: _Writer) -> None:
    """Write keys, register, roots, calendar, configurations and explanations."""
    keys = data / layout.KEYS
    keys.mkdir()
    own = [key for key in Keys(centre.keys).all() if key.station in writer.stations]
    write_keys(keys / layout.DEVICE_KEYS, own)
    if centre.witness is not None:
        (keys / layout.WITNESS_KEYS).write_text(centre.witness, encoding="utf-8")
    if centre.roots:
        (data / layout.ROOTS).mkdir()
    for root in centre.roots:
        _add_root(data / layout.ROOTS, root, writer, is_newest=root is centre.roots[-1])
    stations = centre.stations(sorted(writer.stations))
    optional = {layout.REGISTER: stations, layout.CALENDAR: centre.calendar}
    for name, text in optional.items():
        if text is not None:
            (data / name).write_bytes(text)
    _write_configurations(data / layout.CONFIGURATIONS, writer.configurations)
    write_dictionary(data / layout.DICTIONARY)
    texts.write(data)


def _add_root(
    folder: Path, root: RootFile, writer: _Writer, *, is_newest: bool
) -> None:
    """Write a root and its proofs; an earlier root only if it has a proof."""
    prove, has_proof = root.prover(), False
    for origin, journal in writer.folders.items():
        proof = prove(origin)
        if proof is None:
            continue
        path = journal / layout.PROOF
        if not is_newest:
            (journal / layout.EARLIER).mkdir(exist_ok=True)
            path = journal / layout.EARLIER / layout.proof_name(root.name)
        path.write_bytes(proof)
        has_proof = True
    if has_proof or is_newest:
        (folder / root.name).write_bytes(root.content)
        if root.timestamp is not None:
            stamp = f"{root.name}{layout.TIMESTAMP_SUFFIX}"
            (folder / stamp).write_bytes(root.timestamp)


def _write_configurations(path: Path, found: Mapping[tuple[str, ...], int]) -> None:
    """Write the hashes of each configuration with the first point that names it."""
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        heads = ("device", "journal", "config_hash", "calendar_hash", "version")
        table.writerow((*heads, "first_seq"))
        table.writerows((*row, first) for row, first in sorted(found.items()))


def _finish(work: Path, centre: Centre, result: Bundled) -> None:
    """Write the files of the bag, and let the centre sign them."""
    bag.write_manifest(work)
    if centre.signer is not None:
        name, signer = centre.signer
        text = layout.signed_text(sha256_of(work / bag.MANIFEST))
        note = checkpoints.signed(name, text, signer)
        (work / layout.SIGNATURE).write_bytes(note.to_bytes())
        result.is_signed = True
    info = [
        ("Bag-Software-Agent", f"qos-agent {__version__}"),
        ("QoS-Agent-Schema-Version", str(SCHEMA_VERSION)),
        ("External-Description", "Sealed readings of QoS Agent with their proofs"),
    ]
    bag.finish(work, info)
