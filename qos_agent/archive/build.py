"""Builds an archive from sources: `qos-agent archive build`.

Readings are staged first. Then the partitions that change are written under new names,
and the manifest names them. A kill at any moment leaves either the archive before or
the one after, and the same command finishes the work.
"""

from __future__ import annotations

import csv
import fcntl
import io
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from qos_agent.archive import manifest as manifests
from qos_agent.archive.bundle.register import Keys
from qos_agent.archive.columns import READINGS, NotAReadingError, Parser
from qos_agent.archive.database import MEMORY_MB
from qos_agent.archive.manifest import (
    CONFLICTS,
    DICTIONARY,
    FAULTS_MAX,
    LEFT_OUT,
    ArchiveFile,
    Manifest,
    SourceState,
    need_plain,
    read_manifest,
    sha256_of,
    write_durably,
    writing,
)
from qos_agent.archive.merging import Conflict, Merge
from qos_agent.archive.proving import Proof
from qos_agent.archive.sources.lines import LineFile
from qos_agent.archive.sources.parquet import ParquetArchive
from qos_agent.archive.sources.types import Item, Source, readable_items
from qos_agent.archive.staging import Staging, staging
from qos_agent.model.errors import OperatorError
from qos_agent.model.schema.dictionary import COLUMNS, rows
from qos_agent.system.files import sync

WORK = ".build"
_BATCH_ROWS = 50_000
_BATCH_BYTES = 32_000_000
# Called with the number of lines so far, and what is being done.
Progress = Callable[[int, str], None]


@dataclass(frozen=True, slots=True)
class Built:
    """The result of a build."""

    manifest: Manifest
    conflicts: tuple[Conflict, ...]

    @property
    def is_sound(self) -> bool:
        """True if no source has faults and no readings contradict each other."""
        faulty = (s.faulty or s.at_end for s in self.manifest.sources)
        return not self.manifest.conflicts and not any(faulty)


def build(
    sources: Sequence[Source],
    folder: Path,
    progress: Progress = lambda _count, _detail: None,
    *,
    memory_mb: int = MEMORY_MB,
    batch_rows: int = _BATCH_ROWS,
    keys: Keys | None = None,
) -> Built:
    """Add the readings of the sources to the archive in a folder.

    With `keys` only readings count that one of them has sealed.

    Raises OperatorError if the folder has other files or if there are no readings, and
    QosAgentError or OSError if a source or the disk fails.
    """
    need_plain(folder)
    _need_archive(folder)
    with writing(folder), _locked(folder):
        before = _before(folder)
        _need_same_kind(folder, before, keys)
        with (
            staging(folder / WORK, memory_mb) as staged,
            ThreadPoolExecutor(1) as writer,
        ):
            reader = _Reader(staged, writer, progress, batch_rows)
            known = {s.name: s for s in before.sources} | staged.states()
            for source in sources:
                if not _is_archive(source, folder):
                    reader.read(source, known.get(source.name))
            for file in before.files:
                if file.path.startswith((CONFLICTS, LEFT_OUT)):
                    reader.restage(LineFile(folder / file.path))
            built = _merged(staged, folder, before, reader.report, keys)
        _remove_others(folder, built.manifest)
    return built


def _need_archive(folder: Path) -> None:
    """Raise OperatorError if a folder has other files."""
    others = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    if others and not {WORK, manifests.FILE_NAME} & {*others}:
        raise OperatorError(
            f"{folder}: is not empty and not an archive (found: {min(others)}). Fix:"
            " name a new folder, or the folder of an archive."
        )


def _before(folder: Path) -> Manifest:
    if (folder / manifests.FILE_NAME).exists():
        return read_manifest(folder)
    return Manifest()


def _need_same_kind(folder: Path, before: Manifest, keys: Keys | None) -> None:
    """Raise OperatorError if an archive would have readings of both kinds."""
    if before.files and (before.left_out is None) != (keys is None):
        found = "without" if before.left_out is None else "with"
        raise OperatorError(
            f"{folder}: was built {found} --sealed-by. Fix: build it as before, or"
            " name a new folder."
        )


