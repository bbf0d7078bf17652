"""What the census remembers over a restart: how far it is, who was heard last."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path

from qos_agent.errors import StorageError

_SCHEMA = """
PRAGMA journal_mode = WAL;
CREATE TABLE IF NOT EXISTS mark (name TEXT PRIMARY KEY, at_ns INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS heard (station TEXT PRIMARY KEY, at_ns INTEGER NOT NULL)
    WITHOUT ROWID;
"""


class State:
    """Marks by name, and the last heartbeat of stations that went silent."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = sqlite3.connect(path, isolation_level=None)
            self._db.executescript(_SCHEMA)
        except sqlite3.Error as error:
            raise StorageError("open", str(path), str(error)) from error

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
        self._db.execute("BEGIN")
        self._db.executemany(
            "INSERT INTO heard VALUES (?, ?) ON CONFLICT (station) "
            "DO UPDATE SET at_ns = max(at_ns, excluded.at_ns)",
            heard.items(),
        )
        self._db.execute("COMMIT")

    def close(self) -> None:
        """Close the file."""
        self._db.close()
