"""Decides if rejections of single points show a fault of the server. Pure.

A server that rejects each point with one and the same text, which names none of them,
does not judge points. A proxy or a damaged database may do that.
"""

from __future__ import annotations

from collections.abc import Sequence

from qos_agent.influx.rejections import is_retention, names_point
from qos_agent.journal import Batch
from qos_agent.model.line_protocol import without_values

# A batch with more points than this is not rejected as a whole by chance.
HANDFUL = 10
# The points that are sent alone to find out. A batch of a station's minute is smaller.
SAMPLE = 20
# The shortest retention of 1.8 and 2.x (services/meta/data.go).
_RETENTION_MIN_NS = 3600 * 10**9


def names_any(text: str, part: Batch, now_ns: int) -> bool:
    """Return True if a text is about these points, by name or by their age."""
    if is_retention(text):
        return any(now_ns - time_ns > _RETENTION_MIN_NS for time_ns in part.times_ns())
    return names_point(text, part.lines)


def are_alike(texts: Sequence[str]) -> bool:
    """Return True if the texts are equal, apart from numbers and quoted values."""
    return len({without_values(text) for text in texts}) == 1
