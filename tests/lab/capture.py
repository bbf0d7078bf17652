"""What was on the wire and when, by the kernel's clock: the judge of every timing.

No thread reads along: the packets wait in the socket's buffer, stamped by the kernel,
and are read when the capture ends. So a capture costs the measured program nothing.
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

# Classic BPF (code, jump if true, jump if false, operand): ICMP or UDP, either family.
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
    """One Ethernet frame and its stamp (CLOCK_REALTIME)."""

    at_ns: int
    frame: bytes


class Echo(NamedTuple):
    """What pairs an echo request with its reply."""

    identifier: int
    sequence: int


def open_capture(device: str, buffer_bytes: int = 64 << 20) -> socket.socket:
    """Begin to record ICMP and UDP of a device of the current namespace."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sock.setblocking(False)
    _attach_filter(sock)
    sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, buffer_bytes)
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    # Bound last: with no protocol given above, nothing is received before the filter.
    sock.bind((device, ALL_PROTOCOLS))
    return sock


def drain(sock: socket.socket) -> list[Packet]:
    """Read what was recorded, in order; refuse a record with holes."""
    packets: list[Packet] = []
    while True:
        try:
            frame, control, _, _ = sock.recvmsg(65535, 64)
        except BlockingIOError:
            break
        packets.append(Packet(_stamp_ns(control), frame))
    statistics = sock.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8)
    _, lost = struct.unpack("II", statistics)
    if lost:
        raise BufferError(f"the capture lost {lost} packets; give it a larger buffer")
    return packets


def echo_of(frame: bytes) -> tuple[int, Echo] | None:
    """Give the ICMP type and the identity of an echo, None for any other frame."""
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
    """Give the wire's own round trip of every echo that was answered."""
    sent: dict[Echo, int] = {}
    took: dict[Echo, int] = {}
    for packet in packets:
        found = echo_of(packet.frame)
        if found is None:
            continue
        kind, echo = found
        if kind in ECHO_REQUESTS:
            sent[echo] = packet.at_ns
        elif echo in sent:
            took.setdefault(echo, packet.at_ns - sent[echo])
    return took


def _attach_filter(sock: socket.socket) -> None:
    code = b"".join(struct.pack("HBBI", *step) for step in ICMP_OR_UDP)
    steps = ctypes.create_string_buffer(code)
    program = struct.pack("HL", len(ICMP_OR_UDP), ctypes.addressof(steps))
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)


def _stamp_ns(control: list[tuple[int, int, bytes]]) -> int:
    for level, kind, data in control:
        if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
            seconds, nanoseconds = struct.unpack("ll", data[:16])
            return int(seconds) * 1_000_000_000 + int(nanoseconds)
    raise ValueError("a packet came without its time stamp")
