"""STAMP's packets: the layout of RFC 8762, and what does not pass for one."""

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
    """Each field of both modes stands at its octets (4.2.1, 4.2.2, 4.3.1, 4.3.2)."""
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
def test_what_was_asked_comes_back(
    number: int, own: int, key: bytes | None, padding: int
) -> None:
    """A reply names the probe and its stamp, and is exactly as long as the request."""
    asked = stamp_packets.request(number, own, key) + bytes(padding)
    reply = stamp_packets.reply(
        stamp_packets.parse_request(asked, key), ADDED, len(asked), key
    )
    assert len(reply) == len(asked)
    assert stamp_packets.parse_reply(reply, key) == stamp_packets.Reply(7, number, own)


@given(KEYS, st.data())
def test_short_packets_are_no_packets(key: bytes | None, data: st.DataObject) -> None:
    """Anything shorter than its mode's packet is a bad answer, whatever it holds."""
    least = (
        stamp_packets.PLAIN_BYTES if key is None else stamp_packets.AUTHENTICATED_BYTES
    )
    packet = data.draw(st.binary(max_size=least - 1))
    with pytest.raises(ProbeError, match="bad_answer"):
        stamp_packets.parse_reply(packet, key)


@given(st.integers(0, 111), st.integers(0, 7))
def test_one_changed_bit_is_a_forgery(octet: int, bit: int) -> None:
    """No bit of an authenticated packet can be changed unnoticed."""
    packet = bytearray(stamp_packets.request(1, 2, KEY))
    packet[octet] ^= 1 << bit
    with pytest.raises(ProbeError, match="forged"):
        stamp_packets.parse_request(bytes(packet), KEY)


def test_time_is_ntps() -> None:
    """1 January 1970 and a half second is NTP's 2208988800.5."""
    assert stamp_packets.ntp_stamp(500_000_000) == 2_208_988_800 << 32 | 1 << 31


@pytest.mark.parametrize("content", [None, b"", b"too short\n"])
def test_a_key_file_that_is_no_key_is_said(
    tmp_path: Path, content: bytes | None
) -> None:
    """The operator learns what was found, what is allowed, and how to make one."""
    path = tmp_path / "stamp.key"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match="openssl rand"):
        key_file.read_key(path)
