"""Rows of the point and pending tables."""

from __future__ import annotations

import sqlite3

from qos_agent.journal.encoding import Line, NumberedPoint, to_text
from qos_agent.model.time_span import LAST_NS


def insert(db: sqlite3.Connection, line: Line) -> None:
    """Store an encoded point."""
    db.execute(
        "INSERT INTO point (seq, time_ns, rank, leaf, line) VALUES (?, ?, ?, ?, ?)",
        (line.seq, line.time_ns, line.rank, line.leaf, line.line),
    )


def insert_pending(
    db: sqlite3.Connection, numbered: NumberedPoint, boot_id: str
) -> None:
    """Store a point that waits for its timestamp."""
    content = to_text(numbered.rank, numbered.point)
    row = (numbered.seq, boot_id, numbered.point.boot_ns, content)
    db.execute("INSERT INTO pending VALUES (?, ?, ?, ?)", row)


def delete_pending(db: sqlite3.Connection, seq: int) -> int:
    """Remove a point that was stamped; return 1, or 0 if there is none."""
    return db.execute("DELETE FROM pending WHERE seq = ?", (seq,)).rowcount


def is_taken(db: sqlite3.Connection, time_ns: int, series: bytes) -> bool:
    """Return True if a point of this series has this time, or an evicted one may."""
    rows = db.execute(
        "SELECT 1 FROM point WHERE time_ns = ?"
        " AND (line IS NULL OR substr(line, 1, ?) = ?) LIMIT 1",
        (time_ns, len(series), series),
    )
    return rows.fetchone() is not None


def lines(
    db: sqlite3.Connection, after_seq: int, limit: int
) -> list[tuple[int, bytes]]:
    """Return number and line of up to `limit` points after a number, in order."""
    return db.execute(
        "SELECT seq, CAST(line AS BLOB) FROM point WHERE seq > ? AND line IS NOT NULL"
        " ORDER BY seq LIMIT ?",
        (after_seq, limit),
    ).fetchall()


def last_time_ns(db: sqlite3.Connection) -> int | None:
    """Return the newest timestamp, or None if the journal is empty.

    A time in the far future is that of a damaged row, or of a clock that was wrong.
    """
    row = db.execute(
        "SELECT CAST(MAX(time_ns) AS INTEGER) FROM point WHERE time_ns < ?", (LAST_NS,)
    ).fetchone()
    return None if row[0] is None else int(row[0])


def next_seq(db: sqlite3.Connection) -> int:
    """Return the number of the next point; the newest point is never removed."""
    row = db.execute(
        "SELECT MAX(0, IFNULL((SELECT MAX(seq) FROM point), 0),"
        " IFNULL((SELECT MAX(seq) FROM pending), 0)) + 1"
    ).fetchone()
    return int(row[0])
