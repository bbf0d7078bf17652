"""Access to a journal for the commands, also while the agent writes it."""

from __future__ import annotations

import heapq
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from qos_agent.evidence.merkle import leaf_hash
from qos_agent.evidence.signer import PublicKey
from qos_agent.journal import delivery, eviction, rows, tables, tree, verification
from qos_agent.journal.errors import INTERRUPT, code_of, storage_error
from qos_agent.journal.timestamps import state
from qos_agent.journal.types import QuarantinedPoint, Removal
from qos_agent.model.errors import OperatorError
from qos_agent.model.line_protocol import decode
from qos_agent.system.files import may_exist

_FAULTS_MAX = 20
# Instructions of SQLite between two looks at the clock, about a millisecond.
_STEPS = 100_000
# Points that were recovered from an earlier journal have numbers below 1.
EVERY_SEQ = -(2**62)
_LINES_AFTER = """
    SELECT CAST(line AS BLOB) FROM point WHERE seq > ? AND line IS NOT NULL ORDER BY seq
"""
_POINTS_AFTER = """
    SELECT seq, CAST(line AS BLOB), leaf FROM point
    WHERE seq > ? AND line IS NOT NULL ORDER BY seq
"""
_EVERY_LINE = "SELECT seq, CAST(line AS BLOB), leaf FROM point"
_FIRST_OF_LAST = """
    SELECT MIN(seq) FROM (
        SELECT seq FROM point WHERE line IS NOT NULL ORDER BY seq DESC LIMIT ?
    )
"""


@dataclass(frozen=True, slots=True)
class MeasurementStats:
    """Number and time span of the points of one measurement."""

    measurement: str
    points: int
    first_ns: int
    last_ns: int


@dataclass(frozen=True, slots=True)
class Stats:
    """The figures of `journal stats`."""

    journal: str
    file_bytes: int
    points: int
    pending: int
    undelivered: dict[str, int]
    kinds: tuple[MeasurementStats, ...]
    refused: tuple[QuarantinedPoint, ...]
    removals: tuple[Removal, ...]


@dataclass(frozen=True, slots=True)
class VerifyResult:
    """The result of `journal verify`; the journal is sound if there are no faults."""

    points: int
    faults: tuple[str, ...]
    seals: int = 0


