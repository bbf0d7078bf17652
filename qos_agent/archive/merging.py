"""Decides which staged readings are new, and writes the partitions that change.

A partition has the readings of one measurement, day (UTC) and province in one file,
sorted by station and time. Its bytes therefore depend only on the readings in it, not
on the order of the sources or on the number of builds. Two different lines with the
same journal and number are a conflict: neither is in the archive, and both are listed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from qos_agent.archive.columns import READINGS, columns, line_of
from qos_agent.archive.database import quoted, text
from qos_agent.archive.manifest import ArchiveFile, sha256_of
from qos_agent.archive.sources.parquet import fault_of
from qos_agent.archive.staging import ARCHIVE
from qos_agent.model.errors import StorageError
from qos_agent.model.schema import SCHEMA_VERSION
from qos_agent.system.files import sync

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# DuckDB holds a row group in memory while it writes it.
_ROW_GROUP = 40_960
_FILES_AT_ONCE = 500
_ORDER = "station, time_ns, journal, seq"
Partition = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Conflict:
    """A reading with different content in some sources."""

    journal: str
    seq: int
    sources: tuple[str, ...]

    def __str__(self) -> str:
        """Return one line for the person who builds the archive."""
        return f"journal {self.journal}, point {self.seq}: {', '.join(self.sources)}"


class Merge:
    """One merge of staged readings with the files of an archive."""

    def __init__(
        self, db: DuckDBPyConnection, folder: Path, files: Iterable[ArchiveFile]
    ) -> None:
        self._db = db
        self._folder = folder
        self._files = {file.partition: file for file in files}
        self._paths = {str(folder / f.path): f for f in self._files.values()}
        db.execute(
            "CREATE TEMP TABLE IF NOT EXISTS unproven"
            " (journal VARCHAR, seq BIGINT, leaf BLOB, reason VARCHAR)"
        )
        self._find_known()
        self._find_conflicts()
        self._find_new()

    def partitions(self) -> list[Partition]:
        """Return the partitions that change, in order."""
        new = self._db.execute("SELECT DISTINCT name, day, area FROM new").fetchall()
        changed = {(name, day, area) for name, day, area in new}
        changed |= {file.partition for file in self._with_conflicts()}
        return sorted(changed)

    def write(self, partition: Partition, target: Path) -> ArchiveFile | None:
        """Write a partition's file, and return it; None if no reading is left."""
        name, day, area = partition
        names = ", ".join(map(quoted, columns(READINGS[name])))
        old = self._files.get(partition)
        chosen = f"name = {text(name)} AND day = {text(day)} AND area = {text(area)}"
        new = f"SELECT id FROM new WHERE {chosen}"
        # Without the first two conditions every partition would read the whole table.
        place = f"own_day = {text(day)} AND own_area = {text(area)}"
        staged = f"{quoted(name)} WHERE {place} AND rowid IN ({new})"
        parts = [f"SELECT {names} FROM {staged}"]
        if old is not None:
            self._need_sound(old)
            source = parquet([self._folder / old.path])
            parts.append(
                f"SELECT {names} FROM {complete(self._db, name, source)} AS old"
                " ANTI JOIN conflict USING (journal, seq)"
            )
        (readings,) = self._db.execute(
            f"COPY ({' UNION ALL '.join(parts)} ORDER BY {_ORDER}) TO {text(target)}"
            f" (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {_ROW_GROUP},"
            f" KV_METADATA {{qos_agent_schema: '{SCHEMA_VERSION}'}})"
        ).fetchall()[0]
        return _published(target, self._folder, partition, readings)

    def _need_sound(self, file: ArchiveFile) -> None:
        """Raise StorageError if a file of the archive was damaged."""
        if fault := fault_of(self._folder, file):
            fix = "build the archive again in a new folder"
            raise StorageError(
                "cannot extend", str(self._folder), f"{fault}. Fix: {fix}"
            )

    def conflicts(self, limit: int) -> Iterator[Conflict]:
        """Yield conflicts with the sources that have them, at most some."""
        rows = self._db.execute(
            "SELECT journal, seq, list(DISTINCT place ORDER BY place) FROM ("
            f"{_staged('own_source AS place')} UNION ALL"
            f" SELECT journal, seq, {text(ARCHIVE)} FROM known"
            ") SEMI JOIN conflict USING (journal, seq)"
            f" GROUP BY journal, seq ORDER BY journal, seq LIMIT {limit}"
        )
        for journal, seq, places in rows.fetchall():
            yield Conflict(journal, seq, tuple(places))

    def conflict_count(self) -> int:
        """Return the number of readings in conflict."""
        row = self._db.execute("SELECT count(*) FROM conflict").fetchone()
        return int(row[0]) if row else 0

    def conflict_lines(self) -> Iterator[bytes]:
        """Yield the lines of all readings in conflict, by journal and number."""
        for name, measurement in READINGS.items():
            chosen = ", ".join(map(quoted, columns(measurement)))
            parts = [f"SELECT {chosen} FROM {_counted(name)}"]
            files = [f for f in self._with_conflicts() if f.measurement == name]
            if files:
                source = parquet(self._folder / file.path for file in files)
                parts.append(f"SELECT {chosen} FROM {complete(self._db, name, source)}")
            rows = self._db.execute(
                f"SELECT DISTINCT {chosen} FROM ({' UNION ALL '.join(parts)})"
                " SEMI JOIN conflict USING (journal, seq) ORDER BY journal, seq, leaf"
            )
            while batch := rows.fetchmany(1000):
                yield from (line_of(name, row[:-1]) for row in batch)

    def left_out_count(self) -> int:
        """Return the number of readings that no registered key has sealed."""
        row = self._db.execute("SELECT count(*) FROM unproven").fetchone()
        return int(row[0]) if row else 0

    def left_out_lines(self) -> Iterator[bytes]:
        """Yield the lines that no registered key has sealed."""
        for name, measurement in READINGS.items():
            chosen = ", ".join(map(quoted, columns(measurement)))
            rows = self._db.execute(
                f"SELECT DISTINCT {chosen} FROM {quoted(name)} SEMI JOIN unproven"
                " USING (journal, seq, leaf) ORDER BY journal, seq, leaf"
            )
            while batch := rows.fetchmany(1000):
                yield from (line_of(name, row[:-1]) for row in batch)

    def _find_known(self) -> None:
        """Find the readings of the archive that are also staged, by identity."""
        self._db.execute(
            f"CREATE OR REPLACE TEMP TABLE staged AS SELECT DISTINCT journal, seq"
            f" FROM ({_staged('leaf')})"
        )
        self._db.execute(
            "CREATE OR REPLACE TEMP TABLE known"
            " (journal VARCHAR, seq BIGINT, leaf BLOB, path VARCHAR)"
        )
        for paths in _batched([*self._paths], _FILES_AT_ONCE):
            self._find_known_in(paths)

    def _find_known_in(self, paths: Sequence[str]) -> None:
        import duckdb

        try:
            self._db.execute(
                "INSERT INTO known SELECT journal, seq, leaf, filename FROM"
                f" (SELECT * FROM {parquet(paths)})"
                " SEMI JOIN staged USING (journal, seq)"
            )
        except duckdb.Error:
            # DuckDB does not name the file that it cannot read.
            for path in paths:
                self._need_sound(self._paths[path])
            raise

    def _find_conflicts(self) -> None:
        self._db.execute(
            "CREATE OR REPLACE TEMP TABLE conflict AS SELECT journal, seq FROM"
            f" ({_staged('leaf')} UNION ALL SELECT journal, seq, leaf FROM known)"
            " GROUP BY journal, seq HAVING min(leaf) <> max(leaf)"
        )

    def _find_new(self) -> None:
        """Find the first row of each staged reading that the archive has not."""
        self._db.execute(
            "CREATE OR REPLACE TEMP TABLE new"
            " (name VARCHAR, day VARCHAR, area VARCHAR, id BIGINT)"
        )
        for name in READINGS:
            self._db.execute(
                f"INSERT INTO new SELECT {text(name)}, min(own_day), min(own_area),"
                f" min(id) FROM (SELECT *, rowid AS id FROM {quoted(name)}) AS staged"
                " ANTI JOIN unproven USING (journal, seq, leaf)"
                " ANTI JOIN conflict USING (journal, seq)"
                " ANTI JOIN known USING (journal, seq)"
                " GROUP BY journal, seq"
            )

    def _with_conflicts(self) -> list[ArchiveFile]:
        """Return the files of the archive that have a reading in conflict."""
        rows = self._db.execute(
            "SELECT DISTINCT path FROM known SEMI JOIN conflict USING (journal, seq)"
        )
        return [self._paths[path] for (path,) in rows.fetchall()]


