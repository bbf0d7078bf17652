"""The span of time in which this software can run. Pure.

A time from outside that is not in it is no evidence: a server's Date of the year 9999,
a clock that shows 1970, or 2038 after a damaged value.
"""

from __future__ import annotations

# September 2026: no reading is older than this software.
FIRST_NS = 1_790_000_000 * 10**9
# Nine years later. Wrong clocks often show 2036 (NTP era 1) or 2038 (32 bits).
LAST_NS = FIRST_NS + 3287 * 86400 * 10**9


def is_plausible(wall_ns: float) -> bool:
    """Return True if a wall time in nanoseconds is within the span."""
    return FIRST_NS <= wall_ns < LAST_NS
