"""An archive as a source. The position is the number of readings before it.

Files that differ from the manifest are not read. Each row becomes a canonical line
again, which must match the leaf hash that is stored with it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qos_agent.archive.columns import READINGS, columns, line_of
from qos_agent.archive.database import connected, quoted, text
from qos_agent.archive.manifest import (
    CONFLICTS,
    FILE_NAME,
    ArchiveFile,
    read_manifest,
    sha256_of,
)
from qos_agent.archive.sources.lines import LineFile
from qos_agent.archive.sources.types import Item
from qos_agent.evidence.merkle import leaf_hash

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_ROWS_AT_ONCE = 2048


@dataclass(frozen=True, slots=True)
class ParquetArchive:
    """The readings of an archive that `archive build` wrote."""

    folder: Path
    only_grows: bool = True

    @property
    def name(self) -> str:
        """The path of the folder."""
        return str(self.folder)

    def fingerprint(self) -> str:
        """Return the SHA-256 of the manifest, which has the hashes of all files."""
        read_manifest(self.folder)
        return sha256_of(self.folder / FILE_NAME)

    def items(self, after: int | None = None) -> Iterator[Item]:
        """Yield the readings by measurement, day, province, station and time."""
        skipped = after or 0
        manifest = read_manifest(self.folder)
        position = 0
        with (
            tempfile.TemporaryDirectory(prefix="qos-agent-") as temporary,
            connected(None, Path(temporary)) as db,
        ):
            for file in (f for f in manifest.files if f.readings):
                end = position + file.readings
                if end > skipped:
                    yield from self._file(db, file, position, skipped)
                position = end
        for file in manifest.files:
            if file.path.startswith(CONFLICTS):
                yield from self._conflicts(file, position, skipped)

    def _conflicts(
        self, file: ArchiveFile, position: int, skipped: int
    ) -> Iterator[Item]:
        """Yield the readings that contradict each other, which stay a conflict."""
        if fault := fault_of(self.folder, file):
            yield Item(position, None, fault)
            return
        for item in LineFile(self.folder / file.path).items():
            position += 1
            if position > skipped:
                yield Item(position, item.line, item.fault)

    def _file(
        self, db: DuckDBPyConnection, file: ArchiveFile, position: int, skipped: int
    ) -> Iterator[Item]:
        if fault := fault_of(self.folder, file):
            lost = f"{file.readings} readings are missing"
            yield Item(position + file.readings, None, f"{fault}; {lost}")
            return
        for item in read_file(db, self.folder / file.path, file.measurement):
            position += 1
            if position > skipped:
                yield Item(position, item.line, item.fault)


def fault_of(folder: Path, file: ArchiveFile) -> str | None:
    """Return how a file differs from its entry in the manifest, or None."""
    try:
        found = sha256_of(folder / file.path)
    except OSError as error:
        return f"{file.path}: cannot be read: {error.strerror}"
    if found != file.sha256 or (file.readings and file.measurement not in READINGS):
        return f"{file.path}: differs from the manifest"
    return None


def read_file(db: DuckDBPyConnection, path: Path, measurement: str) -> Iterator[Item]:
    """Yield the line of each row of a Parquet file; positions count from 1.

    A file that DuckDB cannot read ends with a fault.
    """
    import duckdb

    number = 0
    try:
        rows = db.execute(_query(db, path, measurement))
        while batch := rows.fetchmany(_ROWS_AT_ONCE):
            for row in batch:
                number += 1
                yield _item(measurement, number, row)
    except duckdb.Error as error:
        reason = " ".join(str(error).split())[:200]
        yield Item(number, None, f"cannot be read: {reason}")


def _query(db: DuckDBPyConnection, path: Path, measurement: str) -> str:
    """Return a query; a column that was added to the schema later is NULL."""
    source = f"read_parquet({text(path)})"
    described = db.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
    present = {row[0] for row in described}
    chosen = ", ".join(
        quoted(name) if name in present else f"NULL AS {quoted(name)}"
        for name in columns(READINGS[measurement])
    )
    return f"SELECT {chosen} FROM {source}"


def _item(measurement: str, number: int, row: Sequence[Any]) -> Item:
    *values, leaf = row
    try:
        line = line_of(measurement, values)
    except ValueError as error:
        return Item(number, None, f"row {number}: {error}")
    if leaf_hash(line) != leaf:
        fault = f"{measurement} row {number}: does not match its leaf hash"
        return Item(number, None, fault)
    return Item(number, line)
