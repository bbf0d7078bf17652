"""Packet captures with kernel timestamps, which tests compare measurements with.

No thread reads during the capture. The packets stay in the socket's buffer with the
kernel's timestamps until the capture ends, so it does not slow the measured program.
"""

from __future__ import annotations

import ctypes
import socket
import struct
from typing import NamedTuple

ALL_PROTOCOLS = 0x0003
SO_TIMESTAMPNS = 35
SO_ATTACH_FILTER = 26
SO_RCVBUFFORCE = 33
SOL_PACKET = 263
PACKET_STATISTICS = 6
ECHO_REQUESTS = (8, 128)
ECHO_REPLIES = (0, 129)

# Classic BPF (code, jump if true, jump if false, operand): ICMP or UDP, IPv4 or IPv6.
LOAD_HALF, LOAD_BYTE, EQUALS, RETURN = 0x28, 0x30, 0x15, 0x06
ICMP_OR_UDP = (
    (LOAD_HALF, 0, 0, 12),
    (EQUALS, 0, 3, 0x0800),
    (LOAD_BYTE, 0, 0, 23),
    (EQUALS, 5, 0, 1),
    (EQUALS, 4, 5, 17),
    (EQUALS, 0, 4, 0x86DD),
    (LOAD_BYTE, 0, 0, 20),
    (EQUALS, 1, 0, 58),
    (EQUALS, 0, 1, 17),
    (RETURN, 0, 0, 0xFFFF),
    (RETURN, 0, 0, 0),
)


class Packet(NamedTuple):
    """One Ethernet frame and its timestamp (CLOCK_REALTIME)."""

    at_ns: int
    frame: bytes


class Echo(NamedTuple):
    """The identity of an echo, which its request and reply share."""

    identifier: int
    sequence: int


def open_capture(device: str, buffer_bytes: int = 64 << 20) -> socket.socket:
    """Start to capture ICMP and UDP on a device of the current namespace."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sock.setblocking(False)
    _attach_filter(sock)
    sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, buffer_bytes)
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    # Protocol 0 above receives nothing, so no packet arrives before the filter is set.
    sock.bind((device, ALL_PROTOCOLS))
    return sock


def drain(sock: socket.socket) -> list[Packet]:
    """Return the captured packets in order. Raises BufferError if any was lost."""
    packets: list[Packet] = []
    while True:
        try:
            frame, control, _, _ = sock.recvmsg(65535, 64)
        except BlockingIOError:
            break
        packets.append(Packet(_timestamp_ns(control), frame))
    statistics = sock.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8)
    _, lost = struct.unpack("II", statistics)
    if lost:
        raise BufferError(f"the capture lost {lost} packets; give it a larger buffer")
    return packets


def echo_of(frame: bytes) -> tuple[int, Echo] | None:
    """Return the ICMP type and the identity of an echo; None for other frames."""
    if frame[12:14] == b"\x08\x00" and frame[23] == socket.IPPROTO_ICMP:
        start = 14 + (frame[14] & 0x0F) * 4
    elif frame[12:14] == b"\x86\xdd" and frame[20] == socket.IPPROTO_ICMPV6:
        start = 54
    else:
        return None
    kind, _, _, identifier, sequence = struct.unpack_from("!BBHHH", frame, start)
    if kind not in ECHO_REQUESTS + ECHO_REPLIES:
        return None
    return kind, Echo(identifier, sequence)


def round_trips_ns(packets: list[Packet]) -> dict[Echo, int]:
    """Return the captured round trip of every echo with a reply."""
    sent_ns: dict[Echo, int] = {}
    trips_ns: dict[Echo, int] = {}
    for packet in packets:
        parsed = echo_of(packet.frame)
        if parsed is None:
            continue
        kind, echo = parsed
        if kind in ECHO_REQUESTS:
            sent_ns[echo] = packet.at_ns
        elif echo in sent_ns:
            trips_ns.setdefault(echo, packet.at_ns - sent_ns[echo])
    return trips_ns


def _attach_filter(sock: socket.socket) -> None:
    code = b"".join(struct.pack("HBBI", *step) for step in ICMP_OR_UDP)
    steps = ctypes.create_string_buffer(code)
    program = struct.pack("HL", len(ICMP_OR_UDP), ctypes.addressof(steps))
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)


def _timestamp_ns(control: list[tuple[int, int, bytes]]) -> int:
    for level, kind, data in control:
        if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
            seconds, nanoseconds = struct.unpack("ll", data[:16])
            return int(seconds) * 1_000_000_000 + int(nanoseconds)
    raise ValueError("the packet has no timestamp")
