"""Proves that an archive and its sources agree: `qos-agent archive check`.

Each file is compared with the manifest, each row with its leaf hash, and the set of
readings with that of the sources, by journal, number and leaf hash. Equal leaf hashes
are equal bytes of the canonical line.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from qos_agent.archive.build import Progress
from qos_agent.archive.columns import NotAReadingError, Parser
from qos_agent.archive.database import MEMORY_MB, connected, csv_rows, text
from qos_agent.archive.manifest import (
    CONFLICTS,
    FAULTS_MAX,
    LEFT_OUT,
    ArchiveFile,
    Manifest,
    read_manifest,
    sha256_of,
)
from qos_agent.archive.seals import MEASUREMENT as SEAL
from qos_agent.archive.seals import SealResult, seal_results
from qos_agent.archive.sources.lines import LineFile
from qos_agent.archive.sources.parquet import fault_of, read_file
from qos_agent.archive.sources.types import Item, Source, readable_items

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_BATCH_ROWS = 50_000
_TYPES = {"journal": "VARCHAR", "seq": "BIGINT", "leaf": "VARCHAR"}
_ARCHIVE, _CONFLICT, _LEFT_OUT = "archive", "conflict", "left out"


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of disagreement: the number of cases, and the first of them."""

    count: int
    first: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Checked:
    """The result of a check. Everything agrees if no finding has cases.

    `files` and `sources` are faults of the archive's files and of the sources.
    `missing` readings are only in sources, `extra` ones only in the archive, and
    `differing` ones have different content. `conflicts` are those that the build found.
    `seals` do not have the root of the readings before them. `seals_matching` do, and
    for `seals_open` readings are missing in the archive.
    """

    readings: int
    sources: int
    seals_matching: int
    seals_open: int
    files: Finding
    source_faults: Finding
    missing: Finding
    extra: Finding
    differing: Finding
    conflicts: Finding
    seals: Finding

    def findings(self) -> Mapping[str, Finding]:
        """Return the findings by name."""
        return {
            "files": self.files,
            "source faults": self.source_faults,
            "missing in the archive": self.missing,
            "missing in the sources": self.extra,
            "differing": self.differing,
            "conflicts": self.conflicts,
            "seals": self.seals,
        }

    @property
    def agrees(self) -> bool:
        """True if archive, manifest and sources agree."""
        return not any(finding.count for finding in self.findings().values())


def check(
    sources: Sequence[Source],
    folder: Path,
    progress: Progress = lambda _count, _detail: None,
    *,
    memory_mb: int = MEMORY_MB,
) -> Checked:
    """Compare an archive with its manifest and with sources.

    Raises OperatorError if the folder is not an archive, and QosAgentError or OSError
    if a source or the disk fails.
    """
    manifest = read_manifest(folder)
    with tempfile.TemporaryDirectory(prefix="qos-agent-") as temporary:
        work = Path(temporary)
        with connected(work / "check.duckdb", work / "spill", memory_mb) as db:
            compared = _Comparison(db, work / "batch.csv", progress)
            files = _Faults()
            for item in _archive_items(folder, manifest, db):
                compared.add(item, _ARCHIVE, files)
            for name, place in ((CONFLICTS, _CONFLICT), (LEFT_OUT, _LEFT_OUT)):
                for item in _named_items(folder, manifest, name):
                    compared.add(item, place, files)
            compared.flush()
            found = compared.count(_ARCHIVE)
            files.extend(_manifest_faults(folder, manifest, found))
            faults = _Faults()
            for source in sources:
                for item in readable_items(source):
                    compared.add(item, source.name, faults)
                compared.flush()
            seals = compared.seals(_sound_seal_files(folder, manifest))
            return compared.result(len(sources), files, faults, seals)


class _Faults:
    """Faults of which only the first are kept."""

    def __init__(self) -> None:
        self.count = 0
        self.first: list[str] = []

    def extend(self, faults: Iterable[str]) -> None:
        """Count faults."""
        for fault in faults:
            self.count += 1
            if self.count <= FAULTS_MAX:
                self.first.append(fault)

    def finding(self) -> Finding:
        """Return what was found."""
        return Finding(self.count, tuple(self.first))


class _Seals:
    """The results of all seals."""

    def __init__(self) -> None:
        self.matching = self.open = 0
        self.faults = _Faults()

    def add(self, result: SealResult) -> None:
        """Count one seal."""
        if result.matches is None:
            self.open += 1
        elif result.matches:
            self.matching += 1
        else:
            place = f"journal {result.journal}, seal of {result.size} points"
            self.faults.extend([f"{place}: its root is not that of the readings"])


def _sound_seal_files(folder: Path, manifest: Manifest) -> list[Path]:
    """Return the files with seals that match the manifest."""
    return [
        folder / file.path
        for file in manifest.files
        if file.readings and file.measurement == SEAL and fault_of(folder, file) is None
    ]


def _archive_items(
    folder: Path, manifest: Manifest, db: DuckDBPyConnection
) -> Iterator[Item]:
    """Yield the readings of all files that match the manifest, and other faults."""
    for file in manifest.files:
        if fault := fault_of(folder, file):
            yield Item(0, None, fault)
        elif file.readings:
            yield from _rows(db.cursor(), folder, file)


def _rows(db: DuckDBPyConnection, folder: Path, file: ArchiveFile) -> Iterator[Item]:
    number = 0
    for item in read_file(db, folder / file.path, file.measurement):
        number += 1
        yield item if item.line else Item(0, None, f"{file.path}: {item.fault}")
    if number != file.readings:
        fault = f"{file.path}: {number} readings (manifest: {file.readings})"
        yield Item(0, None, fault)


