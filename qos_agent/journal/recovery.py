"""Copies the readable content of a damaged journal into a new one.

The damaged files are not changed, because only a copy of them is read. SQLite reads
up to the damage. If that was not all, the pages are read without SQLite. Every point
is checked against its leaf hash, so a recovered point is exactly what was stored. If
the delivery state cannot be read, all points are queued again. Delivering the same
bytes a second time changes nothing at the collector.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from qos_agent.evidence.merkle import leaf_hash
from qos_agent.journal import carving, wal
from qos_agent.journal.delivery import collector_id
from qos_agent.journal.errors import Connection
from qos_agent.journal.types import StoredPoint

# The new journal numbers its own points from 1. Recovered points get numbers that are
# lower by this amount.
GENERATION = 2**40
_COPY_MAX_BYTES = 64_000_000

_POINT = "SELECT seq, time_ns, rank, leaf, CAST(line AS BLOB) FROM point"
_STORE = (
    "INSERT OR IGNORE INTO point (seq, time_ns, rank, leaf, line) VALUES (?,?,?,?,?)"
)


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows up to the first read error; `complete` if there was no error."""

    rows: list[tuple[object, ...]]
    complete: bool


def recover(path: Path, target: sqlite3.Connection, collectors: Iterable[str]) -> int:
    """Copy the points of the journal at `path`; return the number of points.

    Raises OSError or sqlite3.Error if the new journal cannot be written.
    """
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".recovery-") as folder:
        copy = _copy_files(path, Path(folder))
        target.execute("BEGIN IMMEDIATE")
        complete = _read_by_sqlite(copy, target, collectors)
        if not complete or not _has_sound_log(path):
            # Carve the original: SQLite deletes the copy's log if it cannot read it.
            _store(target, carving.carve(path))
            _queue_all(target, collectors)
        target.execute("COMMIT")
    return int(target.execute("SELECT COUNT(*) FROM point").fetchone()[0])


def read_newest(
    path: Path, target: sqlite3.Connection, collectors: Iterable[str], limit_bytes: int
) -> int:
    """Copy only the newest points, for a journal in memory; return their number."""
    size_bytes = count = 0
    try:
        if not path.exists():
            return 0
        with ExitStack() as stack:
            source = stack.enter_context(closing(_open_read_only(path, stack)))
            for point in _renumbered(_points(source, "DESC", [])):
                size_bytes += len(point.line or b"")
                if size_bytes > limit_bytes:
                    break
                target.execute(_STORE, point.columns())
                count += 1
    except (OSError, sqlite3.Error):
        pass  # Keep the points that were read; the others stay on the disk.
    _queue_all(target, collectors)
    return count


def _open_read_only(path: Path, stack: ExitStack) -> sqlite3.Connection:
    """Open a journal in a folder that cannot be written.

    SQLite cannot read the log there. A small journal is copied with its log. Of a
    large one only the file is read, which has all but the newest points.
    """
    log = wal.log_path(path)
    has_log = log.exists() and log.stat().st_size > 0
    if has_log and path.stat().st_size < _COPY_MAX_BYTES:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        copy = _copy_files(path, Path(folder))
        return sqlite3.connect(copy, factory=Connection)
    address = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    return sqlite3.connect(address, uri=True, factory=Connection)


def _copy_files(path: Path, folder: Path) -> Path:
    """Copy file and log; SQLite builds the log's index again."""
    for part in (path, wal.log_path(path)):
        if part.exists():
            shutil.copyfile(part, folder / part.name)
    return folder / path.name


def _read_by_sqlite(
    copy: Path, target: sqlite3.Connection, collectors: Iterable[str]
) -> bool:
    """Copy everything that SQLite can read; return True if that was all."""
    if not copy.stat().st_size:
        return False
    connection = sqlite3.connect(copy, isolation_level=None, factory=Connection)
    with closing(connection) as source:
        errors: list[sqlite3.Error] = []
        _store(target, _points(source, "ASC", errors))
        parts = [
            _copy_table(source, target, "removal", 9),
            _copy_table(source, target, "reservation", 8),
            _copy_state(source, target),
            _copy_pending(source, target),
            _copy_queues(source, target, collectors),
        ]
    return not errors and all(parts)