def _is_archive(source: Source, folder: Path) -> bool:
    """Return True if a source is the archive itself, which may be below a source."""
    return isinstance(source, ParquetArchive) and source.folder.samefile(folder)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let no other build use the folder. Raises OperatorError if one does."""
    (folder / WORK).mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise OperatorError(
            f"{folder}: another build uses this folder. Fix: wait until it has ended."
        ) from None
    finally:
        os.close(handle)


class _Tally:
    """The state of a source while it is read."""

    def __init__(self, source: Source, state: SourceState | None) -> None:
        fingerprint = _fingerprint(source)
        if state is None or not _continues(source, state, fingerprint):
            state = SourceState(source.name, fingerprint)
        self.state = state
        self.position, self.readings = state.position, state.readings
        self.other_points, self.faulty = state.other_points, state.faulty
        self.faults, self.at_end = [*state.faults], list[str]()

    def add_fault(self, position: int | None, fault: str) -> None:
        """Note a fault; without progress it is found again by the next reading."""
        if position in (None, self.position or 0):
            self.at_end = [*self.at_end, fault][:FAULTS_MAX]
            return
        self.faulty += 1
        self.faults = [*self.faults, fault][:FAULTS_MAX]

    def done(self, *, is_complete: bool) -> SourceState:
        """Return the state so far."""
        return replace(
            self.state,
            position=self.position,
            is_complete=is_complete,
            readings=self.readings,
            other_points=self.other_points,
            faulty=self.faulty,
            faults=tuple(self.faults),
            at_end=tuple(self.at_end),
        )


def _fingerprint(source: Source) -> str:
    """Return the fingerprint, or nothing if the source cannot be read."""
    try:
        return source.fingerprint()
    except OSError:
        return ""


def _continues(source: Source, state: SourceState, fingerprint: str) -> bool:
    """Return True if the position of an earlier run may be used."""
    may_continue = source.only_grows or not state.is_complete
    return may_continue and state.fingerprint == fingerprint


class _Reader:
    """Reads sources into the staging tables, a batch at a time.

    DuckDB inserts a batch while the next one is parsed, so two are in memory.
    """

    def __init__(
        self,
        staged: Staging,
        writer: ThreadPoolExecutor,
        progress: Progress,
        batch_rows: int,
    ) -> None:
        self._staged = staged
        self._writer = writer
        self._written: Future[None] | None = None
        self._progress = progress
        self._batch_rows = batch_rows
        self._parser = Parser()
        self._rows: dict[str, list[str]] = {}
        self._count = self._size_bytes = self._lines = 0

    def read(self, source: Source, state: SourceState | None) -> None:
        """Stage what a source has behind its last position."""
        tally = _Tally(source, state)
        for item in readable_items(source, tally.position):
            self._take(item, tally)
            if self._count >= self._batch_rows or self._size_bytes >= _BATCH_BYTES:
                self._commit(tally.done(is_complete=False), source.name)
        self._commit(tally.done(is_complete=True), source.name)
        self.finish()

    def finish(self) -> None:
        """Wait until everything is inserted. Raises the error of an insertion."""
        if self._written is not None:
            self._written.result()
            self._written = None

    def restage(self, file: LineFile) -> None:
        """Stage the lines of earlier conflicts, so that they stay conflicts."""
        tally = _Tally(file, None)
        for item in file.items():
            self._take(item, tally)
        self._commit(None, file.name)
        self.finish()

    def report(self, detail: str) -> None:
        """Report the number of lines so far."""
        self._progress(self._lines, detail)

    def _take(self, item: Item, tally: _Tally) -> None:
        self._count += 1
        if item.line is None:
            tally.add_fault(item.position, item.fault)
        else:
            try:
                row = self._parser.row(item.line)
                self._rows.setdefault(row.measurement, []).append(row.csv)
                self._size_bytes += len(row.csv)
                tally.readings += 1
            except NotAReadingError:
                tally.other_points += 1
            except ValueError as error:
                text = str(error)[:200]
                tally.add_fault(item.position, f"before {item.position}: {text}")
        if item.position is not None:
            tally.position = item.position

    def _commit(self, state: SourceState | None, name: str) -> None:
        self.finish()
        self._written = self._writer.submit(self._staged.add, self._rows, state)
        self._lines += self._count
        self.report(f", {name}")
        self._rows = {}
        self._count = self._size_bytes = 0


def _merged(
    staged: Staging,
    folder: Path,
    before: Manifest,
    report: Callable[[str], None],
    keys: Keys | None,
) -> Built:
    """Write the partitions that change, and publish them. Raises OperatorError."""
    files = {f.partition: f for f in before.files if f.readings}
    left_out = None
    if keys is not None:
        left_out = Proof(staged.db, folder, [*files.values()], keys).leave_out()
    merge = Merge(staged.db, folder, files.values())
    changed = merge.partitions()
    for number, partition in enumerate(changed, start=1):
        written = merge.write(partition, folder / WORK / "partition.parquet")
        files.pop(partition, None)
        if written is not None:
            files[partition] = written
        report(f", {number} of {len(changed)} files written")
    sources = {s.name: s for s in before.sources} | staged.states()
    manifest = Manifest(
        (*files.values(), *_extra_files(folder, merge)),
        tuple(sources.values()),
        merge.conflict_count(),
        readings=_readings(files.values()),
        left_out=left_out,
    )
    if not manifest.readings and not manifest.conflicts and not left_out:
        raise OperatorError("the sources have no readings. Fix: name other sources.")
    write_durably(folder / manifests.FILE_NAME, manifest.to_text().encode())
    return Built(manifest, tuple(merge.conflicts(FAULTS_MAX)))


def _readings(files: Iterable[ArchiveFile]) -> dict[str, int]:
    """Return the number of readings by measurement."""
    readings: dict[str, int] = {}
    for file in files:
        readings[file.measurement] = readings.get(file.measurement, 0) + file.readings
    return readings


def _extra_files(folder: Path, merge: Merge) -> Iterator[ArchiveFile]:
    """Write the data dictionary and the lines in conflict."""
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    table.writerows(row for row in rows() if row[0] in READINGS)
    yield _named_file(folder, DICTIONARY, "csv", [text.getvalue().encode()])
    if merge.conflict_count():
        lines = (line + b"\n" for line in merge.conflict_lines())
        yield _named_file(folder, CONFLICTS, "lp", lines)
    if merge.left_out_count():
        lines = (line + b"\n" for line in merge.left_out_lines())
        yield _named_file(folder, LEFT_OUT, "lp", lines)


def _named_file(
    folder: Path, name: str, suffix: str, parts: Iterable[bytes]
) -> ArchiveFile:
    """Write a file that is named after its content."""
    temporary = folder / WORK / name
    with temporary.open("wb") as file:
        for part in parts:
            file.write(part)
    digest, size_bytes = sha256_of(temporary), temporary.stat().st_size
    path = f"{name}-{digest[:16]}.{suffix}"
    sync(temporary)
    temporary.replace(folder / path)
    return ArchiveFile(path, 0, size_bytes, digest)


def _remove_others(folder: Path, manifest: Manifest) -> None:
    """Remove files of earlier builds, and the staging folder."""
    kept = {folder / file.path for file in manifest.files}
    for pattern in (
        "*/*/*/*.parquet",
        f"{CONFLICTS}-*.lp",
        f"{LEFT_OUT}-*.lp",
        f"{DICTIONARY}-*.csv",
    ):
        for path in set(folder.glob(pattern)) - kept:
            path.unlink()
            with suppress(OSError):
                for parent in path.relative_to(folder).parents[:-1]:
                    (folder / parent).rmdir()
    shutil.rmtree(folder / WORK)
