"""The readings of a build that are not yet in the archive, in a DuckDB file.

Rows and positions of the sources are committed together. After a kill the same command
therefore continues with the line behind the last commit.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from qos_agent.archive.columns import READINGS, columns, csv_columns
from qos_agent.archive.database import connected, csv_rows, quoted
from qos_agent.archive.manifest import SourceState
from qos_agent.model.errors import StorageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


# DuckDB keeps what is in the log in memory, too.
_LOG_MB = 64
# The name of the source of readings that were in the archive before.
ARCHIVE = "the archive"
# The day in UTC, and the province as a name of a folder.

_DAY = "strftime(make_timestamp_ns(time_ns), '%Y-%m-%d')"
_AREA = "CASE WHEN regexp_full_match(province, '[0-9]{2}') THEN province ELSE 'xx' END"


class Staging:
    """The tables of a build: one for each measurement, and the sources' states."""

    def __init__(self, db: DuckDBPyConnection, folder: Path) -> None:
        self.db = db
        self._csv = folder / "batch.csv"
        db.execute("CREATE TABLE IF NOT EXISTS source (name VARCHAR, state VARCHAR)")
        for name, measurement in READINGS.items():
            types = {**columns(measurement), **_OWN}
            defined = ", ".join(f"{quoted(c)} {t}" for c, t in types.items())
            db.execute(f"CREATE TABLE IF NOT EXISTS {quoted(name)} ({defined})")

    def states(self) -> dict[str, SourceState]:
        """Return the states of the sources so far, by name."""
        rows = self.db.execute("SELECT state FROM source").fetchall()
        states = (SourceState.from_table(json.loads(row[0])) for row in rows)
        return {state.name: state for state in states}

    def add(self, rows: Mapping[str, Sequence[str]], state: SourceState | None) -> None:
        """Commit rows of CSV by measurement together with the state of their source.

        Without a state the rows are those of the archive.
        """
        name = ARCHIVE if state is None else state.name
        self.db.execute("BEGIN")
        for measurement, lines in rows.items():
            self._csv.write_text("\n".join([*lines, ""]), encoding="utf-8")
            self.db.execute(_insert(measurement, self._csv), [name])
        if state is not None:
            self.db.execute("DELETE FROM source WHERE name = ?", [name])
            content = json.dumps(asdict(state))
            self.db.execute("INSERT INTO source VALUES (?, ?)", [name, content])
        self.db.execute("COMMIT")


_OWN = {"own_source": "VARCHAR", "own_day": "VARCHAR", "own_area": "VARCHAR"}


def _insert(measurement: str, path: Path) -> str:
    """Return the statement that adds the rows of a CSV file."""
    names = [name for name in columns(READINGS[measurement]) if name != "leaf"]
    chosen = ", ".join(quoted(name) for name in names)
    return (
        f"INSERT INTO {quoted(measurement)} SELECT {chosen}, unhex(leaf), ?,"
        f" {_DAY}, {_AREA} FROM {csv_rows(path, csv_columns(measurement))}"
    )


@contextmanager
def staging(folder: Path, memory_mb: int) -> Iterator[Staging]:
    """Open the staging file of an archive, or begin a new one.

    A file that cannot be opened is deleted, because its readings are still in the
    sources. Another version of the schema has another file.
    """
    tables = repr({name: columns(m) for name, m in READINGS.items()})
    digest = hashlib.sha256(tables.encode()).hexdigest()
    path = folder / f"staging-{digest[:16]}.duckdb"
    if not path.exists() or not _opens(path, folder, memory_mb):
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    with connected(path, folder / "spill", memory_mb) as db:
        # A checkpoint at each 16 MB of log writes every batch twice.
        db.execute(f"SET checkpoint_threshold = '{_LOG_MB}MB'")
        yield Staging(db, folder)


def _opens(path: Path, folder: Path, memory_mb: int) -> bool:
    try:
        with connected(path, folder / "spill", memory_mb) as db:
            Staging(db, folder).states()
    except (StorageError, ValueError, TypeError):
        return False
    return True
