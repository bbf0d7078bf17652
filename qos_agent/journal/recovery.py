"""Reads what can be read of a damaged journal into a new one.

The damaged files are not touched: a copy is read. SQLite reads up to the damage; where
that was not all, the pages are read without it. Every point is held against its leaf
hash: what comes over is what was stored, or nothing. Where it cannot be known what was
delivered, all is owed again: a second delivery of the same bytes changes nothing at the
collector.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

from qos_agent.evidence.merkle import leaf_hash
from qos_agent.journal import carving, wal
from qos_agent.journal.delivery import collector_id

# The new journal numbers its own points from 1: what came before goes far below.
GENERATION = 2**40
_COPIED_MAX_BYTES = 64_000_000

_POINT = "SELECT seq, time_ns, rank, leaf, line FROM point"
_STORE = (
    "INSERT OR IGNORE INTO point (seq, time_ns, rank, leaf, line) VALUES (?,?,?,?,?)"
)

Row = tuple[int, int, int, bytes, bytes | None]


def recover(path: Path, into: sqlite3.Connection, collectors: Iterable[str]) -> int:
    """Bring over what the journal at `path` holds; the number of points.

    Raises OSError or sqlite3.Error where the new journal cannot be written.
    """
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".recovery-") as folder:
        copy = _copied(path, Path(folder))
        into.execute("BEGIN IMMEDIATE")
        whole = _read_by_sqlite(copy, into, collectors)
        if not whole or not _has_sound_log(path):
            # Not the copy: SQLite has removed its log where it could not read it.
            into.executemany(_STORE, _ours(carving.carve(path)))
            _owe_all(into, collectors)
        into.execute("COMMIT")
    return int(into.execute("SELECT COUNT(*) FROM point").fetchone()[0])


def read_newest(
    path: Path, into: sqlite3.Connection, collectors: Iterable[str], limit_bytes: int
) -> int:
    """Bring over the newest points alone; for a journal in memory."""
    if not path.exists():
        return 0
    size_bytes = count = 0
    try:
        with ExitStack() as opened:
            source = opened.enter_context(closing(_read_only(path, opened)))
            for row in _ours(_points(source, "DESC", [])):
                size_bytes += len(row[4] or b"")
                if size_bytes > limit_bytes:
                    break
                into.execute(_STORE, row)
                count += 1
    except (OSError, sqlite3.Error):
        pass  # what came before it counts; the rest stays where it is
    _owe_all(into, collectors)
    return count


def _read_only(path: Path, opened: ExitStack) -> sqlite3.Connection:
    """SQLite cannot lay a log over a file where it may not write: a small one is
    copied, of a large one only the file is read, which is all but the newest points.
    """
    log = wal.log_of(path)
    in_log = log.exists() and log.stat().st_size > 0
    if in_log and path.stat().st_size < _COPIED_MAX_BYTES:
        folder = opened.enter_context(tempfile.TemporaryDirectory())
        return sqlite3.connect(_copied(path, Path(folder)))
    address = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    return sqlite3.connect(address, uri=True)


def _copied(path: Path, folder: Path) -> Path:
    """File and log; the index of the log is SQLite's to make anew."""
    for part in (path, wal.log_of(path)):
        if part.exists():
            shutil.copyfile(part, folder / part.name)
    return folder / path.name


def _read_by_sqlite(
    copy: Path, into: sqlite3.Connection, collectors: Iterable[str]
) -> bool:
    """What SQLite can read of the copy; False where that was not all."""
    if not copy.stat().st_size:
        return False
    with closing(sqlite3.connect(copy, isolation_level=None)) as source:
        # Not read as text: a flipped bit would raise in the middle of a scan.
        source.text_factory = lambda raw: raw.decode(errors="replace")
        faults: list[sqlite3.Error] = []
        into.executemany(_STORE, _ours(_points(source, "ASC", faults)))
        parts = [
            _copy(source, into, "removal", 9),
            _copy(source, into, "reservation", 8),
            _copy_state(source, into),
            _copy_pending(source, into),
            _copy_owed(source, into, collectors),
        ]
    return not faults and all(parts)


def _has_sound_log(path: Path) -> bool:
    """Whether SQLite took all of the log; what it leaves out it does not tell."""
    try:
        wal.check(path)
    except sqlite3.DatabaseError:
        return False
    return True


def _ours(rows: Iterable[Row]) -> Iterator[Row]:
    """Rows whose bytes are those that were hashed, numbered below our own."""
    for seq, time_ns, rank, leaf, line in rows:
        if line is not None and leaf_hash(line) == leaf:
            yield seq - GENERATION, time_ns, rank, leaf, line


def _points(
    source: sqlite3.Connection, order: str, faults: list[sqlite3.Error]
) -> Iterator[Row]:
    """The points up to the first fault, which is noted: none came of `into`."""
    try:
        yield from source.execute(f"{_POINT} ORDER BY seq {order}")
    except sqlite3.Error as error:
        faults.append(error)


def _rows(
    source: sqlite3.Connection, sql: str
) -> tuple[list[tuple[object, ...]], bool]:
    """The rows up to the first error, and whether there was none."""
    found: list[tuple[object, ...]] = []
    try:
        for row in source.execute(sql):
            found.append(row)  # noqa: PERF402  what came before an error counts
    except sqlite3.Error:
        return found, False
    return found, True


def _copy(
    source: sqlite3.Connection, into: sqlite3.Connection, table: str, columns: int
) -> bool:
    rows, whole = _rows(source, f"SELECT * FROM {table}")  # noqa: S608
    marks = ",".join("?" * columns)
    for row in rows:
        into.execute(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", row)  # noqa: S608
    return whole


def _copy_state(source: sqlite3.Connection, into: sqlite3.Connection) -> bool:
    rows, whole = _rows(source, "SELECT key, value FROM state WHERE key != 'journal'")
    into.executemany("INSERT OR IGNORE INTO state VALUES (?, ?)", rows)
    return whole


def _copy_pending(source: sqlite3.Connection, into: sqlite3.Connection) -> bool:
    """Points without a line have no number of record yet: they get ours."""
    rows, whole = _rows(
        source, "SELECT boot_id, boot_ns, content FROM pending ORDER BY seq"
    )
    into.executemany("INSERT INTO pending VALUES (NULL, ?, ?, ?)", rows)
    return whole


def _copy_owed(
    source: sqlite3.Connection, into: sqlite3.Connection, collectors: Iterable[str]
) -> bool:
    names, whole_names = _rows(source, "SELECT id, name FROM collector ORDER BY id")
    ours = {row[0]: collector_id(into, str(row[1])) for row in names}
    for name in collectors:
        collector_id(into, name)
    whole = whole_names
    for table, marks in (("delivery", "?, ?"), ("quarantine", "?, ?, ?")):
        rows, whole_rows = _rows(source, f"SELECT * FROM {table}")  # noqa: S608
        whole = whole and whole_rows
        into.executemany(
            f"INSERT OR IGNORE INTO {table} VALUES ({marks})",  # noqa: S608
            [
                (ours[collector], int(str(seq)) - GENERATION, *rest)
                for collector, seq, *rest in rows
                if collector in ours
            ],
        )
    into.execute("DELETE FROM delivery WHERE seq NOT IN (SELECT seq FROM point)")
    return whole


def _owe_all(into: sqlite3.Connection, collectors: Iterable[str]) -> None:
    for name in collectors:
        collector_id(into, name)
    into.execute(
        "INSERT OR IGNORE INTO delivery SELECT collector.id, point.seq"
        " FROM collector, point WHERE point.seq <= 0"
    )
