"""Looks into a journal beside the agent that writes it: what the commands show."""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from qos_agent.evidence.merkle import leaf_hash
from qos_agent.journal import delivery, eviction, tables
from qos_agent.journal.database import storage_error
from qos_agent.journal.timestamps import state
from qos_agent.journal.types import Refusal, Removal
from qos_agent.model.errors import OperatorError
from qos_agent.model.line_protocol import decode

_FAULTS_MAX = 20
# Points recovered from a journal before this one have numbers below 1.
EVERY_SEQ = -(2**62)
_LINES_AFTER = """
    SELECT line FROM point WHERE seq > ? AND line IS NOT NULL ORDER BY seq
"""
_FIRST_OF_LAST = """
    SELECT MIN(seq) FROM (
        SELECT seq FROM point WHERE line IS NOT NULL ORDER BY seq DESC LIMIT ?
    )
"""


@dataclass(frozen=True, slots=True)
class Kind:
    """Points of one measurement: how many, and their span in nanoseconds since 1970."""

    measurement: str
    points: int
    first_ns: int
    last_ns: int


@dataclass(frozen=True, slots=True)
class Stats:
    """What `journal stats` says."""

    journal: str
    file_bytes: int
    points: int
    pending: int
    undelivered: dict[str, int]
    kinds: tuple[Kind, ...]
    refused: tuple[Refusal, ...]
    removals: tuple[Removal, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What `journal verify` found; well without faults."""

    points: int
    faults: tuple[str, ...]


class Reader:
    """One journal, opened to read."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def stats(self) -> Stats:
        """How much there is of everything."""
        page_bytes, pages = self._number("page_size"), self._number("page_count")
        return Stats(
            journal=self._name(),
            file_bytes=page_bytes * pages,
            points=self._count("point"),
            pending=self._count("pending"),
            undelivered=self._undelivered(),
            kinds=tuple(self._kinds()),
            refused=tuple(delivery.refusals(self._db)),
            removals=tuple(eviction.removals(self._db)),
        )

    def lines(self, after_seq: int, last: int | None = None) -> Iterator[bytes]:
        """Lines in order after a number; only the `last` ones where that is given."""
        if last is not None:
            (first,) = self._db.execute(_FIRST_OF_LAST, (last,)).fetchone()
            after_seq = max(after_seq, EVERY_SEQ if first is None else first - 1)
        rows = self._db.execute(_LINES_AFTER, (after_seq,))
        return (bytes(row[0]) for row in rows)

    def verify(self) -> Verdict:
        """The file's structure, every line against its hash and the schema, gaps."""
        faults = tuple(islice(self._faults(), _FAULTS_MAX))
        return Verdict(self._count("point"), faults)

    def _faults(self) -> Iterator[str]:
        for (said,) in self._db.execute(f"PRAGMA integrity_check({_FAULTS_MAX})"):
            if said != "ok":
                yield f"file: {said}"
        for seq, line, leaf in self._db.execute("SELECT seq, line, leaf FROM point"):
            if line is not None and (fault := _fault(line, leaf)):
                yield f"point {seq}: {fault}"
        for low, high in self._gaps():
            yield f"points {low} to {high}: missing"

    def _gaps(self) -> Iterator[tuple[int, int]]:
        """Numbers neither here, nor pending, nor in the account of removals.

        In order from each, so that a large journal is not held in memory.
        """
        stored = (
            self._db.execute(f"SELECT seq, seq FROM {table} WHERE seq > 0 ORDER BY seq")  # noqa: S608
            for table in ("point", "pending")
        )
        removed = sorted((r.first_seq, r.last_seq) for r in eviction.removals(self._db))
        reached = 0
        for low, high in heapq.merge(*stored, removed):
            if low > reached + 1:
                yield reached + 1, low - 1
            reached = max(reached, high)

    def _kinds(self) -> Iterator[Kind]:
        rows = self._db.execute(
            "SELECT CAST(substr(line, 1, instr(line, x'2C') - 1) AS TEXT) AS name,"
            " COUNT(*), MIN(time_ns), MAX(time_ns) FROM point"
            " WHERE line IS NOT NULL GROUP BY name ORDER BY name"
        )
        return (Kind(*row) for row in rows)

    def _undelivered(self) -> dict[str, int]:
        rows = self._db.execute(
            "SELECT name, (SELECT COUNT(*) FROM delivery WHERE collector = id)"
            " FROM collector ORDER BY id"
        )
        return dict(rows.fetchall())

    def _name(self) -> str:
        return str(state(self._db, "journal"))

    def _count(self, table: str) -> int:
        return int(self._db.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0])  # noqa: S608

    def _number(self, pragma: str) -> int:
        return int(self._db.execute(f"PRAGMA {pragma}").fetchone()[0])


def _fault(line: bytes, leaf: bytes) -> str | None:
    if leaf_hash(line) != leaf:
        return "altered: it does not have the hash it was stored with"
    try:
        decode(line)
    except ValueError as error:
        return str(error)
    return None


@contextmanager
def reading(folder: Path) -> Iterator[Reader]:
    """A reader of the journal in a folder.

    Raises OperatorError where there is none or the agent is still making it,
    StorageError where it cannot be read.
    """
    path = _existing(folder)
    try:
        with closing(tables.connect_to_read(path)) as db:
            if not _is_made(db):
                raise OperatorError(
                    f"{path}: not made yet; try again in a second with the agent"
                    " running: qos-agent run"
                )
            yield Reader(db)
    except sqlite3.Error as error:
        raise storage_error("read", str(path), error) from error


def _is_made(db: sqlite3.Connection) -> bool:
    """Its tables are there, and the name that it is given last."""
    made = db.execute("PRAGMA user_version").fetchone()[0] > 0
    return made and state(db, "journal") is not None


def requeue(folder: Path, first: int | None, last: int | None) -> int:
    """Owe again what was refused, or a span of points; a running agent sends them."""
    path = _existing(folder)
    try:
        with closing(tables.connect(path)) as db:
            db.execute("BEGIN IMMEDIATE")
            count = _requeue(db, first, last)
            db.execute("COMMIT")
            return count
    except sqlite3.Error as error:
        raise storage_error("requeue in", str(path), error) from error


def _requeue(db: sqlite3.Connection, first: int | None, last: int | None) -> int:
    if first is None:
        return delivery.requeue_refused(db)
    row = db.execute("SELECT MIN(id) FROM collector").fetchone()
    return delivery.requeue_span(db, row[0], first, first if last is None else last)


def _existing(folder: Path) -> Path:
    path = folder / tables.FILE_NAME
    if not path.exists():
        raise OperatorError(
            f"{path}: no journal here; set journal.folder, or start: qos-agent run"
        )
    return path
