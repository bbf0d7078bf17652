"""STAMP packets (RFC 8762) of the agent and the reflector.

Unauthenticated packets have 44 octets. Authenticated packets have 112 octets. Their
last 16 are HMAC-SHA-256, cut to 128 bits, over the first 96 (4.4). Both sides share a
key. The packets are not encrypted and contain nothing secret. Timestamps have the
64-bit format of NTP.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from dataclasses import dataclass

from qos_agent.model.errors import ProbeError

PORT = 862
PLAIN_BYTES, AUTHENTICATED_BYTES = 44, 112

_SIGNED_BYTES, _HMAC_BYTES = 96, 16
# Seconds from 1900, the epoch of NTP, to 1970.
_NTP_EPOCH_S = 2_208_988_800
# Clock not known to be synchronised; scale 32, multiplier 1: within a second (4.2.1).
_ERROR_ESTIMATE = 0x2001

_REQUEST = struct.Struct("!IQH30x")
_REPLY = struct.Struct("!IQH2xQIQH2xB3x")
_SIGNED_REQUEST = struct.Struct("!I12xQH70x")
_SIGNED_REPLY = struct.Struct("!I12xQH6xQ8xI12xQH6xB15x")


@dataclass(frozen=True, slots=True)
class Request:
    """A packet of a Session-Sender; the reflector returns its number and stamp."""

    number: int
    stamp: int
    error_estimate: int


@dataclass(frozen=True, slots=True)
class Reply:
    """A packet of a Session-Reflector; `count` is its own number in the session."""

    count: int
    number: int
    stamp: int


@dataclass(frozen=True, slots=True)
class Reflection:
    """The reflector's part of a reply: count, timestamps, and the request's TTL."""

    count: int
    received_stamp: int
    sent_stamp: int
    ttl: int


def ntp_stamp(time_ns: int) -> int:
    """Convert nanoseconds since 1970 into an NTP timestamp of 64 bits."""
    seconds, part_ns = divmod(time_ns, 10**9)
    return ((seconds + _NTP_EPOCH_S) & 0xFFFFFFFF) << 32 | (part_ns << 32) // 10**9


def request(number: int, stamp: int, key: bytes | None = None) -> bytes:
    """Return a Session-Sender packet, authenticated if `key` is not None (4.2)."""
    form = _REQUEST if key is None else _SIGNED_REQUEST
    return _signed(form.pack(number, stamp, _ERROR_ESTIMATE), key)


def parse_request(data: bytes, key: bytes | None = None) -> Request:
    """Parse a sender's packet. Raises ProbeError `bad_answer` (short) or `forged`."""
    _check(data, key)
    form = _REQUEST if key is None else _SIGNED_REQUEST
    return Request(*form.unpack_from(data))


def reply(
    received: Request, reflection: Reflection, size: int, key: bytes | None
) -> bytes:
    """Return the reflector's packet, as long as the request: `size` octets (4.3)."""
    form = _REPLY if key is None else _SIGNED_REPLY
    packet = form.pack(
        reflection.count,
        reflection.sent_stamp,
        _ERROR_ESTIMATE,
        reflection.received_stamp,
        received.number,
        received.stamp,
        received.error_estimate,
        reflection.ttl,
    )
    return _signed(packet, key).ljust(size, b"\0")


def parse_reply(data: bytes, key: bytes | None = None) -> Reply:
    """Parse a reflector's packet. Raises ProbeError `bad_answer` or `forged`."""
    _check(data, key)
    form = _REPLY if key is None else _SIGNED_REPLY
    count, _, _, _, number, stamp, _, _ = form.unpack_from(data)
    return Reply(count, number, stamp)


def _signed(packet: bytes, key: bytes | None) -> bytes:
    return packet if key is None else packet + _digest(packet, key)


def _digest(packet: bytes, key: bytes) -> bytes:
    return hmac.digest(key, packet[:_SIGNED_BYTES], hashlib.sha256)[:_HMAC_BYTES]


def _check(data: bytes, key: bytes | None) -> None:
    minimum = PLAIN_BYTES if key is None else AUTHENTICATED_BYTES
    if len(data) < minimum:
        raise ProbeError("bad_answer", f"{len(data)} octets, minimum {minimum}")
    if key is not None:
        received = data[_SIGNED_BYTES:AUTHENTICATED_BYTES]
        if not hmac.compare_digest(received, _digest(data, key)):
            raise ProbeError("forged", "the HMAC does not match")
