"""What the kernel knows of a TCP connection: tcp(7), TCP_INFO, struct tcp_info.

The struct has only ever grown at its end; what an older kernel does not fill is None.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

# <linux/tcp.h>: 8 bytes of flags, 24 words; then the fields below, by their offset.
_BYTES_ACKED = 120
_BYTES_RECEIVED = 128
_SEGMENTS = 136
_BYTES_SENT = 200
_SIZE = 232

# IPv4 20, TCP 20, time stamps 12; IPv6 has 20 more. Ethernet adds 14, and counting
# it where a modem has none errs on the side of the allowance.
_HEADERS_BYTES = {socket.AF_INET: 66, socket.AF_INET6: 86}


@dataclass(frozen=True, slots=True)
class TcpInfo:
    """Payload bytes acknowledged by the other end and received from it; both ways
    on the wire, headers and retransmissions included."""

    acked_bytes: int
    received_bytes: int
    wire_bytes: int


def tcp_info(sock: socket.socket) -> TcpInfo:
    """The counters of a connection now. Linux 4.19 or later."""
    raw = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _SIZE)
    acked, received = struct.unpack_from("=QQ", raw, _BYTES_ACKED)
    segments_out, segments_in = struct.unpack_from("=II", raw, _SEGMENTS)
    (sent,) = struct.unpack_from("=Q", raw, _BYTES_SENT)
    headers = (segments_out + segments_in) * _HEADERS_BYTES[sock.family]
    return TcpInfo(acked, received, sent + received + headers)