def _named_items(folder: Path, manifest: Manifest, name: str) -> Iterator[Item]:
    """Yield the lines of the files next to the partitions."""
    for file in manifest.files:
        path = folder / file.path
        is_sound = path.exists() and sha256_of(path) == file.sha256
        if file.path.startswith(name) and is_sound:
            yield from LineFile(path).items()


def _manifest_faults(folder: Path, manifest: Manifest, found: int) -> Iterator[str]:
    """Yield files that the manifest does not name, and a wrong sum."""
    named = {folder / file.path for file in manifest.files}
    for path in sorted(folder.rglob("*.parquet")):
        if path not in named:
            yield f"{path.relative_to(folder)}: is not in the manifest"
    listed = sum(manifest.readings.values())
    if listed != found:
        yield f"archive.json: {listed} readings (found: {found})"


class _Comparison:
    """The identities of all readings in one table, with the places they are in."""

    def __init__(self, db: DuckDBPyConnection, csv: Path, progress: Progress) -> None:
        self._db = db
        self._csv = csv
        self._progress = progress
        self._parser = Parser()
        self._rows: list[str] = []
        self._place = ""
        self._lines = 0
        db.execute(
            "CREATE TABLE found (journal VARCHAR, seq BIGINT, leaf BLOB, place VARCHAR)"
        )

    def add(self, item: Item, place: str, faults: _Faults) -> None:
        """Note a reading in a place, or a fault."""
        if item.line is None:
            faults.extend([f"{place}: {item.fault}"])
            return
        if place != self._place or len(self._rows) >= _BATCH_ROWS:
            self.flush()
            self._place = place
        try:
            self._rows.append(self._parser.row(item.line).identity)
        except NotAReadingError:
            return
        except ValueError as error:
            faults.extend([f"{place}: before {item.position}: {str(error)[:200]}"])

    def flush(self) -> None:
        """Store the identities noted so far."""
        if not self._rows:
            return
        self._csv.write_text("\n".join([*self._rows, ""]), encoding="utf-8")
        self._db.execute(
            "INSERT INTO found SELECT journal, seq, unhex(leaf), ?"
            f" FROM {csv_rows(self._csv, _TYPES)}",
            [self._place],
        )
        self._lines += len(self._rows)
        self._progress(self._lines, f", {self._place}")
        self._rows = []

    def count(self, place: str) -> int:
        """Return the number of readings in a place."""
        query = "SELECT count(*) FROM found WHERE place = ?"
        row = self._db.execute(query, [place]).fetchone()
        return int(row[0]) if row else 0

    def seals(self, files: Sequence[Path]) -> _Seals:
        """Compare the seals in files of the archive with its readings."""
        table = f"SELECT * FROM found WHERE place = {text(_ARCHIVE)}"
        seals = _Seals()
        for result in seal_results(self._db, files, table):
            seals.add(result)
        return seals

    def result(
        self, sources: int, files: _Faults, faults: _Faults, seals: _Seals
    ) -> Checked:
        """Compare the places."""
        self._db.execute(
            "DELETE FROM found WHERE (journal, seq, leaf) IN"
            f" (SELECT journal, seq, leaf FROM found WHERE place = {text(_LEFT_OUT)})"
            f" AND place <> {text(_ARCHIVE)}"
        )
        # An archive without sources is only compared with its manifest.
        nothing = Finding(0, ())
        return Checked(
            readings=self.count(_ARCHIVE),
            sources=sources,
            seals_matching=seals.matching,
            seals_open=seals.open,
            files=files.finding(),
            source_faults=faults.finding(),
            missing=self._listed(f"{_IS_SOURCE} AND NOT {_IS_ARCHIVED}"),
            extra=self._listed(f"NOT {_IS_SOURCE}") if sources else nothing,
            differing=self._listed(f"{_DIFFERS} OR {_TWICE}"),
            conflicts=self._listed(_IS_CONFLICT),
            seals=seals.faults.finding(),
        )

    def _listed(self, condition: str) -> Finding:
        """Return the readings with a condition on their places."""
        self._db.execute(
            "CREATE OR REPLACE TEMP TABLE listed AS SELECT journal, seq,"
            " list(DISTINCT place ORDER BY place) AS places FROM found"
            f" GROUP BY journal, seq HAVING {condition}"
        )
        row = self._db.execute("SELECT count(*) FROM listed").fetchone()
        rows = self._db.execute(
            f"SELECT * FROM listed ORDER BY journal, seq LIMIT {FAULTS_MAX}"
        ).fetchall()
        first = (f"journal {j}, point {seq}: {', '.join(p)}" for j, seq, p in rows)
        return Finding(int(row[0]) if row else 0, tuple(first))


_OWN = f"({text(_ARCHIVE)}, {text(_CONFLICT)}, {text(_LEFT_OUT)})"
_IS_CONFLICT = f"bool_or(place = {text(_CONFLICT)})"
_IS_ARCHIVED = f"bool_or(place IN {_OWN})"
_IS_SOURCE = f"bool_or(place NOT IN {_OWN})"
_DIFFERS = f"(bool_or(place = {text(_ARCHIVE)}) AND min(leaf) <> max(leaf))"
_TWICE = f"count(*) FILTER (place = {text(_ARCHIVE)}) > 1"