class Reader:
    """A journal that is open for reading."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def stats(self) -> Stats:
        """Return the figures of all tables."""
        page_bytes, pages = self._number("page_size"), self._number("page_count")
        return Stats(
            journal=self.name(),
            file_bytes=page_bytes * pages,
            points=self._stored(),
            pending=self.pending(),
            undelivered=self.undelivered(),
            kinds=tuple(self._kinds()),
            refused=self.refused(),
            removals=tuple(eviction.removals(self._db)),
        )

    def pending(self) -> int:
        """Return the number of points that wait for a timestamp."""
        return self._count("pending")

    def refused(self) -> tuple[QuarantinedPoint, ...]:
        """Return the points that a collector refused."""
        return tuple(delivery.quarantined(self._db))

    def damage(self, limit_s: float) -> str | None:
        """Return a fault of the file's structure; None if none is found in time."""
        end_s = time.monotonic() + limit_s
        self._db.set_progress_handler(lambda: time.monotonic() > end_s, _STEPS)
        try:
            tables.check(self._db)
        except sqlite3.Error as error:
            return None if code_of(error) == INTERRUPT else str(error)
        finally:
            self._db.set_progress_handler(None, 0)
        return None

    def last_time_ns(self) -> int | None:
        """Return the newest timestamp, or None if there is no point."""
        return rows.last_time_ns(self._db)

    def state(self, key: str) -> str | None:
        """Return a named value, or None."""
        return state(self._db, key)

    def set_state(self, _key: str, _value: str) -> None:
        """Store nothing: a reader changes no journal."""

    def lines(self, after_seq: int, last: int | None = None) -> Iterator[bytes]:
        """Return the lines after a number in order, or only the `last` of them."""
        if last is not None:
            (first,) = self._db.execute(_FIRST_OF_LAST, (last,)).fetchone()
            after_seq = max(after_seq, EVERY_SEQ if first is None else first - 1)
        found = self._db.execute(_LINES_AFTER, (after_seq,))
        return (line for (line,) in found)

    def points(self, after_seq: int) -> Iterator[tuple[int, bytes, bytes]]:
        """Return number, line and leaf hash of the points after a number, in order."""
        return self._db.execute(_POINTS_AFTER, (after_seq,))

    def leaves(self) -> Iterator[tuple[int, bytes]]:
        """Yield the first number and the hashes of each span of the tree's leaves."""
        return tree.known_leaves(self._db)

    def first_pending(self) -> int | None:
        """Return the lowest number of a point without a timestamp, or None."""
        row = self._db.execute("SELECT MIN(seq) FROM pending").fetchone()
        return None if row[0] is None else int(row[0])

    def verify(self, keys: Sequence[PublicKey] = ()) -> VerifyResult:
        """Check the file's structure, all lines and numbers, the tree and the seals.

        The signatures of seals are checked with `keys`, and not at all without one.
        """
        faults = chain(
            self._faults(),
            verification.tree_faults(self._db),
            verification.seal_faults(self._db, self.name(), keys),
        )
        found = tuple(islice(faults, _FAULTS_MAX))
        return VerifyResult(self._stored(), found, verification.seal_count(self._db))

    def _faults(self) -> Iterator[str]:
        for (result,) in self._db.execute(f"PRAGMA integrity_check({_FAULTS_MAX})"):
            if result != "ok":
                yield f"file: {result}"
        for seq, line, leaf in self._db.execute(_EVERY_LINE):
            if line is not None and (fault := _fault(line, leaf)):
                yield f"point {seq}: {fault}"
        for low, high in self.gaps():
            yield f"points {low} to {high}: missing"

    def gaps(self) -> Iterator[tuple[int, int]]:
        """Yield spans of numbers that are not stored, not pending and not removed.

        Each source is read in order, so that a large journal is not held in memory.
        """
        stored = (
            self._db.execute(f"SELECT seq, seq FROM {table} WHERE seq > 0 ORDER BY seq")
            for table in ("point", "pending")
        )
        removed = sorted((r.first_seq, r.last_seq) for r in eviction.removals(self._db))
        reached = 0
        for low, high in heapq.merge(*stored, removed):
            if low > reached + 1:
                yield reached + 1, low - 1
            reached = max(reached, high)

    def _kinds(self) -> Iterator[MeasurementStats]:
        kinds = self._db.execute(
            "SELECT CAST(substr(line, 1, instr(line, x'2C') - 1) AS TEXT) AS name,"
            " COUNT(*), MIN(time_ns), MAX(time_ns) FROM point"
            " WHERE line IS NOT NULL GROUP BY name ORDER BY name"
        )
        return (MeasurementStats(*row) for row in kinds)

    def undelivered(self) -> dict[str, int]:
        """Return the number of points that are pending for each collector."""
        counts = self._db.execute(
            "SELECT name, (SELECT COUNT(*) FROM delivery WHERE collector = id)"
            " FROM collector ORDER BY id"
        )
        return dict(counts.fetchall())

    def name(self) -> str:
        """Return the random name of the journal."""
        return str(state(self._db, "journal"))

    def _stored(self) -> int:
        """Return the number of points whose line was not removed to free space."""
        query = "SELECT COUNT(*) FROM point WHERE line IS NOT NULL"
        return int(self._db.execute(query).fetchone()[0])

    def _count(self, table: str) -> int:
        return int(self._db.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0])

    def _number(self, pragma: str) -> int:
        return int(self._db.execute(f"PRAGMA {pragma}").fetchone()[0])


def _fault(line: bytes, leaf: bytes) -> str | None:
    if leaf_hash(line) != leaf:
        return "altered: the line does not match its stored hash"
    try:
        decode(line)
    except ValueError as error:
        return str(error)
    return None


@contextmanager
def reading(folder: Path) -> Iterator[Reader]:
    """Open the journal of a folder for reading.

    Raises OperatorError if there is no journal or if the agent is still creating it,
    and StorageError if it cannot be read.
    """
    path = _existing(folder)
    try:
        with closing(tables.connect_to_read(path)) as db:
            if not _is_complete(db):
                raise OperatorError(
                    f"{path}: the agent has not finished creating this journal. Fix:"
                    " start the agent (qos-agent run) and try again in a second."
                )
            yield Reader(db)
    except sqlite3.Error as error:
        raise storage_error("read", str(path), error) from error


def _is_complete(db: sqlite3.Connection) -> bool:
    """Return True if the journal has its tables and its name, which is set last."""
    has_tables = db.execute("PRAGMA user_version").fetchone()[0] > 0
    return has_tables and state(db, "journal") is not None


def requeue(folder: Path, first: int | None = None, last: int | None = None) -> int:
    """Queue points for delivery again, and return their number.

    Without `first` these are all quarantined points, else the points from `first` to
    `last`, or `first` alone. A running agent then sends them. Raises StorageError.
    """
    path = _existing(folder)
    try:
        with closing(tables.connect(path)) as db, tables.transaction(db):
            if first is None:
                return delivery.requeue_quarantined(db)
            return delivery.requeue_span(db, first, first if last is None else last)
    except sqlite3.Error as error:
        raise storage_error("requeue points in", str(path), error) from error


def _existing(folder: Path) -> Path:
    path = folder / tables.FILE_NAME
    if not may_exist(path):
        raise OperatorError(
            f"{path}: no journal file. Fix: set journal.folder, or start the agent"
            " (qos-agent run)."
        )
    return path