def complete(db: DuckDBPyConnection, name: str, source: str) -> str:
    """Return a query of files with NULL for columns that were added later."""
    described = db.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
    present = {row[0] for row in described}
    chosen = (
        quoted(column) if column in present else f"NULL::{kind} AS {quoted(column)}"
        for column, kind in columns(READINGS[name]).items()
    )
    return f"(SELECT {', '.join(chosen)} FROM {source})"


def _batched(paths: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """Yield parts of a list; itertools has this from Python 3.12 on."""
    return (paths[start : start + size] for start in range(0, len(paths), size))


def _staged(column: str) -> str:
    """Return a query for identity and one column of all staged readings."""
    tables = (
        f"SELECT journal, seq, {column} FROM {_counted(name)}" for name in READINGS
    )
    return " UNION ALL ".join(tables)


def _counted(name: str) -> str:
    """Return a query of a staging table without the readings that are left out."""
    return f"(FROM {quoted(name)} ANTI JOIN unproven USING (journal, seq, leaf))"


def parquet(paths: Iterable[Path | str]) -> str:
    """Return the source of a query with some Parquet files."""
    listed = ", ".join(map(text, paths))
    options = "union_by_name = true, hive_partitioning = false, filename = true"
    return f"read_parquet([{listed}], {options})"


def _published(
    target: Path, folder: Path, partition: Partition, readings: int
) -> ArchiveFile | None:
    """Move a file to its place, which is named after its content."""
    if not readings:
        target.unlink()
        return None
    digest, size_bytes = sha256_of(target), target.stat().st_size
    path = "/".join((*partition, f"{digest[:16]}.parquet"))
    sync(target)
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    target.replace(folder / path)
    sync((folder / path).parent)
    return ArchiveFile(path, readings, size_bytes, digest)
