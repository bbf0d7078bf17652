"""A journal for tests, points for it, and direct access to its file."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from qos_agent.journal import Journal, JournalLimits, Lane
from qos_agent.journal.tables import FILE_NAME
from qos_agent.model import Phase, Point, Value
from tests.support.clocks import FakeClock
from tests.support.readings import IDENTITY, LATENCY_TAGS

# The disk of the test machine may be nearly full.
LIMITS = JournalLimits(disk_reserve_bytes=0)
PLACE = {
    "station": IDENTITY.station,
    "province": IDENTITY.province,
    "regency": IDENTITY.regency,
}
ALL = -(2**62)
EVICTION_RANKS = {"host": 0, "signal": 1}


def pre(_wall_ns: int) -> Phase:
    """Return the phase before the election for any time."""
    return Phase.PRE


def open_journal(
    folder: Path,
    limits: JournalLimits = LIMITS,
    collectors: Sequence[str] = ("collector",),
    phase_at: Callable[[int], Phase] = pre,
) -> Journal:
    """Open the journal of a folder."""
    return Journal.open(folder, IDENTITY, collectors, phase_at, limits, EVICTION_RANKS)


def point(boot_ns: int, measurement: str = "latency", **tags: str) -> Point:
    """Return a point of a measurement."""
    fields: dict[str, Value] = {"sent": 20, "received": 19, "rtt_p50_ms": 20.0}
    if measurement == "host":
        return Point("host", PLACE | tags, {"cpu_share": 0.25}, boot_ns)
    if measurement == "signal":
        return Point("signal", PLACE | tags, {"rsrp_dbm": -97.0}, boot_ns)
    if measurement == "verdict":
        link = {"link": "main", "operator": "telkomsel"}
        return Point("verdict", PLACE | link | tags, {"good": 1}, boot_ns)
    if measurement == "event":
        return Point("event", {**PLACE, "kind": "start"}, {"count": 1}, boot_ns)
    return Point(measurement, {**PLACE, **LATENCY_TAGS, **tags}, fields, boot_ns)


def put(journal: Journal, clock: FakeClock, count: int = 1) -> range:
    """Store points a millisecond apart."""
    points = []
    for _ in range(count):
        clock.advance(0.001)
        points.append(point(clock.boot_ns()))
    return journal.put(points, clock.state(), clock.boot_id)


def seqs(journal: Journal, after: int = ALL) -> list[int]:
    """Return the numbers of all stored points."""
    return [seq for seq, _ in journal.lines(after)]


def bodies(journal: Journal) -> list[bytes]:
    """Return the lines of all stored points."""
    return [line for _, line in journal.lines(ALL)]


def deliver(journal: Journal, collector: str = "collector") -> list[int]:
    """Claim and settle all points; return their numbers."""
    delivered: list[int] = []
    for lane in Lane:
        while batch := journal.claim(collector, 100, lane):
            journal.settle(batch)
            delivered += batch.seqs
    return sorted(delivered)


def look(folder: Path, sql: str) -> list[tuple[Any, ...]]:
    """Query the file directly."""
    with closing(sqlite3.connect(folder / FILE_NAME)) as db:
        return db.execute(sql).fetchall()


def change(folder: Path, statements: Iterable[str]) -> None:
    """Change the file without the journal."""
    with closing(sqlite3.connect(folder / FILE_NAME, isolation_level=None)) as db:
        for statement in statements:
            db.execute(statement)
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
