"""Journals as sources: the one of this device, and copies brought in from the field.

A journal from the field is copied to a temporary folder and read there, because SQLite
writes next to a file that it opens. If it is damaged, its points are recovered as the
agent does it. A line counts only if it matches the hash that is stored with it.
"""

from __future__ import annotations

import hashlib
import heapq
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from qos_agent.archive.sources.types import Item, Source
from qos_agent.evidence.merkle import leaf_hash
from qos_agent.journal import eviction, recovery, tables, wal
from qos_agent.journal.reader import EVERY_SEQ, Reader, reading
from qos_agent.journal.recovery import GENERATION
from qos_agent.model.errors import OperatorError

_FAULTS_MAX = 20


@dataclass(frozen=True, slots=True)
class DeviceJournal:
    """The journal of this device, also while the agent writes it."""

    folder: Path
    only_grows: bool = True

    @property
    def name(self) -> str:
        """The folder of the journal."""
        return f"journal {self.folder}"

    def fingerprint(self) -> str:
        """Return the random name of the journal."""
        with reading(self.folder) as journal:
            return journal.name()

    def items(self, after: int | None = None) -> Iterator[Item]:
        """Yield the points by number, then what is missing."""
        with reading(self.folder) as journal:
            yield from _items(journal, after, journal.gaps())


@dataclass(frozen=True, slots=True)
class FieldJournal:
    """A journal file that was copied from a device; it is never changed."""

    path: Path
    only_grows: bool = True

    @property
    def name(self) -> str:
        """The path of the file."""
        return str(self.path)

    def fingerprint(self) -> str:
        """Return the SHA-256 of the file and of its log."""
        digest = hashlib.sha256()
        for part in _parts(self.path):
            with part.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()

    def items(self, after: int | None = None) -> Iterator[Item]:
        """Yield the points by number, then what is missing."""
        with tempfile.TemporaryDirectory(prefix="qos-agent-") as folder:
            try:
                with _sound(self.path, Path(folder) / "copy") as db:
                    journal = Reader(db)
                    yield from _items(journal, after, journal.gaps())
                    return
            except sqlite3.Error as error:
                fault = f"damaged: {error}"
            with _recovered(self.path, Path(folder) / "recovered") as db:
                journal = Reader(db)
                points = journal.stats().points
                yield Item(after, None, f"{fault}; {points} points recovered")
                yield from _items(journal, after, _gaps_of_recovered(db))


def leaves_of(source: Source) -> Iterator[tuple[str, int, bytes]]:
    """Yield journal, first number and leaf hashes of each span in a journal's tree.

    Other sources, and journals that are damaged, have none.
    """
    if isinstance(source, DeviceJournal):
        with reading(source.folder) as journal:
            name = journal.name()
            yield from ((name, first, hashes) for first, hashes in journal.leaves())
    elif isinstance(source, FieldJournal):
        with (
            suppress(sqlite3.Error),
            tempfile.TemporaryDirectory(prefix="qos-agent-") as folder,
            _sound(source.path, Path(folder) / "copy") as db,
        ):
            journal = Reader(db)
            name = journal.name()
            yield from ((name, first, hashes) for first, hashes in journal.leaves())


def _parts(path: Path) -> Iterator[Path]:
    """Yield the file, and its log if there is one."""
    yield path
    if wal.log_path(path).exists():
        yield wal.log_path(path)


def _copied(path: Path, folder: Path) -> Path:
    folder.mkdir()
    for part in _parts(path):
        shutil.copyfile(part, folder / part.name)
    return folder / path.name


@contextmanager
def _sound(path: Path, folder: Path) -> Iterator[sqlite3.Connection]:
    """Open a copy of a journal. Raises sqlite3.Error if it is damaged."""
    copy = _copied(path, folder)
    if not copy.stat().st_size:
        raise sqlite3.DatabaseError("the file is empty")
    wal.check(copy)
    with closing(tables.connect_to_read(copy)) as db:
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version > len(tables.MIGRATIONS):
            raise OperatorError(
                f"{path}: was written by a later version of qos-agent (journal version"
                f" {version}). Fix: install that version here."
            )
        tables.check(db)
        yield db


@contextmanager
def _recovered(path: Path, folder: Path) -> Iterator[sqlite3.Connection]:
    """Open a new journal with the points of a damaged one."""
    copy = _copied(path, folder)
    with closing(tables.connect(folder / "new.sqlite3")) as db:
        recovery.recover(copy, db, ())
        yield db


def _items(
    journal: Reader, after: int | None, gaps: Iterator[tuple[int, int]]
) -> Iterator[Item]:
    # A point that waits for a clock gets its line later, under its earlier number.
    reached = after
    waiting = journal.first_pending()
    for seq, line, leaf in journal.points(EVERY_SEQ if after is None else after):
        reached = seq if waiting is None else min(seq, waiting - 1)
        if leaf_hash(line) == leaf:
            yield Item(reached, line)
        else:
            fault = f"point {seq}: the line does not match its stored hash"
            yield Item(reached, None, fault)
    yield from (Item(reached, None, fault) for fault in _missing(journal, gaps))


def _missing(journal: Reader, gaps: Iterator[tuple[int, int]]) -> Iterator[str]:
    """Yield what the journal has lost, at most some faults of each kind."""
    for count, (low, high) in enumerate(gaps):
        if count == _FAULTS_MAX:
            yield "more points are missing"
            break
        yield f"points {low} to {high}: missing"
    for removal in journal.stats().removals[:_FAULTS_MAX]:
        if removal.reason.startswith("undelivered"):
            span = f"{removal.first_seq} to {removal.last_seq}"
            yield f"{removal.points} of points {span}: removed on the device"


def _gaps_of_recovered(db: sqlite3.Connection) -> Iterator[tuple[int, int]]:
    """Yield missing numbers of a recovered journal, of which waiting points are some.

    Numbers behind the last one that was found are unknown.
    """
    found = db.execute(
        "SELECT seq + ?1, seq + ?1 FROM point WHERE seq > -?1 ORDER BY seq",
        (GENERATION,),
    )
    removed = sorted((r.first_seq, r.last_seq) for r in eviction.removals(db))
    reached = 0
    for low, high in heapq.merge(found, removed):
        if low > reached + 1:
            yield reached + 1, low - 1
        reached = max(reached, high)
