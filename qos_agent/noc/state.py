"""What the census remembers over a restart: how far it is, who was heard last, and
since when each area has been as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from qos_agent.noc.database import open_database, transaction

_SCHEMA = """
PRAGMA journal_mode = WAL;
CREATE TABLE IF NOT EXISTS mark (name TEXT PRIMARY KEY, at_ns INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS heard (station TEXT PRIMARY KEY, at_ns INTEGER NOT NULL)
    WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS standing (
    area TEXT NOT NULL, from_ns INTEGER NOT NULL, level INTEGER NOT NULL,
    PRIMARY KEY (area, from_ns)) WITHOUT ROWID;
"""
_STEP_NS = 60 * 10**9
# Levels of an area that changed so long ago are forgotten, but for the last of them.
_KEEP_NS = 2 * 3600 * 10**9


class State:
    """Marks by name, last heartbeats of silent stations, the standing of areas."""

    def __init__(self, path: Path) -> None:
        self._db = open_database(path, _SCHEMA)

    def mark(self, name: str) -> int | None:
        """Where something has come to; None when it has not begun."""
        query = "SELECT at_ns FROM mark WHERE name = ?"
        row = self._db.execute(query, (name,)).fetchone()
        return int(row[0]) if row else None

    def set_mark(self, name: str, at_ns: int) -> None:
        """Remember where something has come to."""
        self._db.execute("INSERT OR REPLACE INTO mark VALUES (?, ?)", (name, at_ns))

    def heard(self, stations: Iterable[str]) -> dict[str, int]:
        """When stations were last heard, of those that are remembered."""
        found = {}
        for station in stations:
            row = self._db.execute(
                "SELECT at_ns FROM heard WHERE station = ?", (station,)
            ).fetchone()
            if row:
                found[station] = int(row[0])
        return found

    def remember(self, heard: Mapping[str, int]) -> None:
        """Remember when stations were heard; an older moment changes nothing."""
        with self.transaction():
            self._db.executemany(
                "INSERT INTO heard VALUES (?, ?) ON CONFLICT (station) "
                "DO UPDATE SET at_ns = max(at_ns, excluded.at_ns)",
                heard.items(),
            )

    def transaction(self) -> AbstractContextManager[None]:
        """Return a context that commits everything written inside at once."""
        return transaction(self._db)

    def since_ns(self, area: str, level: int, at_ns: int, *, past: bool) -> int:
        """Since when an area has been at the level that it is found at, at a moment.

        A moment in the past, which was missed then, changes nothing for the minutes
        that were counted after it.
        """
        then, next_ns = self._standing(area, at_ns), at_ns + _STEP_NS
        if past and then is not None and then[1] != level:
            self._stand("OR IGNORE", area, next_ns, then[1])
        if past and self._standing(area, next_ns) == (next_ns, level):
            self._unstand(area, next_ns)
        if then is not None and then[1] == level:
            return then[0]
        before = self._standing(area, at_ns - 1)
        if before is not None and before[1] == level:
            self._unstand(area, at_ns)
            return before[0]
        self._stand("OR REPLACE", area, at_ns, level)
        self._forget(area, at_ns - _KEEP_NS)
        return at_ns

    def _standing(self, area: str, at_ns: int) -> tuple[int, int] | None:
        query = (
            "SELECT from_ns, level FROM standing WHERE area = ? AND from_ns <= ? "
            "ORDER BY from_ns DESC LIMIT 1"
        )
        row = self._db.execute(query, (area, at_ns)).fetchone()
        return (int(row[0]), int(row[1])) if row else None

    def _stand(self, otherwise: str, area: str, at_ns: int, level: int) -> None:
        query = f"INSERT {otherwise} INTO standing VALUES (?, ?, ?)"  # noqa: S608
        self._db.execute(query, (area, at_ns, level))

    def _unstand(self, area: str, at_ns: int) -> None:
        query = "DELETE FROM standing WHERE area = ? AND from_ns = ?"
        self._db.execute(query, (area, at_ns))

    def _forget(self, area: str, before_ns: int) -> None:
        last = self._standing(area, before_ns)
        if last is not None:
            query = "DELETE FROM standing WHERE area = ? AND from_ns < ?"
            self._db.execute(query, (area, last[0]))

    def close(self) -> None:
        """Close the file."""
        self._db.close()
