"""Leaves out the readings of a build that no registered key has sealed.

Anyone with a token of a collector can write points under the name of a station. A
device seals the set of its own points, so the seals decide which ones count. A reading
is left out if its journal has no seal of a registered key, if it comes after the last
seal, if another line is the sealed one, if the seals do not prove the span between two
of them, or if the key was never registered for its station.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

from qos_agent.archive.bundle.findings import Findings
from qos_agent.archive.bundle.intervals import Chunk, Interval, intervals
from qos_agent.archive.bundle.register import Keys
from qos_agent.archive.bundle.sealing import SealPoint, Verified, read_seal, verified
from qos_agent.archive.columns import READINGS, columns, line_of
from qos_agent.archive.database import quoted, text
from qos_agent.archive.manifest import ArchiveFile
from qos_agent.archive.merging import complete, parquet
from qos_agent.archive.seals import MEASUREMENT as SEAL
from qos_agent.evidence import checkpoints

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

NO_KEY, NOT_SEALED, CONTRADICTING = "no-registered-key", "not-sealed", "contradicting"
NOT_PROVEN, OTHER_STATION = "not-proven", "other-station"
_ROWS_AT_ONCE = 8192
_LAST = 2**63 - 1
_FIRST = -_LAST
Key = tuple[str, str]
Span = tuple[int, int, str]


class Proof:
    """Finds what to leave out, in the staging tables of a build."""

    def __init__(
        self,
        db: DuckDBPyConnection,
        folder: Path,
        files: Sequence[ArchiveFile],
        keys: Keys,
    ) -> None:
        self._db = db
        self._keys = keys
        self._archived = [(f.measurement, folder / f.path) for f in files]

    def leave_out(self) -> dict[str, int]:
        """Fill the table `unproven`; return the number of readings by reason."""
        self._find_candidates()
        self._db.execute(
            "CREATE OR REPLACE TEMP TABLE span (device VARCHAR, journal VARCHAR,"
            " low BIGINT, high BIGINT, reason VARCHAR)"
        )
        self._db.execute(
            "CREATE OR REPLACE TEMP TABLE true_leaf (journal VARCHAR, seq BIGINT,"
            " leaf BLOB)"
        )
        self._db.execute(
            "CREATE OR REPLACE TEMP TABLE own_station (device VARCHAR,"
            " journal VARCHAR, station VARCHAR)"
        )
        pairs = self._db.execute(
            "SELECT DISTINCT device, journal FROM candidate WHERE is_new ORDER BY ALL"
        ).fetchall()
        for device, journal in pairs:
            self._judge((str(device), str(journal)))
        return self._result()

    def _find_candidates(self) -> None:
        """Put the staged readings, and the archived ones of their journals together.

        The table is not a temporary one, so that a second cursor can read it.
        """
        staged = (
            f"SELECT {_identity(name)}, true AS is_new FROM {quoted(name)}"
            for name in READINGS
        )
        self._db.execute(
            "CREATE OR REPLACE TABLE candidate AS SELECT DISTINCT * FROM"
            f" ({' UNION ALL '.join(staged)})"
        )
        for name, path in self._archived:
            self._db.execute(
                f"INSERT INTO candidate SELECT {_identity(name)}, false FROM"
                f" {complete(self._db, name, parquet([path]))} WHERE journal IN"
                " (SELECT DISTINCT journal FROM candidate WHERE is_new)"
            )

    def _judge(self, key: Key) -> None:
        """Note the spans of a journal that do not count, and the sealed lines."""
        origin = checkpoints.origin(*key)
        found = verified(self._seals(key), origin, self._keys, Findings())
        if not found.seals:
            self._note(key, [(_FIRST, _LAST, NO_KEY)])
            return
        self._note_stations(key, origin, found)
        sizes = [seal.sealed() for seal in found.seals]
        self._note(
            key, [(_FIRST, 0, NOT_SEALED), (sizes[-1].size + 1, _LAST, NOT_SEALED)]
        )
        rows = _Rows(self._leaves(key))
        for interval in intervals(sizes, rows.chunk):
            self._note_interval(key, interval)

    def _note_interval(self, key: Key, interval: Interval) -> None:
        if not interval.is_proven:
            self._note(key, [(interval.first, interval.last, NOT_PROVEN)])
            return
        chosen = {**interval.chosen, **interval.leaves}
        if chosen:
            values = [(key[1], seq, leaf) for seq, leaf in chosen.items()]
            self._db.executemany("INSERT INTO true_leaf VALUES (?, ?, ?)", values)

    def _note_stations(self, key: Key, origin: str, found: Verified) -> None:
        name = origin.rpartition("/")[0]
        own = {s for one in found.keys for s in self._keys.stations(name, one)}
        values = [(*key, station) for station in sorted(own)]
        self._db.executemany("INSERT INTO own_station VALUES (?, ?, ?)", values)

    def _note(self, key: Key, spans: Sequence[Span]) -> None:
        values = [(*key, *span) for span in spans]
        self._db.executemany("INSERT INTO span VALUES (?, ?, ?, ?, ?)", values)

    def _seals(self, key: Key) -> Iterator[SealPoint]:
        """Yield the seals of a journal, staged and archived."""
        names = ", ".join(map(quoted, columns(READINGS[SEAL])))
        places = [quoted(SEAL)]
        files = [path for name, path in self._archived if name == SEAL]
        places += [complete(self._db, SEAL, parquet([path])) for path in files]
        for place in places:
            rows = self._db.cursor().execute(
                f"SELECT {names} FROM {place} WHERE device = ? AND journal = ?"
                " ORDER BY seq, leaf",
                list(key),
            )
            for row in rows.fetchall():
                try:
                    yield read_seal(line_of(SEAL, row[:-1]))
                except (ValueError, TypeError):
                    continue

    def _leaves(self, key: Key) -> Iterator[tuple[int, bytes, bool]]:
        """Yield number and hash of each reading, and whether the archive has it."""
        rows = self._db.cursor().execute(
            "SELECT seq, leaf, bool_or(NOT is_new) FROM candidate WHERE device = ?"
            " AND journal = ? AND seq > 0 GROUP BY seq, leaf ORDER BY seq, leaf",
            list(key),
        )
        while batch := rows.fetchmany(_ROWS_AT_ONCE):
            for seq, leaf, is_archived in batch:
                yield int(seq), bytes(leaf), bool(is_archived)

    def _result(self) -> dict[str, int]:
        """Fill the table from the notes; a reading has the first of its reasons."""
        self._db.execute(
            "CREATE OR REPLACE TEMP TABLE unproven AS SELECT journal, seq, leaf,"
            " min(reason) AS reason FROM ("
            "SELECT c.journal, c.seq, c.leaf, s.reason FROM candidate c JOIN span s"
            " ON c.device = s.device AND c.journal = s.journal"
            " AND c.seq BETWEEN s.low AND s.high WHERE c.is_new"
            f" UNION ALL SELECT c.journal, c.seq, c.leaf, {text(CONTRADICTING)}"
            " FROM candidate c JOIN true_leaf t USING (journal, seq)"
            " WHERE c.is_new AND c.leaf <> t.leaf"
            f" UNION ALL SELECT c.journal, c.seq, c.leaf, {text(OTHER_STATION)}"
            " FROM candidate c SEMI JOIN own_station o USING (device, journal)"
            " ANTI JOIN own_station s USING (device, journal, station)"
            " WHERE c.is_new) GROUP BY journal, seq, leaf"
        )
        rows = self._db.execute(
            "SELECT reason, count(*) FROM unproven GROUP BY reason ORDER BY reason"
        )
        return {str(reason): int(count) for reason, count in rows.fetchall()}


class _Rows:
    """The sorted hashes of a journal, taken in spans."""

    def __init__(self, rows: Iterator[tuple[int, bytes, bool]]) -> None:
        self._groups = groupby(rows, key=itemgetter(0))
        self._waiting: tuple[int, list[tuple[int, bytes, bool]]] | None = None

    def chunk(self, first: int, last: int) -> Chunk:
        """Return the hashes of a span; those in the archive are proven already."""
        stored = [b"" for _ in range(first, last + 1)]
        found: list[Sequence[bytes]] = [() for _ in range(first, last + 1)]
        while (group := self._next()) is not None and group[0] <= last:
            seq, rows = group
            if seq >= first:
                found[seq - first] = [leaf for _, leaf, _ in rows]
                known = [leaf for _, leaf, is_archived in rows if is_archived]
                stored[seq - first] = known[0] if known else b""
            self._waiting = None
        return Chunk(first, stored, found)

    def _next(self) -> tuple[int, list[tuple[int, bytes, bool]]] | None:
        if self._waiting is None:
            group = next(self._groups, None)
            if group is not None:
                self._waiting = group[0], list(group[1])
        return self._waiting


def _identity(name: str) -> str:
    """Return the columns that identify a reading, with its station."""
    own = columns(READINGS[name])
    station = "station" if "station" in own else "NULL::VARCHAR AS station"
    return f"device, journal, seq, leaf, {station}"
