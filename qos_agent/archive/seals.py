"""Compares the seals in an archive with the readings in it.

A device seals its journal: the seal has the root of the Merkle tree over the leaves so
far (RFC 6962). If an archive has all readings up to a seal, their leaves must give the
same root. Signatures are not checked here, because that needs the keys of the devices.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from qos_agent.archive.database import text
from qos_agent.evidence.merkle import CompactRange

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_ROWS_AT_ONCE = 8192
MEASUREMENT = "seal"


@dataclass(frozen=True, slots=True)
class SealResult:
    """One seal: its root matches, does not match, or readings before it are missing."""

    journal: str
    size: int
    matches: bool | None


def seal_results(
    db: DuckDBPyConnection, files: Sequence[Path], table: str
) -> Iterator[SealResult]:
    """Yield the result of each seal by journal and size.

    `files` are the Parquet files of the measurement seal. `table` is a query with the
    columns journal, seq and leaf of all readings.
    """
    if not files:
        return
    listed = ", ".join(map(text, files))
    db.execute(
        "CREATE OR REPLACE TABLE sealed AS SELECT DISTINCT journal, size, root"
        f" FROM read_parquet([{listed}], union_by_name = true)"
        " WHERE cause IS DISTINCT FROM 'handover' AND size > 0 AND root IS NOT NULL"
    )
    rows = db.cursor().execute(
        f"SELECT journal, seq, leaf FROM ({table}) WHERE seq > 0"
        " AND journal IN (SELECT journal FROM sealed) ORDER BY journal, seq"
    )
    for journal, leaves in groupby(_fetched(rows), lambda row: str(row[0])):
        seals = db.execute(
            "SELECT size, root FROM sealed WHERE journal = ? ORDER BY size", [journal]
        ).fetchall()
        yield from _of_journal(journal, seals, ((row[1], row[2]) for row in leaves))


def _of_journal(
    journal: str,
    seals: Sequence[tuple[int, str]],
    leaves: Iterator[tuple[int, bytes]],
) -> Iterator[SealResult]:
    tree = CompactRange()
    is_whole = True
    for size, root in seals:
        while is_whole and tree.size < size:
            seq, leaf = next(leaves, (0, b""))
            is_whole = seq == tree.size + 1
            if is_whole:
                tree = tree.extended([leaf])
        matches = tree.root().hex() == root if is_whole else None
        yield SealResult(journal, size, matches)


def _fetched(rows: DuckDBPyConnection) -> Iterator[tuple[str, int, bytes]]:
    while batch := rows.fetchmany(_ROWS_AT_ONCE):
        yield from batch
