"""The kernel's counters of a TCP connection: TCP_INFO of tcp(7), struct tcp_info.

The struct has only ever grown at its end. Linux 4.19 fills every field that is read
here except the count of segments out of order, which came with Linux 5.4.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

# <linux/tcp.h>: 8 bytes of flags, 24 words, then the fields at these offsets.
_STATE, _OPTIONS = 0, 5
_SEND_AND_RECEIVE_MSS = 16
_UNACKED = 24
_SACKED = 28
_TOTAL_RETRANS = 100
_ACKED_AND_RECEIVED = 120
_SEGMENTS = 136
_UNSENT = 144
_DATA_SEGMENTS_IN = 152
_BUSY_AND_LIMITED = 168
_SENT = 200
_OUT_OF_ORDER = 224
_SIZE = 232
_CLOSED = 7  # TCP_CLOSE, <net/tcp_states.h>
_TIME_STAMPS = 1  # TCPI_OPT_TIMESTAMPS
_IP_HEADER_BYTES = {socket.AF_INET: 20, socket.AF_INET6: 40}
_TCP_HEADER_BYTES, _TIME_STAMP_BYTES = 20, 12


@dataclass(frozen=True, slots=True)
class TcpInfo:
    """Payload and segments of a connection so far.

    `acked_bytes`: acknowledged by the peer in sequence.
    `sacked_bytes`: received by the peer beyond a gap (RFC 2018).
    `received_bytes`: received in sequence.
    `waiting_bytes`: received beyond a gap, in full segments.
    `sent_bytes`: sent, with retransmissions.
    `unsent_bytes`: accepted by the kernel and not yet sent.
    `unacked_segments`: sent and not yet acknowledged.
    `data_segments`: received with data, also repeated ones.
    `out_of_order`: received beyond a gap.
    `header_bytes`: IP and TCP headers of a full segment.
    `window_share`: share of the busy time in which the receive window of the peer or
    the local send buffer limited the sender.
    `closed`: the state after a reset; after a FIN of the peer it is still False.
    """

    acked_bytes: int
    sacked_bytes: int
    received_bytes: int
    waiting_bytes: int
    sent_bytes: int
    unsent_bytes: int
    segments: int
    mss_bytes: int
    header_bytes: int
    window_share: float
    unacked_segments: int
    data_segments: int
    out_of_order: int
    closed: bool

    def packet_bytes(self) -> int:
        """Return the bytes of all IP packets, in both directions."""
        payload = self.sent_bytes + self.received_bytes + self.waiting_bytes
        return payload + self.segments * self.header_bytes


def tcp_info(sock: socket.socket) -> TcpInfo:
    """Return the current counters of a connection."""
    filled = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _SIZE)
    raw = filled.ljust(_SIZE, b"\0")
    acked, received = struct.unpack_from("=QQ", raw, _ACKED_AND_RECEIVED)
    segments_out, segments_in = struct.unpack_from("=II", raw, _SEGMENTS)
    mss_bytes, receive_mss_bytes = struct.unpack_from("=II", raw, _SEND_AND_RECEIVE_MSS)
    (data_segments_in,) = struct.unpack_from("=I", raw, _DATA_SEGMENTS_IN)
    (out_of_order,) = struct.unpack_from("=I", raw, _OUT_OF_ORDER)
    # The kernel has no counter for bytes beyond a gap. They are estimated from the
    # received segments, and limited by those that ever came out of order, because a
    # sender may use small segments.
    beyond_row_bytes = max(0, data_segments_in * receive_mss_bytes - received)
    (sacked,) = struct.unpack_from("=I", raw, _SACKED)
    (unacked,) = struct.unpack_from("=I", raw, _UNACKED)
    busy, by_window, by_buffer = struct.unpack_from("=QQQ", raw, _BUSY_AND_LIMITED)
    stamped = raw[_OPTIONS] & _TIME_STAMPS
    options = _TIME_STAMP_BYTES if stamped else 0
    return TcpInfo(
        acked_bytes=acked,
        sacked_bytes=sacked * mss_bytes,
        received_bytes=received,
        waiting_bytes=min(beyond_row_bytes, out_of_order * receive_mss_bytes),
        sent_bytes=struct.unpack_from("=Q", raw, _SENT)[0],
        unsent_bytes=struct.unpack_from("=I", raw, _UNSENT)[0],
        segments=segments_out + segments_in,
        mss_bytes=mss_bytes,
        header_bytes=_IP_HEADER_BYTES[sock.family] + _TCP_HEADER_BYTES + options,
        window_share=(by_window + by_buffer) / busy if busy else 0.0,
        unacked_segments=unacked,
        data_segments=data_segments_in,
        out_of_order=out_of_order,
        closed=raw[_STATE] == _CLOSED,
    )


def retransmissions(sock: socket.socket) -> int:
    """Return how many segments of a connection the kernel has sent again."""
    filled = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _SIZE)
    (total,) = struct.unpack_from("=I", filled.ljust(_SIZE, b"\0"), _TOTAL_RETRANS)
    return int(total)


def congestion_control(sock: socket.socket) -> str:
    """Return the name of the congestion control algorithm of this sender."""
    raw = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16)
    return raw.rstrip(b"\0").decode()
