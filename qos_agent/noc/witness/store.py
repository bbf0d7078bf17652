"""The database of a witness: cosigned seals, seals that wait, problems, and roots.

The table `seal` has everything that is needed to make each note again with its
cosignature: about 200 bytes a seal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from qos_agent.evidence.cosignatures import Cosignature
from qos_agent.evidence.notes import Checkpoint
from qos_agent.noc.database import open_database, transaction
from qos_agent.noc.witness.records import (
    RESUMED,
    JournalState,
    Problem,
    SignedSeal,
    StoredRoot,
    StoredSeal,
)

_SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS journal (
    id INTEGER PRIMARY KEY, origin TEXT NOT NULL UNIQUE, station TEXT NOT NULL,
    regency TEXT NOT NULL, key BLOB NOT NULL, first_size INTEGER NOT NULL,
    size INTEGER NOT NULL, root BLOB NOT NULL, first_ns INTEGER NOT NULL,
    last_ns INTEGER NOT NULL, added_ns INTEGER NOT NULL,
    handed INTEGER NOT NULL DEFAULT 0, ended_ns INTEGER) STRICT;
CREATE INDEX IF NOT EXISTS journal_key ON journal(key);
CREATE INDEX IF NOT EXISTS journal_station ON journal(station);
CREATE TABLE IF NOT EXISTS seal (
    id INTEGER PRIMARY KEY, journal INTEGER NOT NULL, size INTEGER NOT NULL,
    root BLOB NOT NULL, key BLOB NOT NULL, signature BLOB NOT NULL,
    at_ns INTEGER NOT NULL, cosigned_s INTEGER NOT NULL, cosignature BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS seal_size ON seal(journal, size);
CREATE INDEX IF NOT EXISTS seal_number ON seal(journal, id);
CREATE TABLE IF NOT EXISTS waiting (
    origin TEXT NOT NULL, size INTEGER NOT NULL, station TEXT NOT NULL,
    regency TEXT NOT NULL, previous INTEGER, root BLOB NOT NULL, key BLOB NOT NULL,
    signature BLOB NOT NULL, proof BLOB NOT NULL, at_ns INTEGER NOT NULL,
    arrived_ns INTEGER NOT NULL, PRIMARY KEY (origin, size)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS handover (
    old_origin TEXT NOT NULL, new_origin TEXT NOT NULL, station TEXT NOT NULL,
    kind TEXT NOT NULL, at_ns INTEGER NOT NULL, note BLOB NOT NULL,
    PRIMARY KEY (old_origin, new_origin, at_ns)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS problem (
    kind TEXT NOT NULL, subject TEXT NOT NULL, station TEXT NOT NULL,
    regency TEXT NOT NULL, at_ns INTEGER NOT NULL, found_ns INTEGER NOT NULL,
    detail TEXT NOT NULL, written INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (kind, subject)) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS problem_unwritten ON problem(written) WHERE written = 0;
CREATE TABLE IF NOT EXISTS root (
    id INTEGER PRIMARY KEY, at_s INTEGER NOT NULL, last_seal INTEGER NOT NULL,
    before TEXT NOT NULL, note BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS mark (name TEXT PRIMARY KEY, at_ns INTEGER NOT NULL) STRICT;
"""
_JOURNAL = (
    "id, origin, station, regency, key, first_size, size, root, first_ns, last_ns, "
    "handed, ended_ns"
)
_ROOT = "SELECT at_s, last_seal, before, note FROM root"
_WAITING = (
    "origin, size, station, regency, previous, root, key, signature, proof, at_ns"
)


