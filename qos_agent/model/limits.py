"""The limits of every response that a client reads from a server. Pure.

A server may be broken or hostile, so each client stops at these numbers. The limits of
a test's data and time are settings (`web`, `form`, `throughput`, `collector.timeout`).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ResponseLimits:
    """Limits of one response. The body ends at its limit, and a longer head fails.

    `head_bytes` and `head_lines` include interim responses. `body_bytes` holds before
    and after decompression. With `decodes` False the client neither asks for nor
    decodes a compressed body.
    """

    body_bytes: int
    head_bytes: int = 1_000_000
    head_lines: int = 10_000
    decodes: bool = False


# A rejection of InfluxDB is a line of JSON. The decision reads its first part only.
WRITE = ResponseLimits(body_bytes=65_536)
# A row for each of the 140,000 stations of the largest province is about 42 MB.
QUERY = ResponseLimits(body_bytes=64_000_000, decodes=True)
# An answer of a server that refuses a query is a line of JSON, too.
QUERY_ERROR_BYTES = 65_536
