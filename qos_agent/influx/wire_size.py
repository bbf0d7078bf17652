"""Estimates the bytes on the wire from the bytes of HTTP. Pure.

The kernel's byte count of the connection is not accessible through the library, and
the count of the interface includes other programs. The estimate is an upper bound.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

# IPv4 and TCP headers with timestamps, and an acknowledgement for every second
# segment.
_SEGMENT_BYTES = 1348
_HEADERS_BYTES = 52
# The frame of a TLS record.
_RECORD_BYTES = 29
_RECORD_MAX_BYTES = 16384
# Opening and closing TCP, and the name's resolution; TLS 1.3 with a chain of two.
_CONNECTION_BYTES = 9 * 60 + 300
_HANDSHAKE_BYTES = 6000


@dataclass(frozen=True, slots=True)
class WireBytes:
    """Bytes in each direction."""

    sent: int
    received: int


def wire_bytes(
    sent: int, received: int, connections: int, *, secure: bool
) -> WireBytes:
    """Return the bytes on the wire for bytes of HTTP and newly opened connections."""
    out, back = _framed(sent, secure=secure), _framed(received, secure=secure)
    opening = _CONNECTION_BYTES + (_HANDSHAKE_BYTES if secure else 0)
    share = connections * opening // 2
    return WireBytes(
        sent=out + _acknowledgements(back) + share,
        received=back + _acknowledgements(out) + share,
    )


def _framed(size: int, *, secure: bool) -> int:
    records = math.ceil(size / _RECORD_MAX_BYTES) if secure else 0
    payload = size + records * _RECORD_BYTES
    return payload + math.ceil(payload / _SEGMENT_BYTES) * _HEADERS_BYTES


def _acknowledgements(size: int) -> int:
    return math.ceil(size / (2 * (_SEGMENT_BYTES + _HEADERS_BYTES))) * _HEADERS_BYTES
