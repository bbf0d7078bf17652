"""STAMP's packets (RFC 8762), as the agent sends and the reflector answers them.

Unauthenticated packets have 44 octets. Authenticated ones have 112; their last 16 are
HMAC-SHA-256, cut to 128 bits, over the first 96 (4.4): both sides share a key, and
neither packet says anything secret. Time stamps are NTP's 64 bits.
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
# Seconds from 1900, where NTP begins, to 1970.
_NTP_EPOCH_S = 2_208_988_800
# Not synchronised as far as is known; scale 32, multiplier 1: within a second (4.2.1).
_ERROR_ESTIMATE = 0x2001

_REQUEST = struct.Struct("!IQH30x")
_REPLY = struct.Struct("!IQH2xQIQH2xB3x")
_SIGNED_REQUEST = struct.Struct("!I12xQH70x")
_SIGNED_REPLY = struct.Struct("!I12xQH6xQ8xI12xQH6xB15x")


@dataclass(frozen=True, slots=True)
class Request:
    """What a session-sender said: its number and stamp, to be given back."""

    number: int
    stamp: int
    error_estimate: int


@dataclass(frozen=True, slots=True)
class Reply:
    """What a reflector said; `count` is its own number in this session."""

    count: int
    number: int
    stamp: int


@dataclass(frozen=True, slots=True)
class Reflection:
    """What a reflector adds: its count, when the request came, its hop limit."""

    count: int
    received_stamp: int
    sent_stamp: int
    ttl: int


def ntp_stamp(time_ns: int) -> int:
    """Nanoseconds since 1970 as NTP's 64 bits: 32 of seconds, 32 of their parts."""
    seconds, part_ns = divmod(time_ns, 10**9)
    return ((seconds + _NTP_EPOCH_S) & 0xFFFFFFFF) << 32 | (part_ns << 32) // 10**9


def request(number: int, stamp: int, key: bytes | None = None) -> bytes:
    """A session-sender's packet, authenticated where there is a key (4.2)."""
    form = _REQUEST if key is None else _SIGNED_REQUEST
    return _signed(form.pack(number, stamp, _ERROR_ESTIMATE), key)


def parse_request(data: bytes, key: bytes | None = None) -> Request:
    """What a sender asked. Raises ProbeError `bad_answer` (short) or `forged`."""
    _check(data, key)
    form = _REQUEST if key is None else _SIGNED_REQUEST
    return Request(*form.unpack_from(data))


def reply(asked: Request, added: Reflection, size: int, key: bytes | None) -> bytes:
    """The answer, of the `size` of the request and not one octet more (4.3)."""
    form = _REPLY if key is None else _SIGNED_REPLY
    packet = form.pack(
        added.count,
        added.sent_stamp,
        _ERROR_ESTIMATE,
        added.received_stamp,
        asked.number,
        asked.stamp,
        asked.error_estimate,
        added.ttl,
    )
    return _signed(packet, key).ljust(size, b"\0")


def parse_reply(data: bytes, key: bytes | None = None) -> Reply:
    """What a reflector answered. Raises ProbeError `bad_answer` or `forged`."""
    _check(data, key)
    form = _REPLY if key is None else _SIGNED_REPLY
    count, _, _, _, number, stamp, _, _ = form.unpack_from(data)
    return Reply(count, number, stamp)


def _signed(packet: bytes, key: bytes | None) -> bytes:
    return packet if key is None else packet + _digest(packet, key)


def _digest(packet: bytes, key: bytes) -> bytes:
    return hmac.digest(key, packet[:_SIGNED_BYTES], hashlib.sha256)[:_HMAC_BYTES]


def _check(data: bytes, key: bytes | None) -> None:
    least = PLAIN_BYTES if key is None else AUTHENTICATED_BYTES
    if len(data) < least:
        raise ProbeError("bad_answer", f"{len(data)} octets where {least} are least")
    if key is not None:
        given = data[_SIGNED_BYTES:AUTHENTICATED_BYTES]
        if not hmac.compare_digest(given, _digest(data, key)):
            raise ProbeError("forged", "the packet's authentication does not fit")
