"""What the kernel knows of a TCP connection: tcp(7), TCP_INFO, struct tcp_info.

The struct has only ever grown at its end. Linux 4.19 or later fills all that is read,
but for what came out of order: that from 5.4 on.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

# <linux/tcp.h>: 8 bytes of flags, 24 words, then the fields at these offsets.
_STATE, _OPTIONS = 0, 5
_SEND_AND_RECEIVE_MSS = 16
_SACKED = 28
_RTT = 68
_ACKED_AND_RECEIVED = 120
_SEGMENTS = 136
_UNSENT = 144
_MIN_RTT = 148
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

    `acked_bytes` is what the other end has acknowledged in a row, `sacked_bytes` what
    it has beyond a gap (RFC 2018), `received_bytes` came in a row, `waiting_bytes`
    came beyond a gap, in full segments, `sent_bytes` includes retransmissions,
    `unsent_bytes` is what the kernel has taken and not yet sent, `header_bytes` are IP
    and TCP headers of a full segment. `window_share` is how much of the time in which
    there was something to send the receiver's window or our buffer held it back.
    `closed` is the state that a reset leaves; one that the peer closed waits for us.
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
    rtt_us: int
    min_rtt_us: int
    window_share: float
    closed: bool

    def packet_bytes(self) -> int:
        """All it moved, both ways, as IP packets."""
        payload = self.sent_bytes + self.received_bytes + self.waiting_bytes
        return payload + self.segments * self.header_bytes


def tcp_info(sock: socket.socket) -> TcpInfo:
    """The counters of a connection now."""
    known = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _SIZE)
    raw = known.ljust(_SIZE, b"\0")
    acked, received = struct.unpack_from("=QQ", raw, _ACKED_AND_RECEIVED)
    segments_out, segments_in = struct.unpack_from("=II", raw, _SEGMENTS)
    mss_bytes, receive_mss_bytes = struct.unpack_from("=II", raw, _SEND_AND_RECEIVE_MSS)
    (data_segments_in,) = struct.unpack_from("=I", raw, _DATA_SEGMENTS_IN)
    (out_of_order,) = struct.unpack_from("=I", raw, _OUT_OF_ORDER)
    # The kernel does not count what waits: segments that came tell, and at most those
    # that ever came out of order, for a sender's segments may be small.
    beyond_row_bytes = max(0, data_segments_in * receive_mss_bytes - received)
    (sacked,) = struct.unpack_from("=I", raw, _SACKED)
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
        rtt_us=struct.unpack_from("=I", raw, _RTT)[0],
        min_rtt_us=struct.unpack_from("=I", raw, _MIN_RTT)[0],
        window_share=(by_window + by_buffer) / busy if busy else 0.0,
        closed=raw[_STATE] == _CLOSED,
    )


def congestion_control(sock: socket.socket) -> str:
    """The algorithm that governs what this end sends."""
    raw = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16)
    return raw.rstrip(b"\0").decode()
