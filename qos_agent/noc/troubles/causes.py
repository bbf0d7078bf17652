"""The causes of trouble, the most fundamental first.

A trouble of an earlier cause explains those of later causes in the same place.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cause:
    """One kind of trouble.

    `usual` is the smallest share of stations that is affected on a normal day. If more
    is usual in most provinces, that share counts. `neutral` is the figure of a place
    without trouble. `counts` is false for a figure that is no share of stations.
    """

    name: str
    by_operator: bool
    usual: float
    neutral: float = 0.0
    counts: bool = True


OUTAGE_PLACE = Cause("outage-place", False, 0.03)
OUTAGE_OPERATOR = Cause("outage-operator", True, 0.03)
SILENT = Cause("silent", False, 0.02)
BAD_SHARE = Cause("bad-share", True, 0.03)
DEGRADED_SHARE = Cause("degraded-share", True, 0.10)
LOSS = Cause("loss", True, 0.005)
RTT = Cause("rtt", True, 0.05, neutral=1.0, counts=False)
# One link in six is slow on any day.
THROUGHPUT = Cause("throughput", True, 0.17)
UPLOAD = Cause("upload", True, 0.05)
BACKLOG = Cause("backlog", False, 0.05, counts=False)
UNSENT = Cause("unsent", False, 0.02)
LATE = Cause("late", False, 0.05)
CLOCK = Cause("clock", False, 0.02)
ALLOWANCE = Cause("allowance", False, 0.02)

CAUSES = (
    OUTAGE_PLACE,
    OUTAGE_OPERATOR,
    SILENT,
    BAD_SHARE,
    DEGRADED_SHARE,
    LOSS,
    RTT,
    THROUGHPUT,
    UPLOAD,
    BACKLOG,
    UNSENT,
    LATE,
    CLOCK,
    ALLOWANCE,
)
RANK = {cause.name: rank for rank, cause in enumerate(CAUSES)}
# These have causes of their own on the device, so no outage explains them.
INDEPENDENT = frozenset({CLOCK.name, ALLOWANCE.name})