class WitnessStore:
    """The database, in one file."""

    def __init__(self, path: Path) -> None:
        self._db = open_database(path, _SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def transaction(self) -> AbstractContextManager[None]:
        """Return a context that commits everything written inside at once."""
        return transaction(self._db)

    def mark(self, name: str) -> int | None:
        """Return a progress mark, or None before the first."""
        query = "SELECT at_ns FROM mark WHERE name = ?"
        row = self._db.execute(query, (name,)).fetchone()
        return None if row is None else int(row[0])

    def set_mark(self, name: str, at_ns: int) -> None:
        """Move a progress mark."""
        self._db.execute("INSERT OR REPLACE INTO mark VALUES (?, ?)", (name, at_ns))

    def journal(self, origin: str) -> JournalState | None:
        """Return a journal, or None if none of its seals is cosigned."""
        return next(self._journals("origin = ?", origin), None)

    def journals(self, station: str) -> list[JournalState]:
        """Return the journals of a station in order of their first seal."""
        return list(self._journals("station = ? ORDER BY id", station))

    def under_key(self, key: bytes) -> list[JournalState]:
        """Return the journals whose last seal a key has signed, oldest first."""
        return list(self._journals("key = ? ORDER BY first_ns, id", key))

    def begun_between(self, from_ns: int, to_ns: int) -> list[JournalState]:
        """Return the journals that were added in a span and that no one handed over."""
        condition = "added_ns >= ? AND added_ns < ? AND handed = 0"
        return list(self._journals(condition, from_ns, to_ns))

    def _journals(self, condition: str, *values: object) -> Iterator[JournalState]:
        query = f"SELECT {_JOURNAL} FROM journal WHERE {condition}"
        for row in self._db.execute(query, values):
            yield JournalState(*row)

    def sample(self, last_from_ns: int, count: int) -> list[JournalState]:
        """Return random journals whose newest seal is not older than a moment."""
        condition = "last_ns >= ? AND ended_ns IS NULL ORDER BY random() LIMIT ?"
        return list(self._journals(condition, last_from_ns, count))

    def newest_pair(self, journal: int) -> tuple[StoredSeal, StoredSeal] | None:
        """Return the two newest seals of a journal, the older one first."""
        found = list(self._seals("s.journal = ? ORDER BY s.id DESC LIMIT 2", journal))
        return (found[1], found[0]) if len(found) == 2 else None

    def root_of(self, journal: int, size: int) -> bytes | None:
        """Return the root of a cosigned seal, or None if there is none of that size."""
        query = "SELECT root FROM seal WHERE journal = ? AND size = ?"
        row = self._db.execute(query, (journal, size)).fetchone()
        return None if row is None else bytes(row[0])

    def add_cosigned(
        self, seal: SignedSeal, cosignature: Cosignature, now_ns: int
    ) -> None:
        """Store a cosigned seal as the newest one of its journal."""
        self._db.execute(
            "INSERT INTO journal (origin, station, regency, key, first_size, size,"
            " root, first_ns, last_ns, added_ns)"
            " VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6, ?7, ?7, ?8)"
            " ON CONFLICT (origin) DO UPDATE SET regency = excluded.regency,"
            " key = excluded.key, size = excluded.size, root = excluded.root,"
            " last_ns = excluded.last_ns",
            (
                seal.origin,
                seal.station,
                seal.regency,
                seal.key,
                seal.size,
                seal.root,
                seal.at_ns,
                now_ns,
            ),
        )
        self._db.execute(
            "INSERT INTO seal (journal, size, root, key, signature, at_ns, cosigned_s,"
            " cosignature) VALUES ((SELECT id FROM journal WHERE origin = ?), ?, ?, ?,"
            " ?, ?, ?, ?)",
            (
                seal.origin,
                seal.size,
                seal.root,
                seal.key,
                seal.signature,
                seal.at_ns,
                cosignature.time_s,
                cosignature.signature,
            ),
        )

    def add_waiting(self, seal: SignedSeal, now_ns: int, maximum: int) -> None:
        """Keep a seal until the one before it arrives; the oldest go beyond a limit."""
        values = (*(getattr(seal, name) for name in _WAITING.split(", ")), now_ns)
        marks = ", ".join("?" for _ in values)
        self._db.execute(f"INSERT OR IGNORE INTO waiting VALUES ({marks})", values)
        self._db.execute(
            "DELETE FROM waiting WHERE origin = ?1 AND size < (SELECT size FROM waiting"
            " WHERE origin = ?1 ORDER BY size DESC LIMIT 1 OFFSET ?2)",
            (seal.origin, maximum - 1),
        )

    def waiting_root(self, origin: str, size: int) -> bytes | None:
        """Return the root of a waiting seal, or None if there is none of that size."""
        query = "SELECT root FROM waiting WHERE origin = ? AND size = ?"
        row = self._db.execute(query, (origin, size)).fetchone()
        return None if row is None else bytes(row[0])

    def waiting_after(self, origin: str, previous: int) -> SignedSeal | None:
        """Return the waiting seal that continues a size, or None."""
        query = f"SELECT {_WAITING} FROM waiting WHERE origin = ? AND previous = ?"
        row = self._db.execute(query, (origin, previous)).fetchone()
        return None if row is None else SignedSeal(*row)

    def remove_waiting(self, origin: str, up_to_size: int) -> None:
        """Remove the waiting seals that are not larger than the cosigned one."""
        query = "DELETE FROM waiting WHERE origin = ? AND size <= ?"
        self._db.execute(query, (origin, up_to_size))

    def gaps(self, arrived_before_ns: int) -> list[tuple[SignedSeal, int]]:
        """Return the first waiting seal of each journal that waits since long ago.

        The second value is the time of the newest cosigned seal, 0 if there is none.
        """
        query = (
            f"SELECT {_WAITING}, coalesce((SELECT last_ns FROM journal j "
            "WHERE j.origin = w.origin), 0) FROM waiting w WHERE size = (SELECT "
            "min(size) FROM waiting v WHERE v.origin = w.origin) AND arrived_ns <= ?"
        )
        rows = self._db.execute(query, (arrived_before_ns,)).fetchall()
        return [(SignedSeal(*row[:-1]), int(row[-1])) for row in rows]

    def add_handover(
        self, origins: tuple[str, str], station: str, kind: str, at_ns: int, note: bytes
    ) -> bool:
        """Store a verified hand-over. Return False if it is stored already."""
        values = (*origins, station, kind, at_ns, note)
        query = "INSERT OR IGNORE INTO handover VALUES (?, ?, ?, ?, ?, ?)"
        return self._db.execute(query, values).rowcount > 0

    def apply_handovers(self, origin: str) -> None:
        """Mark a journal by its hand-overs: handed to it, and handed on at a time.

        A journal that is handed to again, as after a restored backup, goes on.
        """
        self._db.execute(
            "UPDATE journal SET handed = EXISTS (SELECT 1 FROM handover "
            "WHERE new_origin = ?1 AND kind <> ?2), ended_ns = (SELECT max(at_ns) FROM "
            "handover h WHERE old_origin = ?1 AND new_origin <> ?1 AND NOT EXISTS "
            "(SELECT 1 FROM handover b WHERE b.new_origin = ?1 AND b.kind <> ?2 "
            "AND b.at_ns > h.at_ns)) WHERE origin = ?1",
            (origin, RESUMED),
        )

    def statements(self, origin: str, kind: str) -> list[bytes]:
        """Return the notes of one kind about a journal, oldest first."""
        query = "SELECT note FROM handover WHERE new_origin = ? AND kind = ? "
        rows = self._db.execute(f"{query} ORDER BY at_ns", (origin, kind))
        return [bytes(row[0]) for row in rows]

    def handovers(self, station: str) -> list[bytes]:
        """Return the notes of the hand-overs of a station, oldest first."""
        query = "SELECT note FROM handover WHERE station = ? ORDER BY at_ns"
        return [bytes(row[0]) for row in self._db.execute(query, (station,))]

    def add_problem(self, problem: Problem, now_ns: int) -> bool:
        """Record a problem. Return False if it is recorded already."""
        values = (
            problem.kind,
            problem.subject,
            problem.station,
            problem.regency,
            problem.at_ns,
            now_ns,
            problem.detail,
        )
        query = "INSERT OR IGNORE INTO problem VALUES (?, ?, ?, ?, ?, ?, ?, 0)"
        return self._db.execute(query, values).rowcount > 0

    def problems(self, condition: str = "1", *values: object) -> list[Problem]:
        """Return the problems that meet a condition, in order of their finding."""
        query = (
            "SELECT kind, subject, station, regency, at_ns, detail FROM problem "
            f"WHERE {condition} ORDER BY found_ns, kind, subject"
        )
        return [Problem(*row) for row in self._db.execute(query, values)]

    def end_problems(self, kind: str, subjects: Iterable[str]) -> None:
        """Remove problems that are solved."""
        query = "DELETE FROM problem WHERE kind = ? AND subject = ?"
        self._db.executemany(query, ((kind, subject) for subject in subjects))

    def set_written(self, problems: Iterable[Problem]) -> None:
        """Note that the events of problems are written."""
        query = "UPDATE problem SET written = 1 WHERE kind = ? AND subject = ?"
        self._db.executemany(query, ((one.kind, one.subject) for one in problems))

    def last_seal_id(self) -> int:
        """Return the number of the newest cosigned seal, 0 before the first."""
        (newest,) = self._db.execute("SELECT max(id) FROM seal").fetchone()
        return newest or 0

    def newest_seals(self, last_seal: int) -> Iterator[tuple[str, int, bytes]]:
        """Yield origin, size and root of each journal's newest seal up to a number."""
        query = (
            "SELECT j.origin, s.size, s.root FROM journal j JOIN seal s ON s.id = "
            "(SELECT max(id) FROM seal WHERE journal = j.id AND id <= ?) ORDER BY j.id"
        )
        yield from self._db.execute(query, (last_seal,))

    def newest_seal(self, journal: int, last_seal: int) -> StoredSeal | None:
        """Return a journal's newest seal up to a number."""
        condition = "s.journal = ? AND s.id <= ? ORDER BY s.id DESC LIMIT 1"
        return next(self._seals(condition, journal, last_seal), None)

    def seals(self, origin: str) -> Iterator[StoredSeal]:
        """Yield the cosigned seals of a journal in order."""
        return self._seals("j.origin = ? ORDER BY s.id", origin)

    def _seals(self, condition: str, *values: object) -> Iterator[StoredSeal]:
        query = (
            "SELECT j.origin, s.size, s.root, s.key, s.signature, s.cosigned_s, "
            "s.cosignature, s.at_ns FROM seal s JOIN journal j ON j.id = s.journal "
            f"WHERE {condition}"
        )
        for row in self._db.execute(query, values):
            origin, size, root, key, signature, time_s, cosignature, at_ns = row
            cosigned = Cosignature(time_s, cosignature)
            checkpoint = Checkpoint(origin, size, root)
            yield StoredSeal(checkpoint, key, signature, cosigned, at_ns)

    def add_root(self, at_s: int, last_seal: int, before: str, note: bytes) -> None:
        """Store a national root."""
        values = (at_s, last_seal, before, note)
        query = "INSERT INTO root (at_s, last_seal, before, note) VALUES (?, ?, ?, ?)"
        self._db.execute(query, values)

    def root(self, at_s: int | None = None) -> StoredRoot | None:
        """Return the newest root, or the first one since `at_s`, or None."""
        if at_s is None:
            return next(iter(self.roots(1)), None)
        query = f"{_ROOT} WHERE at_s >= ? ORDER BY id LIMIT 1"
        row = self._db.execute(query, (at_s,)).fetchone()
        return None if row is None else StoredRoot(*row)

    def roots(self, limit: int) -> list[StoredRoot]:
        """Return the newest roots, the newest first."""
        rows = self._db.execute(f"{_ROOT} ORDER BY id DESC LIMIT ?", (limit,))
        return [StoredRoot(*row) for row in rows]

    def newest_by_station(self) -> Iterator[tuple[str, str, int]]:
        """Yield station, regency and time of the newest seal, cosigned or waiting."""
        yield from self._db.execute(
            "SELECT station, regency, max(max(last_ns), coalesce((SELECT max(at_ns)"
            " FROM waiting w WHERE w.origin = journal.origin), 0)) FROM journal"
            " GROUP BY station"
        )

    def stations_with(
        self, kinds: Iterable[str], found_from_ns: int
    ) -> Iterator[tuple[str, int]]:
        """Yield regency and number of stations with problems of some kinds."""
        names = tuple(kinds)
        marks = ", ".join("?" for _ in names)
        yield from self._db.execute(
            "SELECT regency, count(DISTINCT station) FROM problem "
            f"WHERE kind IN ({marks}) AND found_ns >= ? GROUP BY regency",
            (*names, found_from_ns),
        )
