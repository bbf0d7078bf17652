"""The register's database: stations with their history, and notes.

A row of a station is valid from `valid_from` until `valid_to` (seconds since 1970). A
change closes the row and opens another, so that figures of an earlier day use the
register of that day. Notes record maintenance and acknowledgements. They are shown next
to a station and never remove it from a count.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from qos_agent.noc.database import open_database, transaction
from qos_agent.noc.register.rows import FIELDS, Station

_COLUMNS = ", ".join(FIELDS)
_SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS station (
    id INTEGER PRIMARY KEY, code TEXT NOT NULL, name TEXT NOT NULL,
    province TEXT NOT NULL, regency TEXT NOT NULL, district TEXT, village TEXT,
    latitude REAL NOT NULL, longitude REAL NOT NULL, time_zone TEXT NOT NULL,
    contact TEXT, selection TEXT, stratum TEXT, cluster TEXT, links TEXT NOT NULL,
    replaces TEXT, valid_from INTEGER NOT NULL, valid_to INTEGER);
CREATE UNIQUE INDEX IF NOT EXISTS station_now ON station(code) WHERE valid_to IS NULL;
CREATE INDEX IF NOT EXISTS station_area ON station(regency);
CREATE INDEX IF NOT EXISTS station_code ON station(code);
CREATE TABLE IF NOT EXISTS note (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, scope TEXT NOT NULL,
    starts INTEGER NOT NULL, ends INTEGER NOT NULL, words TEXT NOT NULL,
    author TEXT NOT NULL DEFAULT '', ticket TEXT NOT NULL DEFAULT '');
CREATE TEMP TABLE IF NOT EXISTS staged (
    code TEXT PRIMARY KEY, name TEXT, province TEXT, regency TEXT, district TEXT,
    village TEXT, latitude REAL, longitude REAL, time_zone TEXT, contact TEXT,
    selection TEXT, stratum TEXT, cluster TEXT, links TEXT, replaces TEXT)
    WITHOUT ROWID;
"""
# Columns that a register of an earlier version does not have.
_ADDED = {
    "note": ("author TEXT NOT NULL DEFAULT ''", "ticket TEXT NOT NULL DEFAULT ''"),
    "station": ("selection TEXT", "stratum TEXT", "cluster TEXT"),
}
_NOTE = "kind, scope, starts, ends, words, author, ticket"
_REGISTERED = "valid_from <= :at AND (valid_to IS NULL OR valid_to > :at)"
# A station of the selection `none` is not measured, so nobody expects its readings.
_VALID = f"{_REGISTERED} AND selection IS NOT 'none'"
_COMPARED = tuple(name for name in FIELDS if name not in {"code", "replaces"})
_DIFFERS = " OR ".join(f"s.{name} IS NOT n.{name}" for name in _COMPARED)


@dataclass(frozen=True, slots=True)
class Entry:
    """One registered station. `links` has (link, operator, ticket) for each link."""

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
        """Return the operators of its links."""
        return frozenset(operator for _, operator, _ in self.links)


@dataclass(frozen=True, slots=True)
class Note:
    """Planned maintenance, or an acknowledgement, of a station or an area.

    `scope` is a code of 13 digits (station), 4 digits (regency) or 2 digits (province),
    or the code of a larger place. `reason` is stored in the column `words`. `author`
    wrote the note. `ticket` is the number that the operator gave when the note started.
    """

    kind: str
    scope: str
    starts: int
    ends: int
    reason: str
    author: str = ""
    ticket: str = ""


@dataclass(frozen=True, slots=True)
class Difference:
    """The changes of an import: codes, and for `changed` (code, changed columns)."""

    added: tuple[str, ...]
    changed: tuple[tuple[str, tuple[str, ...]], ...]
    replaced: tuple[str, ...]
    missing: tuple[str, ...]
    unchanged: int


