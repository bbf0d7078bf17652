"""What the kernel says of a connection equals what was done with it."""

from __future__ import annotations

import socket
import time

from qos_agent.tcp_info import congestion_control, tcp_info


def test_the_counters_are_those_of_the_connection() -> None:
    """Bytes sent, acknowledged and received are counted at the right ends."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
        server.accept()[0] as other,
    ):
        client.sendall(b"x" * 50_000)
        left = 50_000
        while left:
            left -= len(other.recv(left))
        end_s = time.monotonic() + 5
        # The handshake's SYN counts as one byte acknowledged.
        while tcp_info(client).acked_bytes < 50_001 and time.monotonic() < end_s:
            pass
        mine, theirs = tcp_info(client), tcp_info(other)
    assert (mine.acked_bytes, mine.received_bytes) == (50_001, 0)
    assert theirs.received_bytes == mine.sent_bytes == 50_000
    assert mine.sacked_bytes == 0
    assert mine.packet_bytes() > 50_000
    assert mine.mss_bytes > 500
    assert mine.header_bytes in (40, 52)
    assert mine.min_rtt_us > 0


def test_what_waits_in_the_buffer_is_told() -> None:
    """A peer that does not read leaves bytes unsent, and its window is the reason."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
        server.accept()[0],
    ):
        client.setblocking(False)
        taken = 0
        end_s = time.monotonic() + 5
        while tcp_info(client).window_share == 0 and time.monotonic() < end_s:
            try:
                taken += client.send(b"x" * 65_536)
            except BlockingIOError:
                continue
        info = tcp_info(client)
    assert 0 < info.unsent_bytes < taken
    assert info.unsent_bytes + info.sent_bytes >= taken
    assert 0 < info.window_share <= 1


def test_congestion_control_is_named() -> None:
    """The name is the kernel's own."""
    with socket.socket() as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"reno")
        assert congestion_control(sock) == "reno"
