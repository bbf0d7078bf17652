"""STAMP packets: the layout of RFC 8762, and invalid packets."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qos_agent.config import key_file
from qos_agent.model.errors import ConfigError, ProbeError
from qos_agent.probes.latency import stamp_packets
from qos_agent.probes.latency.stamp_packets import Reflection

KEY = b"a key that both sides share"
KEYS = st.sampled_from([None, KEY])
NUMBERS, STAMPS = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
ADDED = Reflection(count=7, received_stamp=8, sent_stamp=9, ttl=255)


def test_layout_is_the_standards() -> None:
    """Each field of both modes is at its octets (4.2.1, 4.2.2, 4.3.1, 4.3.2)."""
    plain, signed = stamp_packets.request(1, 2), stamp_packets.request(1, 2, KEY)
    assert (plain[0:4], plain[4:12]) == (b"\0\0\0\1", b"\0" * 7 + b"\2")
    assert (signed[0:4], signed[16:24]) == (b"\0\0\0\1", b"\0" * 7 + b"\2")
    reply = stamp_packets.reply(stamp_packets.parse_request(plain), ADDED, 44, None)
    assert (reply[3], reply[11], reply[23], reply[27]) == (7, 9, 8, 1)
    assert (reply[35], reply[40]) == (2, 255)
    signed_reply = stamp_packets.reply(
        stamp_packets.parse_request(signed, KEY), ADDED, 112, KEY
    )
    assert (signed_reply[3], signed_reply[23], signed_reply[39]) == (7, 9, 8)
    assert (signed_reply[51], signed_reply[71], signed_reply[80]) == (1, 2, 255)


@given(NUMBERS, STAMPS, KEYS, st.integers(0, 500))
def test_a_reply_returns_number_and_timestamp(
    number: int, stamp: int, key: bytes | None, padding: int
) -> None:
    """A reply has the probe's number and timestamp, and the length of the request."""
    request = stamp_packets.request(number, stamp, key) + bytes(padding)
    reply = stamp_packets.reply(
        stamp_packets.parse_request(request, key), ADDED, len(request), key
    )
    expected = stamp_packets.Reply(7, number, stamp)
    assert len(reply) == len(request)
    assert stamp_packets.parse_reply(reply, key) == expected


@given(KEYS, st.data())
def test_short_packets_are_rejected(key: bytes | None, data: st.DataObject) -> None:
    """Any packet that is shorter than its mode's size is a bad answer."""
    minimum = (
        stamp_packets.PLAIN_BYTES if key is None else stamp_packets.AUTHENTICATED_BYTES
    )
    packet = data.draw(st.binary(max_size=minimum - 1))
    with pytest.raises(ProbeError, match="bad_answer"):
        stamp_packets.parse_reply(packet, key)


@given(st.integers(0, 111), st.integers(0, 7))
def test_one_changed_bit_is_a_forgery(octet: int, bit: int) -> None:
    """Every changed bit of an authenticated packet is detected."""
    packet = bytearray(stamp_packets.request(1, 2, KEY))
    packet[octet] ^= 1 << bit
    with pytest.raises(ProbeError, match="forged"):
        stamp_packets.parse_request(bytes(packet), KEY)


def test_time_is_ntps() -> None:
    """Half a second after 1 January 1970 is 2208988800.5 in NTP time."""
    assert stamp_packets.ntp_stamp(500_000_000) == 2_208_988_800 << 32 | 1 << 31


@pytest.mark.parametrize("content", [None, b"", b"too short\n"])
def test_an_invalid_key_file_is_an_error(tmp_path: Path, content: bytes | None) -> None:
    """The error contains the command that creates a key."""
    path = tmp_path / "stamp.key"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match="openssl rand"):
        key_file.read_key(path)
