"""The durable local store: every point is on disk before it is sent.

It numbers, encodes, stores, claims and removes points, and keeps the account of the
data allowance. It knows nothing of InfluxDB or of probes. It may import `evidence`,
`config`, `system` and `model`.
"""

from qos_agent.journal.store import Journal
from qos_agent.journal.types import (
    Anchor,
    Batch,
    JournalCounts,
    JournalEvent,
    JournalLimits,
    Lane,
    QuarantinedPoint,
    Removal,
    Reservation,
    Usage,
)

__all__ = [
    "Anchor",
    "Batch",
    "Journal",
    "JournalCounts",
    "JournalEvent",
    "JournalLimits",
    "Lane",
    "QuarantinedPoint",
    "Removal",
    "Reservation",
    "Usage",
]
