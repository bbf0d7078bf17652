"""The state of the census that survives a restart.

It has progress marks, the minutes without a census, the last heartbeats of silent
stations, the moments since which areas have had their severity, and the troubles.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from qos_agent.noc.database import open_database, transaction

_SCHEMA = """
PRAGMA journal_mode = WAL;
CREATE TABLE IF NOT EXISTS mark (name TEXT PRIMARY KEY, at_ns INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS missed (
    province TEXT, minute_ns INTEGER, PRIMARY KEY (province, minute_ns)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS heard (station TEXT PRIMARY KEY, at_ns INTEGER NOT NULL)
    WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS standing (
    area TEXT NOT NULL, from_ns INTEGER NOT NULL, level INTEGER NOT NULL,
    PRIMARY KEY (area, from_ns)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS trouble (text TEXT NOT NULL);
"""
_MINUTE_NS = 60 * 10**9
# How long changes of an area's severity are kept; the last one is kept longer.
_KEEP_NS = 2 * 3600 * 10**9
# How many missed minutes are taken over from a file of the version before `missed`:
# a week is more than `census.catch_up` reaches back.
_UPGRADE_NS = 7 * 86400 * 10**9


class State:
    """The state in one SQLite file."""

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

    def transaction(self) -> AbstractContextManager[None]:
        """Return a context that commits everything written inside at once."""
        return transaction(self._db)

    def mark(self, name: str) -> int | None:
        """Return the moment of a progress mark; None before the first."""
        query = "SELECT at_ns FROM mark WHERE name = ?"
        row = self._db.execute(query, (name,)).fetchone()
        return int(row[0]) if row else None

    def set_mark(self, name: str, at_ns: int) -> None:
        """Move a progress mark."""
        self._db.execute("INSERT OR REPLACE INTO mark VALUES (?, ?)", (name, at_ns))

    def expect_census(
        self, provinces: Iterable[str], at_ns: int, earliest_ns: int
    ) -> bool:
        """Record a minute as missed until it is counted, and all since the last one.

        Minutes before `earliest_ns` are dropped. Return True if there were any.
        """
        first_minute_ns = -(-earliest_ns // _MINUTE_NS) * _MINUTE_NS
        with self.transaction():
            query = "DELETE FROM missed WHERE minute_ns < ?"
            has_dropped = self._db.execute(query, (first_minute_ns,)).rowcount > 0
            for province in provinces:
                last_ns = self.mark(f"census/{province}")
                # After the clock was set back, the last minute is in the future.
                next_ns = at_ns if last_ns is None else min(at_ns, last_ns + _MINUTE_NS)
                has_dropped |= next_ns < first_minute_ns
                self._add_missed(province, max(next_ns, first_minute_ns), at_ns)
                self.set_mark(f"census/{province}", at_ns)
        return has_dropped

    def counted(self, province: str, minute_ns: int) -> None:
        """Remove a minute from the missed ones."""
        query = "DELETE FROM missed WHERE province = ? AND minute_ns = ?"
        self._db.execute(query, (province, minute_ns))

    def missed(self) -> dict[str, int]:
        """Return the first missed minute of each province that has one."""
        query = "SELECT province, min(minute_ns) FROM missed GROUP BY province"
        return dict(self._db.execute(query).fetchall())

    def heard(self, stations: Iterable[str]) -> dict[str, int]:
        """Return the remembered last heartbeats of some stations."""
        last_ns = {}
        query = "SELECT at_ns FROM heard WHERE station = ?"
        for station in stations:
            row = self._db.execute(query, (station,)).fetchone()
            if row:
                last_ns[station] = int(row[0])
        return last_ns

    def remember(self, heard: Mapping[str, int]) -> None:
        """Remember last heartbeats; one older than what is stored changes nothing."""
        with self.transaction():
            self._db.executemany(
                "INSERT INTO heard VALUES (?, ?) ON CONFLICT (station) "
                "DO UPDATE SET at_ns = max(at_ns, excluded.at_ns)",
                heard.items(),
            )

    def since_ns(self, area: str, level: int, at_ns: int, *, past: bool) -> int:
        """Record an area's severity at a moment; return since when it has had it.

        A past moment, which was missed before, changes nothing for the minutes that
        were counted after it.
        """
        stored, next_ns = self._level_at(area, at_ns), at_ns + _MINUTE_NS
        if past and stored is not None and stored[1] != level:
            self._insert_level("OR IGNORE", area, next_ns, stored[1])
        if past and self._level_at(area, next_ns) == (next_ns, level):
            self._delete_level(area, next_ns)
        if stored is not None and stored[1] == level:
            return stored[0]
        before = self._level_at(area, at_ns - 1)
        if before is not None and before[1] == level:
            self._delete_level(area, at_ns)
            return before[0]
        self._insert_level("OR REPLACE", area, at_ns, level)
        self._delete_old_levels(area, at_ns - _KEEP_NS)
        return at_ns

    def troubles(self) -> list[str]:
        """Return the stored troubles, each as text."""
        return [row[0] for row in self._db.execute("SELECT text FROM trouble")]

    def replace_troubles(self, texts: Iterable[str]) -> None:
        """Store the troubles of the newest minute instead of all others."""
        with self.transaction():
            self._db.execute("DELETE FROM trouble")
            self._db.executemany(
                "INSERT INTO trouble VALUES (?)", ((text,) for text in texts)
            )

    def _level_at(self, area: str, at_ns: int) -> tuple[int, int] | None:
        """Return (from_ns, level) of an area at a moment."""
        query = (
            "SELECT from_ns, level FROM standing WHERE area = ? AND from_ns <= ? "
            "ORDER BY from_ns DESC LIMIT 1"
        )
        row = self._db.execute(query, (area, at_ns)).fetchone()
        return (int(row[0]), int(row[1])) if row else None

    def _insert_level(self, conflict: str, area: str, at_ns: int, level: int) -> None:
        query = f"INSERT {conflict} INTO standing VALUES (?, ?, ?)"
        self._db.execute(query, (area, at_ns, level))

    def _delete_level(self, area: str, at_ns: int) -> None:
        query = "DELETE FROM standing WHERE area = ? AND from_ns = ?"
        self._db.execute(query, (area, at_ns))

    def _delete_old_levels(self, area: str, before_ns: int) -> None:
        last = self._level_at(area, before_ns)
        if last is not None:
            query = "DELETE FROM standing WHERE area = ? AND from_ns < ?"
            self._db.execute(query, (area, last[0]))

    def _add_missed(self, province: str, from_ns: int, to_ns: int) -> None:
        """Record the minutes of a span, both ends included."""
        self._db.executemany(
            "INSERT OR IGNORE INTO missed VALUES (?, ?)",
            ((province, ns) for ns in range(from_ns, to_ns + 1, _MINUTE_NS)),
        )

    def _upgrade(self) -> None:
        """Turn the marks of a file without `missed` into its rows.

        `census` was the last minute before a gap. If `resumed` was not 0, it was the
        first minute after the gap, and `taken` was the last one.
        """
        if self._db.execute("PRAGMA user_version").fetchone()[0] >= 1:
            return
        query = "SELECT name, at_ns FROM mark WHERE name LIKE 'resumed/%' AND at_ns > 0"
        with self.transaction():
            for name, resumed_ns in self._db.execute(query).fetchall():
                province = name.partition("/")[2]
                through_ns = self.mark(f"census/{province}") or 0
                from_ns = max(through_ns + _MINUTE_NS, resumed_ns - _UPGRADE_NS)
                self._add_missed(province, from_ns, resumed_ns - _MINUTE_NS)
                last_ns = max(resumed_ns, self.mark(f"taken/{province}") or 0)
                self.set_mark(f"census/{province}", last_ns)
            self._db.execute(
                "DELETE FROM mark WHERE name LIKE 'resumed/%' OR name LIKE 'taken/%'"
            )
            self._db.execute("PRAGMA user_version = 1")
