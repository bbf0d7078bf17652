"""Reservations of the data allowance: committed before a task spends a byte."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Mapping

from qos_agent.journal.types import Reservation, Usage

# Link, probe and day.
Key = tuple[str, str, str]

_COLUMNS = "id, link, probe, size_bytes, boot_id, due_boot_ns"


def reserve(db: sqlite3.Connection, wanted: Reservation, day: str) -> int:
    """Enter a reservation (its `id` is given here) on a day; the id."""
    entered = db.execute(
        "INSERT INTO reservation (link, probe, size_bytes, boot_id, due_boot_ns, day)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (wanted.link, wanted.probe, wanted.size_bytes, wanted.boot_id,
         wanted.due_boot_ns, day),
    )  # fmt: skip
    return int(entered.lastrowid or 0)


def settle(db: sqlite3.Connection, reservation: int, spent_bytes: int) -> None:
    """Enter what the task really moved."""
    db.execute(
        "UPDATE reservation SET spent_bytes = ? WHERE id = ?",
        (spent_bytes, reservation),
    )


def settle_killed(db: sqlite3.Connection) -> tuple[Reservation, ...]:
    """What a killed agent left open: counted as spent in full, and returned."""
    rows = db.execute(
        f"SELECT {_COLUMNS} FROM reservation WHERE spent_bytes IS NULL ORDER BY id"  # noqa: S608
    ).fetchall()
    db.execute(
        "UPDATE reservation SET spent_bytes = size_bytes WHERE spent_bytes IS NULL"
    )
    return tuple(Reservation(*row) for row in rows)


def spend(db: sqlite3.Connection, key: Key, size: int) -> None:
    """Count bytes that needed no reservation, one row a link, probe and day."""
    link, probe, day = key
    found = db.execute(
        "UPDATE reservation SET spent_bytes = spent_bytes + ?"
        " WHERE link = ? AND day = ? AND probe = ? AND boot_id = ''",
        (size, link, day, probe),
    )
    if found.rowcount == 0:
        db.execute(
            "INSERT INTO reservation"
            " (link, probe, size_bytes, boot_id, due_boot_ns, day, spent_bytes)"
            " VALUES (?, ?, 0, '', 0, ?, ?)",
            (link, probe, day, size),
        )


def usage(db: sqlite3.Connection, link: str, since_day: str) -> tuple[Usage, ...]:
    """Spent, or still reserved, by day and probe, from a day on."""
    rows = db.execute(
        "SELECT day, probe, SUM(COALESCE(spent_bytes, size_bytes)) FROM reservation"
        " WHERE link = ? AND day >= ? GROUP BY day, probe ORDER BY day, probe",
        (link, since_day),
    )
    return tuple(Usage(*row) for row in rows)


def with_unwritten(
    on_disk: tuple[Usage, ...], unwritten: Mapping[Key, int], link: str, since_day: str
) -> tuple[Usage, ...]:
    """The usage on disk and what waits for the next commit."""
    sums = Counter({(use.day, use.probe): use.spent_bytes for use in on_disk})
    for (of_link, probe, day), size_bytes in unwritten.items():
        if of_link == link and day >= since_day:
            sums[day, probe] += size_bytes
    return tuple(Usage(*key, spent) for key, spent in sorted(sums.items()))


def forget(db: sqlite3.Connection, before_day: str) -> None:
    """Remove what no allowance period reaches back to."""
    db.execute("DELETE FROM reservation WHERE day < ?", (before_day,))