def _has_sound_log(path: Path) -> bool:
    """Return True if SQLite used the whole log; it skips frames without an error."""
    try:
        wal.check(path)
    except sqlite3.DatabaseError:
        return False
    return True


def _store(target: sqlite3.Connection, points: Iterable[StoredPoint]) -> None:
    rows = (point.columns() for point in _renumbered(points))
    target.executemany(_STORE, rows)


def _renumbered(points: Iterable[StoredPoint]) -> Iterator[StoredPoint]:
    """Yield the points whose bytes match their hash, with their new numbers."""
    for point in points:
        if point.line is not None and leaf_hash(point.line) == point.leaf:
            seq = point.seq - GENERATION
            yield StoredPoint(seq, point.time_ns, point.rank, point.leaf, point.line)


def _points(
    source: sqlite3.Connection, order: str, errors: list[sqlite3.Error]
) -> Iterator[StoredPoint]:
    """Yield the points up to the first read error, and append it to `errors`.

    Only errors of `source` are caught here, not those of the new journal.
    """
    try:
        for row in source.execute(f"{_POINT} ORDER BY seq {order}"):
            yield StoredPoint(*row)
    except sqlite3.Error as error:
        errors.append(error)


def _read(source: sqlite3.Connection, sql: str) -> _Rows:
    rows: list[tuple[object, ...]] = []
    try:
        for row in source.execute(sql):
            rows.append(row)  # noqa: PERF402  keeps the rows before an error
    except sqlite3.Error:
        return _Rows(rows, complete=False)
    return _Rows(rows, complete=True)


def _copy_table(
    source: sqlite3.Connection, target: sqlite3.Connection, table: str, columns: int
) -> bool:
    content = _read(source, f"SELECT * FROM {table}")
    marks = ",".join("?" * columns)
    for row in content.rows:
        target.execute(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", row)
    return content.complete


def _copy_state(source: sqlite3.Connection, target: sqlite3.Connection) -> bool:
    content = _read(source, "SELECT key, value FROM state WHERE key != 'journal'")
    target.executemany("INSERT OR IGNORE INTO state VALUES (?, ?)", content.rows)
    return content.complete


def _copy_pending(source: sqlite3.Connection, target: sqlite3.Connection) -> bool:
    """Copy pending points with new numbers: their number is not in a line yet."""
    content = _read(
        source, "SELECT boot_id, boot_ns, content FROM pending ORDER BY seq"
    )
    target.executemany("INSERT INTO pending VALUES (NULL, ?, ?, ?)", content.rows)
    return content.complete


def _copy_queues(
    source: sqlite3.Connection, target: sqlite3.Connection, collectors: Iterable[str]
) -> bool:
    names = _read(source, "SELECT id, name FROM collector ORDER BY id")
    new_ids = {row[0]: collector_id(target, str(row[1])) for row in names.rows}
    for name in collectors:
        collector_id(target, name)
    complete = names.complete
    for table, marks in (("delivery", "?, ?"), ("quarantine", "?, ?, ?")):
        content = _read(source, f"SELECT * FROM {table}")
        complete = complete and content.complete
        target.executemany(
            f"INSERT OR IGNORE INTO {table} VALUES ({marks})",
            [
                (new_ids[collector], int(str(seq)) - GENERATION, *rest)
                for collector, seq, *rest in content.rows
                if collector in new_ids
            ],
        )
    target.execute("DELETE FROM delivery WHERE seq NOT IN (SELECT seq FROM point)")
    return complete


def _queue_all(target: sqlite3.Connection, collectors: Iterable[str]) -> None:
    """Queue all recovered points for every collector."""
    for name in collectors:
        collector_id(target, name)
    target.execute(
        "INSERT OR IGNORE INTO delivery SELECT collector.id, point.seq"
        " FROM collector, point WHERE point.seq <= 0"
    )
