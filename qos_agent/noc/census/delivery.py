"""The spans of each province: longer while its agents deliver less often.

Outside voting and counting agents deliver every few minutes. Their heartbeats contain
the interval until the next delivery. A station is late or silent only if a delivery is
missing, so the limits follow the longest interval of the province.
"""

from __future__ import annotations

from collections.abc import Mapping

from qos_agent.influx.query import QueryError, Server
from qos_agent.noc.census import queries
from qos_agent.noc.census.spans import Spans
from qos_agent.noc.settings import CensusSection

# The newest heartbeats have the interval in force. If there are none, the longest
# interval allowed has passed since the last delivery of every agent.
_NEWEST_S, _BACK_S = 180, 7500


def spans_by_province(
    servers: Mapping[str, Server],
    at_ns: int,
    settings: CensusSection,
    failed: dict[str, str],
) -> dict[str, Spans]:
    """Return the spans of each province, and record the error of each that fails."""
    spans: dict[str, Spans] = {}
    for province, server in servers.items():
        try:
            delivery_s = _interval_s(server, province, at_ns)
        except QueryError as error:
            failed[province] = str(error)
            continue
        spans[province] = Spans.until(at_ns, settings, delivery_s)
    return spans


def _interval_s(server: Server, province: str, at_ns: int) -> float:
    for back_s in (_NEWEST_S, _BACK_S):
        span = at_ns - back_s * 10**9, at_ns
        interval_s = queries.longest_delivery(server, province, span)
        if interval_s is not None:
            return interval_s
    return 0.0
