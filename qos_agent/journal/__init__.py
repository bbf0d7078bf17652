"""The durable local store of points."""

from qos_agent.journal.store import Journal
from qos_agent.journal.types import (
    Batch,
    JournalCounts,
    JournalEvent,
    JournalLimits,
    Lane,
    Refusal,
    Removal,
    Reservation,
    Usage,
)

__all__ = [
    "Batch",
    "Journal",
    "JournalCounts",
    "JournalEvent",
    "JournalLimits",
    "Lane",
    "Refusal",
    "Removal",
    "Reservation",
    "Usage",
]