class Register:
    """The register in one SQLite file."""

    def __init__(self, path: Path) -> None:
        self._db = open_database(path, _SCHEMA)
        try:
            self._upgrade()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _upgrade(self) -> None:
        """Add the columns that a file of an earlier version does not have."""
        for table, added in _ADDED.items():
            rows = self._db.execute(f"PRAGMA table_info({table})").fetchall()
            names = {row[1] for row in rows}
            for column in added:
                if column.partition(" ")[0] not in names:
                    self._db.execute(f"ALTER TABLE {table} ADD COLUMN {column}")

    def version(self) -> int:
        """Return a number that changes whenever the register changes."""
        changes = self._db.execute("PRAGMA data_version").fetchone()[0]
        return int(changes) * 1_000_000_007 + self._db.total_changes

    def last_change(self) -> tuple[int, int]:
        """Return numbers that change with the stations, but not with notes."""
        query = "SELECT coalesce(max(id), 0), count(valid_to) FROM station"
        newest, ended = self._db.execute(query).fetchone()
        return int(newest), int(ended)

    def stage(self, stations: Iterable[Station]) -> int:
        """Stage stations for a comparison, and return the number of staged stations."""
        marks = ", ".join("?" for _ in FIELDS)
        with transaction(self._db):
            self._db.executemany(f"INSERT INTO staged VALUES ({marks})", stations)
        return int(self._db.execute("SELECT count(*) FROM staged").fetchone()[0])

    def difference(self) -> Difference:
        """Compare the staged stations with the valid ones."""
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
        """Make the staged stations valid from a moment on, in one transaction.

        If the moment is before the last change, it replaces the rows since then. At
        every moment a station has at most one valid row, whatever the order of imports.
        """
        with transaction(self._db):
            self._db.execute("CREATE TEMP TABLE changing (code TEXT PRIMARY KEY)")
            self._db.execute(
                "INSERT INTO changing SELECT s.code FROM staged s LEFT JOIN station n "
                "ON n.code = s.code AND n.valid_to IS NULL "
                f"WHERE n.code IS NULL OR {_DIFFERS}"
            )
            self._db.execute(
                "INSERT OR IGNORE INTO changing SELECT replaces FROM staged "
                "WHERE replaces IS NOT NULL"
            )
            if close_missing:
                self._db.execute(
                    "INSERT OR IGNORE INTO changing SELECT code FROM station WHERE "
                    "valid_to IS NULL AND code NOT IN (SELECT code FROM staged)"
                )
            self._end("code IN (SELECT code FROM changing)", at_s)
            self._db.execute(
                f"INSERT INTO station ({_COLUMNS}, valid_from) "
                f"SELECT {_COLUMNS}, ? FROM staged WHERE code IN "
                "(SELECT code FROM changing)",
                (at_s,),
            )
            self._db.execute("DROP TABLE changing")
            self._db.execute("DELETE FROM staged")

    def close_station(self, code: str, at_s: int) -> bool:
        """Close a station. Return False if no such station is valid at that moment."""
        with transaction(self._db):
            return self._end("code = ?2", at_s, code) > 0

    def _end(self, condition: str, at_s: int, *parameters: str) -> int:
        """End the rows that meet a condition, and return their number.

        A row that would end before it starts gets an empty span.
        """
        ended = self._db.execute(
            "UPDATE station SET valid_to = max(?1, valid_from) "
            f"WHERE (valid_to IS NULL OR valid_to > ?1) AND {condition}",
            (at_s, *parameters),
        )
        return ended.rowcount

    def note(self, note: Note) -> None:
        """Record planned maintenance or an acknowledgement."""
        self._db.execute(
            f"INSERT INTO note ({_NOTE}) VALUES (?,?,?,?,?,?,?)", astuple(note)
        )

    def notes(self, at_s: int) -> tuple[Note, ...]:
        """Return the notes that are in effect at a moment."""
        rows = self._db.execute(
            f"SELECT {_NOTE} FROM note WHERE starts <= ? AND ends > ? ORDER BY id",
            (at_s, at_s),
        )
        return tuple(Note(*row) for row in rows)

    def all_notes(self) -> tuple[tuple[int, Note], ...]:
        """Return every note with its number, the newest first."""
        rows = self._db.execute(f"SELECT id, {_NOTE} FROM note ORDER BY id DESC")
        return tuple((number, Note(*rest)) for number, *rest in rows)

    def end_note(self, number: int, at_s: int) -> bool:
        """End a note early. Return False if there is no note of that number."""
        ended = self._db.execute(
            "UPDATE note SET ends = max(starts, min(ends, ?)) WHERE id = ?",
            (at_s, number),
        )
        return ended.rowcount > 0

    def registered(self, at_s: int) -> Iterator[dict[str, Any]]:
        """Yield the fields of all stations at a moment, also of those not selected."""
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM station WHERE {_REGISTERED} ORDER BY code",
            {"at": at_s},
        )
        for row in rows:
            yield dict(zip(FIELDS, row, strict=True))

    def expected(self, at_s: int) -> dict[str, int]:
        """Return the number of expected stations at a moment, by regency."""
        rows = self._db.execute(
            f"SELECT regency, count(*) FROM station WHERE {_VALID} GROUP BY regency",
            {"at": at_s},
        )
        return dict(rows.fetchall())

    def expected_by_operator(self, at_s: int) -> dict[tuple[str, str], int]:
        """Return the number of stations per (regency, operator of a link)."""
        rows = self._db.execute(
            "SELECT regency, json_extract(link.value, '$[1]') AS operator, "
            f"count(DISTINCT code) FROM station, json_each(links) AS link "
            f"WHERE {_VALID} GROUP BY regency, operator",
            {"at": at_s},
        )
        return {(regency, operator): count for regency, operator, count in rows}

    def tickets(self, at_s: int) -> dict[tuple[str, str], str]:
        """Return the most frequent ticket address by (regency, operator)."""
        rows = self._db.execute(
            "SELECT regency, json_extract(link.value, '$[1]') AS operator, "
            "json_extract(link.value, '$[2]') AS ticket, count(*) AS n "
            f"FROM station, json_each(links) AS link WHERE {_VALID} AND ticket <> '' "
            "GROUP BY regency, operator, ticket ORDER BY n, ticket DESC",
            {"at": at_s},
        )
        return {(regency, operator): ticket for regency, operator, ticket, _ in rows}

    def unchanged(self, at_s: int) -> tuple[int, int | None]:
        """Return the span around a moment in which the valid stations do not change.

        The end is None if there is no later change.
        """
        edges = "SELECT valid_from AS s FROM station UNION SELECT valid_to FROM station"
        row = self._db.execute(
            "SELECT max(s) FILTER (WHERE s <= :at), min(s) FILTER (WHERE s > :at) "
            f"FROM ({edges})",
            {"at": at_s},
        ).fetchone()
        return row[0] or 0, row[1]

    def stations(self, regency: str, at_s: int) -> dict[str, Entry]:
        """Return the valid stations of a regency at a moment, by code."""
        rows = self._db.execute(
            "SELECT code, name, province, regency, latitude, longitude, time_zone, "
            f"contact, links FROM station WHERE regency = :regency AND {_VALID}",
            {"regency": regency, "at": at_s},
        )
        return {row[0]: _entry(row) for row in rows}

    def some(self, regency: str, codes: Iterable[str], at_s: int) -> dict[str, Entry]:
        """Return those of some stations that are valid in a regency, by code."""
        rows = self._db.execute(
            "SELECT code, name, province, regency, latitude, longitude, time_zone, "
            "contact, links FROM station WHERE code IN (SELECT value FROM "
            f"json_each(:codes)) AND regency = :regency AND {_VALID}",
            {"codes": json.dumps(list(codes)), "regency": regency, "at": at_s},
        )
        return {row[0]: _entry(row) for row in rows}

    def home(self, code: str, at_s: int) -> str | None:
        """Return the regency of a station, or None if it is not registered then."""
        row = self._db.execute(
            f"SELECT regency FROM station WHERE code = :code AND {_VALID}",
            {"code": code, "at": at_s},
        ).fetchone()
        return row[0] if row else None

    def history(self, code: str) -> tuple[dict[str, object], ...]:
        """Return all rows of a station and of the one it replaced, oldest first."""
        rows = self._db.execute(
            f"SELECT {_COLUMNS}, valid_from, valid_to FROM station "
            "WHERE code = ?1 OR code IN "
            "(SELECT replaces FROM station WHERE code = ?1) ORDER BY valid_from, id",
            (code,),
        )
        names = (*FIELDS, "valid_from", "valid_to")
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
            yield code, tuple(name for name, changed in names if changed)


def _entry(row: tuple[object, ...]) -> Entry:
    *fields, links = row
    parsed = tuple(tuple(link) for link in json.loads(str(links)))
    return Entry(*fields, parsed)  # type: ignore[arg-type,call-arg]
