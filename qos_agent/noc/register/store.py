"""The register's database: stations with their history, maintenance, acknowledgements.

A station's row holds from `valid_from` until `valid_to` (seconds since 1970); a change
closes the row and opens another, so that yesterday's figures can be asked of
yesterday's register. What is planned or acknowledged is shown beside a station and
never takes it out of a count.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from qos_agent.noc.database import open_database, transaction
from qos_agent.noc.register.rows import STATION, Station

_COLUMNS = ", ".join(STATION)
_SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS station (
    id INTEGER PRIMARY KEY, code TEXT NOT NULL, name TEXT NOT NULL,
    province TEXT NOT NULL, regency TEXT NOT NULL, district TEXT, village TEXT,
    latitude REAL NOT NULL, longitude REAL NOT NULL, time_zone TEXT NOT NULL,
    contact TEXT, links TEXT NOT NULL, replaces TEXT,
    valid_from INTEGER NOT NULL, valid_to INTEGER);
CREATE UNIQUE INDEX IF NOT EXISTS station_now ON station(code) WHERE valid_to IS NULL;
CREATE INDEX IF NOT EXISTS station_area ON station(regency);
CREATE INDEX IF NOT EXISTS station_code ON station(code);
CREATE TABLE IF NOT EXISTS note (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, scope TEXT NOT NULL,
    starts INTEGER NOT NULL, ends INTEGER NOT NULL, words TEXT NOT NULL);
CREATE TEMP TABLE IF NOT EXISTS staged (
    code TEXT PRIMARY KEY, name TEXT, province TEXT, regency TEXT, district TEXT,
    village TEXT, latitude REAL, longitude REAL, time_zone TEXT, contact TEXT,
    links TEXT, replaces TEXT) WITHOUT ROWID;
"""
_VALID = "valid_from <= :at AND (valid_to IS NULL OR valid_to > :at)"
_COMPARED = tuple(name for name in STATION if name not in {"code", "replaces"})
_DIFFERS = " OR ".join(f"s.{name} IS NOT n.{name}" for name in _COMPARED)


@dataclass(frozen=True, slots=True)
class Entry:
    """One station as the register has it: (link, operator, ticket) for each link."""

    code: str
    name: str
    province: str
    regency: str
    latitude: float
    longitude: float
    time_zone: str
    contact: str | None
    links: tuple[tuple[str, str, str], ...]

    @property
    def operators(self) -> frozenset[str]:
        """The operators behind its links."""
        return frozenset(operator for _, operator, _ in self.links)


@dataclass(frozen=True, slots=True)
class Note:
    """Planned maintenance, or an acknowledgement, of a station or an area.

    `scope` is a code: 13 digits a station, 4 a regency, 2 a province.
    """

    kind: str
    scope: str
    starts: int
    ends: int
    words: str


@dataclass(frozen=True, slots=True)
class Difference:
    """What an import would do: codes, or for changes (code, columns that differ)."""

    added: tuple[str, ...]
    changed: tuple[tuple[str, tuple[str, ...]], ...]
    replaced: tuple[str, ...]
    missing: tuple[str, ...]
    unchanged: int


