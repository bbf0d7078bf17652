"""The journal's records of removed points, compared with the missing points."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from qos_agent.journal import Removal
from qos_agent.journal.eviction import removals
from qos_agent.journal.tables import FILE_NAME, connect_to_read


def ledger(folder: Path) -> list[Removal]:
    """Return the removals that a folder's journal has recorded."""
    with closing(connect_to_read(folder / FILE_NAME)) as db:
        return removals(db)


def check_ledger(folder: Path, gone: set[int]) -> None:
    """Check that each missing point is in a recorded span and that all are counted."""
    entries = ledger(folder)
    assert sum(entry.points for entry in entries) == len(gone)
    spans = [(entry.first_seq, entry.last_seq) for entry in entries]
    assert gone == {s for s in gone if any(low <= s <= high for low, high in spans)}
