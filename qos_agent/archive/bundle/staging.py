"""The readings of a bundle in order of device, journal and number, in DuckDB.

Sources give readings in any order, and several times. DuckDB sorts them on the disk.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qos_agent.archive.bundle.numbered import identity
from qos_agent.archive.columns import NotAReadingError, Parser
from qos_agent.archive.database import MEMORY_MB, connected, text
from qos_agent.archive.sources.journal import leaves_of
from qos_agent.archive.sources.types import Source, readable_items

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_BATCH = 50_000
_ROWS_AT_ONCE = 2048
_TILES = 64
_COLUMNS = (
    "{'device': 'VARCHAR', 'journal': 'VARCHAR', 'seq': 'BIGINT', 'line': 'VARCHAR'}"
)
# Called with the number of lines so far, and what is being done.
Progress = Callable[[int, str], None]


class Staged:
    """The lines of all sources, and the leaf hashes that journals have."""

    def __init__(self, db: DuckDBPyConnection, folder: Path) -> None:
        self._db = db
        self._csv = folder / "batch.csv"
        self._rows: list[tuple[str, str, int, str]] = []
        self.faults: list[str] = []
        self.lines = 0
        db.execute(
            "CREATE TABLE raw (device VARCHAR, journal VARCHAR, seq BIGINT,"
            " line VARCHAR)"
        )
        db.execute("CREATE TABLE leaf (journal VARCHAR, first BIGINT, hashes BLOB)")

    def read(self, sources: Iterable[Source], progress: Progress) -> None:
        """Stage everything, then sort it."""
        for source in sources:
            parser = Parser()
            for item in readable_items(source):
                if item.line is None:
                    self.faults.append(f"{source.name}: {item.fault}")
                else:
                    self._add(parser, item.line, source.name)
                if len(self._rows) >= _BATCH:
                    self._flush()
                    progress(self.lines, f", {source.name}")
            self._add_leaves(source)
        self._flush()
        self._db.execute(
            "CREATE TABLE line AS SELECT DISTINCT * FROM raw"
            " ORDER BY device, journal, seq, line"
        )
        self._db.execute("DROP TABLE raw")

    def _add(self, parser: Parser, line: bytes, source: str) -> None:
        try:
            parser.row(line)
            found = identity(line)
        except NotAReadingError:
            return
        except ValueError as error:
            self.faults.append(f"{source}: {str(error)[:200]}")
            return
        if found is not None:
            self._rows.append((*found, line.decode()))

    def _flush(self) -> None:
        if not self._rows:
            return
        with self._csv.open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)
            table.writerows(self._rows)
        self._db.execute(
            f"INSERT INTO raw SELECT * FROM read_csv({text(self._csv)}, header = false,"
            " delim = ',', quote = '\"', escape = '\"', auto_detect = false,"
            f" new_line = '\\n', columns = {_COLUMNS})"
        )
        self.lines += len(self._rows)
        self._rows = []

    def _add_leaves(self, source: Source) -> None:
        rows: list[tuple[str, int, bytes]] = []
        for row in leaves_of(source):
            rows.append(row)
            if len(rows) >= _TILES:
                self._db.executemany("INSERT INTO leaf VALUES (?, ?, ?)", rows)
                rows = []
        if rows:
            self._db.executemany("INSERT INTO leaf VALUES (?, ?, ?)", rows)

    def journals(self) -> list[tuple[str, str]]:
        """Return device and journal of all lines, sorted."""
        query = "SELECT DISTINCT device, journal FROM line ORDER BY device, journal"
        return [(str(a), str(b)) for a, b in self._db.execute(query).fetchall()]

    def of_journal(
        self, key: tuple[str, str], condition: str = "true"
    ) -> Iterator[tuple[int, bytes]]:
        """Yield number and line of a journal in order, also lines that contradict."""
        rows = self._db.cursor().execute(
            "SELECT seq, line FROM line WHERE device = ? AND journal = ?"
            f" AND {condition} ORDER BY seq, line",
            list(key),
        )
        yield from ((int(seq), str(line).encode()) for seq, line in _fetched(rows))

    def leaves(self, journal: str) -> Iterator[tuple[int, bytes]]:
        """Yield first number and hashes; the longest of a number comes last."""
        rows = self._db.cursor().execute(
            "SELECT first, hashes FROM leaf WHERE journal = ?"
            " ORDER BY octet_length(hashes), first, hashes",
            [journal],
        )
        yield from ((int(first), bytes(hashes)) for first, hashes in _fetched(rows))


@contextmanager
def staged(folder: Path, memory_mb: int = MEMORY_MB) -> Iterator[Staged]:
    """Open tables in a folder for temporary files."""
    with connected(folder / "bundle.duckdb", folder / "spill", memory_mb) as db:
        yield Staged(db, folder)


def _fetched(rows: DuckDBPyConnection) -> Iterator[Sequence[Any]]:
    while batch := rows.fetchmany(_ROWS_AT_ONCE):
        yield from batch
