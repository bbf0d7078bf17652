"""The limits of every response that a client reads from a server. Pure.

A server may be broken or hostile, so each client stops at these numbers. The limits of
a test's data and time are settings (`web`, `form`, `throughput`, `collector.timeout`).
docs/security.md has all of them in one table.
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


# All heads of a response to a probe, interim ones too: the limit of Chromium.
PROBE_HEAD_BYTES = 256 * 1024
# Lines with the sizes of chunks, and trailers; RFC 9112, 7.1.1 asks for a limit.
PROBE_CHUNK_LINES_BYTES = 16 * 1024
# The memory of the process of speedtest-cli, which reads pages whole and inflates them.
# It needs 60 MB.
SPEEDTEST_MEMORY_BYTES = 256_000_000

# A rejection of InfluxDB is a line of JSON. The decision reads its first part only.
WRITE = ResponseLimits(body_bytes=65_536)
# A row for each of the 140,000 stations of the largest province is about 42 MB.
QUERY = ResponseLimits(body_bytes=64_000_000, decodes=True)
# The answer of the centre to an enrolment: token, configuration and calendar.
ENROLMENT = ResponseLimits(body_bytes=1_000_000)
# An answer of a server that refuses a query is a line of JSON, too.
QUERY_ERROR_BYTES = 65_536
