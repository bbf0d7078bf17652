"""The kernel's counters of a connection match the traffic on it."""

from __future__ import annotations

import socket
import time

from qos_agent.system.network.tcp_info import congestion_control, tcp_info
from tests.lab.fixtures import MakeLab
from tests.lab.network import SERVER, Lab
from tests.lab.shape import Shape

# <linux/tcp.h>: options that restore a connection; they also read its state.
_REPAIR, _REPAIR_QUEUE, _QUEUE_SEQ = 19, 20, 21
_RECEIVE_QUEUE, _REPAIR_OFF = 1, -1
_ETHERNET_BYTES = 14


def test_the_counters_are_those_of_the_connection() -> None:
    """Bytes sent, acknowledged and received are counted at the correct end."""
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
        # The SYN of the handshake counts as one acknowledged byte.
        while tcp_info(client).acked_bytes < 50_001 and time.monotonic() < end_s:
            pass
        sender, receiver = tcp_info(client), tcp_info(other)
    assert (sender.acked_bytes, sender.received_bytes) == (50_001, 0)
    assert receiver.received_bytes == sender.sent_bytes == 50_000
    assert sender.sacked_bytes == receiver.waiting_bytes == 0
    assert sender.packet_bytes() > 50_000
    assert sender.mss_bytes > 500
    assert sender.header_bytes in (40, 52)


def test_bytes_in_the_send_buffer_are_counted() -> None:
    """If the peer does not read, bytes stay unsent, limited by the peer's window."""
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
        while tcp_info(client).unacked_segments and time.monotonic() < end_s:
            pass
        info = tcp_info(client)
    assert info.unacked_segments == 0
    assert 0 < info.unsent_bytes < taken
    assert info.unsent_bytes + info.sent_bytes >= taken
    assert 0 < info.window_share <= 1


def test_congestion_control_is_named() -> None:
    """The name is the one that the kernel uses."""
    with socket.socket() as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"reno")
        assert congestion_control(sock) == "reno"


def _next_sequence(sock: socket.socket) -> int:
    """Return the sequence number of the next byte to receive."""
    sock.setsockopt(socket.IPPROTO_TCP, _REPAIR, 1)
    sock.setsockopt(socket.IPPROTO_TCP, _REPAIR_QUEUE, _RECEIVE_QUEUE)
    number = sock.getsockopt(socket.IPPROTO_TCP, _QUEUE_SEQ)
    sock.setsockopt(socket.IPPROTO_TCP, _REPAIR, _REPAIR_OFF)
    return number % 2**32


def _lose(lab: Lab, sequence: int) -> None:
    """Drop the segment that begins at `sequence` each time it is sent."""
    hook = "type filter hook forward priority 1;"
    lab.run(["nft", f"add chain inet lab gap {{ {hook} }}"], "router")
    lab.run(["nft", f"add rule inet lab gap tcp sequence {sequence} drop"], "router")


def _moved_bytes(lab: Lab) -> int:
    return lab.interface_bytes("client", "rx") + lab.interface_bytes("client", "tx")


def test_bytes_beyond_a_lost_segment_are_counted(lab: MakeLab) -> None:
    """`packet_bytes` includes bytes beyond a gap, as the interface counter does."""
    net = lab(Shape(ipv6=False))
    before = _moved_bytes(net)
    with (
        net.call("server", lambda: socket.create_server((SERVER, 0))) as server,
        net.call(
            "client", lambda: socket.create_connection(server.getsockname())
        ) as client,
        server.accept()[0] as other,
    ):
        _lose(net, _next_sequence(client))
        other.sendall(b"x" * 100_000)
        end_s = time.monotonic() + 5
        while tcp_info(client).waiting_bytes < 10_000 and time.monotonic() < end_s:
            pass
        info, moved = tcp_info(client), _moved_bytes(net) - before
    assert info.received_bytes == 0
    assert info.waiting_bytes >= 10_000
    frames_bytes = info.packet_bytes() + info.segments * _ETHERNET_BYTES
    assert abs(frames_bytes - moved) < 0.02 * moved
