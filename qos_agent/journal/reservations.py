"""Reservations of the data allowance, committed before a task uses a byte."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Mapping

from qos_agent.journal.types import Reservation, Usage

# Link, probe and day.
Key = tuple[str, str, str]

_UNSETTLED = """
    SELECT id, link, probe, size_bytes, boot_id, due_boot_ns
    FROM reservation WHERE spent_bytes IS NULL ORDER BY id
"""


def reserve(db: sqlite3.Connection, reservation: Reservation, day: str) -> int:
    """Insert a reservation on a day and return its new id."""
    inserted = db.execute(
        "INSERT INTO reservation (link, probe, size_bytes, boot_id, due_boot_ns, day)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (
            reservation.link,
            reservation.probe,
            reservation.size_bytes,
            reservation.boot_id,
            reservation.due_boot_ns,
            day,
        ),
    )
    return int(inserted.lastrowid or 0)


def settle(db: sqlite3.Connection, reservation_id: int, spent_bytes: int) -> None:
    """Set the bytes that the task transferred."""
    db.execute(
        "UPDATE reservation SET spent_bytes = ? WHERE id = ?",
        (spent_bytes, reservation_id),
    )


def settle_killed(db: sqlite3.Connection) -> tuple[Reservation, ...]:
    """Return the reservations of a killed agent; count each as used in full."""
    rows = db.execute(_UNSETTLED).fetchall()
    db.execute(
        "UPDATE reservation SET spent_bytes = size_bytes WHERE spent_bytes IS NULL"
    )
    return tuple(Reservation(*row) for row in rows)


def spend(db: sqlite3.Connection, key: Key, size_bytes: int) -> None:
    """Count bytes without a reservation, in one row for each link, probe and day."""
    link, probe, day = key
    updated = db.execute(
        "UPDATE reservation SET spent_bytes = spent_bytes + ?"
        " WHERE link = ? AND day = ? AND probe = ? AND boot_id = ''",
        (size_bytes, link, day, probe),
    )
    if updated.rowcount == 0:
        db.execute(
            "INSERT INTO reservation"
            " (link, probe, size_bytes, boot_id, due_boot_ns, day, spent_bytes)"
            " VALUES (?, ?, 0, '', 0, ?, ?)",
            (link, probe, day, size_bytes),
        )


def usage(db: sqlite3.Connection, link: str, since_day: str) -> tuple[Usage, ...]:
    """Return the bytes used or reserved by day and probe, starting with a day."""
    rows = db.execute(
        "SELECT day, probe, SUM(COALESCE(spent_bytes, size_bytes)) FROM reservation"
        " WHERE link = ? AND day >= ? GROUP BY day, probe ORDER BY day, probe",
        (link, since_day),
    )
    return tuple(Usage(*row) for row in rows)


def with_uncommitted(
    committed: tuple[Usage, ...],
    uncommitted: Mapping[Key, int],
    link: str,
    since_day: str,
) -> tuple[Usage, ...]:
    """Return the usage on disk plus the bytes that wait for the next commit."""
    sums = Counter({(use.day, use.probe): use.spent_bytes for use in committed})
    for (used_link, probe, day), size_bytes in uncommitted.items():
        if used_link == link and day >= since_day:
            sums[day, probe] += size_bytes
    return tuple(Usage(*key, spent) for key, spent in sorted(sums.items()))


def remove_before(db: sqlite3.Connection, day: str) -> None:
    """Remove the rows of days before `day`."""
    db.execute("DELETE FROM reservation WHERE day < ?", (day,))