class Register:
    """The register in one SQLite file."""

    def __init__(self, path: Path) -> None:
        self._db = open_database(path, _SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def version(self) -> int:
        """A number that changes when anything in the register has."""
        changes = self._db.execute("PRAGMA data_version").fetchone()[0]
        return int(changes) * 1_000_000_007 + self._db.total_changes

    def stage(self, stations: Iterable[Station]) -> int:
        """Hold stations ready for a comparison; how many there are now."""
        marks = ", ".join("?" for _ in STATION)
        with transaction(self._db):
            self._db.executemany(f"INSERT INTO staged VALUES ({marks})", stations)
        return int(self._db.execute("SELECT count(*) FROM staged").fetchone()[0])

    def difference(self) -> Difference:
        """What is staged against what holds now."""
        rows = self._db.execute(
            "SELECT s.code FROM staged s LEFT JOIN station n "
            "ON n.code = s.code AND n.valid_to IS NULL WHERE n.code IS NULL"
        )
        added = tuple(code for (code,) in rows)
        changed = tuple(self._changed())
        replaced = self._codes(
            "SELECT n.code FROM staged s JOIN station n ON n.code = s.replaces "
            "WHERE n.valid_to IS NULL"
        )
        missing = self._codes(
            "SELECT code FROM station WHERE valid_to IS NULL "
            "EXCEPT SELECT code FROM staged EXCEPT SELECT replaces FROM staged"
        )
        total = int(self._db.execute("SELECT count(*) FROM staged").fetchone()[0])
        unchanged = total - len(added) - len(changed)
        return Difference(added, changed, replaced, missing, unchanged)

    def apply(self, at_s: int, *, close_missing: bool) -> None:
        """Make what is staged hold from a moment on, in one transaction.

        Of a moment before the last change it replaces what was said since: a station
        holds once at every moment, whatever the order of imports.
        """
        with transaction(self._db):
            self._db.execute("CREATE TEMP TABLE leaving (code TEXT PRIMARY KEY)")
            self._db.execute(
                "INSERT INTO leaving SELECT s.code FROM staged s LEFT JOIN station n "
                "ON n.code = s.code AND n.valid_to IS NULL "
                f"WHERE n.code IS NULL OR {_DIFFERS}"
            )
            self._db.execute(
                "INSERT OR IGNORE INTO leaving SELECT replaces FROM staged "
                "WHERE replaces IS NOT NULL"
            )
            if close_missing:
                self._db.execute(
                    "INSERT OR IGNORE INTO leaving SELECT code FROM station WHERE "
                    "valid_to IS NULL AND code NOT IN (SELECT code FROM staged)"
                )
            self._end("code IN (SELECT code FROM leaving)", at_s)
            self._db.execute(
                f"INSERT INTO station ({_COLUMNS}, valid_from) "
                f"SELECT {_COLUMNS}, ? FROM staged WHERE code IN "
                "(SELECT code FROM leaving)",
                (at_s,),
            )
            self._db.execute("DROP TABLE leaving")
            self._db.execute("DELETE FROM staged")

    def close_station(self, code: str, at_s: int) -> bool:
        """End a station; False where there is none of that code then."""
        with transaction(self._db):
            return self._end("code = ?2", at_s, code) > 0

    def _end(self, which: str, at_s: int, *more: str) -> int:
        """Let rows end at a moment; one that begins after it never held."""
        ended = self._db.execute(
            "UPDATE station SET valid_to = max(?1, valid_from) "
            f"WHERE (valid_to IS NULL OR valid_to > ?1) AND {which}",
            (at_s, *more),
        )
        return ended.rowcount

    def note(self, note: Note) -> None:
        """Record planned maintenance or an acknowledgement."""
        self._db.execute(
            "INSERT INTO note (kind, scope, starts, ends, words) VALUES (?,?,?,?,?)",
            (note.kind, note.scope, note.starts, note.ends, note.words),
        )

    def notes(self, at_s: int) -> tuple[Note, ...]:
        """The notes that hold at a moment."""
        rows = self._db.execute(
            "SELECT kind, scope, starts, ends, words FROM note "
            "WHERE starts <= ? AND ends > ? ORDER BY id",
            (at_s, at_s),
        )
        return tuple(Note(*row) for row in rows)

    def all_notes(self) -> tuple[tuple[int, Note], ...]:
        """Every note with its number, the newest first."""
        rows = self._db.execute(
            "SELECT id, kind, scope, starts, ends, words FROM note ORDER BY id DESC"
        )
        return tuple((number, Note(*rest)) for number, *rest in rows)

    def end_note(self, number: int, at_s: int) -> bool:
        """Let a note end before its time; False where there is none of that number."""
        ended = self._db.execute(
            "UPDATE note SET ends = max(starts, min(ends, ?)) WHERE id = ?",
            (at_s, number),
        )
        return ended.rowcount > 0

    def expected(self, at_s: int) -> dict[str, int]:
        """How many stations each regency should hear from at a moment."""
        rows = self._db.execute(
            f"SELECT regency, count(*) FROM station WHERE {_VALID} GROUP BY regency",
            {"at": at_s},
        )
        return dict(rows.fetchall())

    def expected_by_operator(self, at_s: int) -> dict[tuple[str, str], int]:
        """How many stations have a link of an operator, by (regency, operator)."""
        rows = self._db.execute(
            "SELECT regency, json_extract(link.value, '$[1]') AS operator, "
            f"count(DISTINCT code) FROM station, json_each(links) AS link "
            f"WHERE {_VALID} GROUP BY regency, operator",
            {"at": at_s},
        )
        return {(regency, operator): count for regency, operator, count in rows}

    def tickets(self, at_s: int) -> dict[tuple[str, str], str]:
        """Each operator's most frequent ticket address, by (regency, operator)."""
        rows = self._db.execute(
            "SELECT regency, json_extract(link.value, '$[1]') AS operator, "
            "json_extract(link.value, '$[2]') AS ticket, count(*) AS n "
            f"FROM station, json_each(links) AS link WHERE {_VALID} AND ticket <> '' "
            "GROUP BY regency, operator, ticket ORDER BY n, ticket DESC",
            {"at": at_s},
        )
        return {(regency, operator): ticket for regency, operator, ticket, _ in rows}

    def unchanged(self, at_s: int) -> tuple[int, int | None]:
        """From when until when the same stations hold as at a moment; None for ever."""
        edges = "SELECT valid_from AS s FROM station UNION SELECT valid_to FROM station"
        row = self._db.execute(
            "SELECT max(s) FILTER (WHERE s <= :at), min(s) FILTER (WHERE s > :at) "
            f"FROM ({edges})",
            {"at": at_s},
        ).fetchone()
        return row[0] or 0, row[1]

    def stations(self, regency: str, at_s: int) -> dict[str, Entry]:
        """The stations of a regency at a moment, by code."""
        rows = self._db.execute(
            "SELECT code, name, province, regency, latitude, longitude, time_zone, "
            f"contact, links FROM station WHERE regency = :regency AND {_VALID}",
            {"regency": regency, "at": at_s},
        )
        return {row[0]: _entry(row) for row in rows}

    def some(self, regency: str, codes: Iterable[str], at_s: int) -> dict[str, Entry]:
        """Those of some stations that a regency has at a moment, by code."""
        rows = self._db.execute(
            "SELECT code, name, province, regency, latitude, longitude, time_zone, "
            "contact, links FROM station WHERE code IN (SELECT value FROM "
            f"json_each(:codes)) AND regency = :regency AND {_VALID}",
            {"codes": json.dumps(list(codes)), "regency": regency, "at": at_s},
        )
        return {row[0]: _entry(row) for row in rows}

    def home(self, code: str, at_s: int) -> str | None:
        """The regency where a station is expected; None where it is not known."""
        row = self._db.execute(
            f"SELECT regency FROM station WHERE code = :code AND {_VALID}",
            {"code": code, "at": at_s},
        ).fetchone()
        return row[0] if row else None

    def history(self, code: str) -> tuple[dict[str, object], ...]:
        """A station through time, and what it replaced, oldest first."""
        rows = self._db.execute(
            f"SELECT {_COLUMNS}, valid_from, valid_to FROM station "
            "WHERE code = ?1 OR code IN "
            "(SELECT replaces FROM station WHERE code = ?1) ORDER BY valid_from, id",
            (code,),
        )
        names = (*STATION, "valid_from", "valid_to")
        return tuple(dict(zip(names, row, strict=True)) for row in rows)

    def _codes(self, query: str) -> tuple[str, ...]:
        return tuple(code for (code,) in self._db.execute(query))

    def _changed(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        tests = ", ".join(f"s.{name} IS NOT n.{name}" for name in _COMPARED)
        rows = self._db.execute(
            f"SELECT s.code, {tests} FROM staged s JOIN station n "
            f"ON n.code = s.code AND n.valid_to IS NULL WHERE {_DIFFERS}"
        )
        for code, *differs in rows:
            names = zip(_COMPARED, differs, strict=True)
            yield code, tuple(name for name, other in names if other)


def _entry(row: tuple[object, ...]) -> Entry:
    *fields, links = row
    parsed = tuple(tuple(link) for link in json.loads(str(links)))
    return Entry(*fields, parsed)  # type: ignore[arg-type,call-arg]
