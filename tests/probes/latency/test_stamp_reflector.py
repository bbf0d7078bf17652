"""The reflector: replies, no amplification, no loops, bounded memory."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qos_agent.probes.latency import stamp_packets
from qos_agent.probes.latency.stamp_reflector import (
    ReceivedPacket,
    Reflector,
    ReflectorLimits,
    TokenBucket,
)
from tests.lab.fixtures import MakeLab
from tests.lab.network import SERVER, SERVER_IPV6, Lab
from tests.lab.shape import Shape
from tests.probes.latency.bench_of_trains import start_reflector
from tests.support.requirement import require

KEY = b"a key that both sides share"
# Random octets are seldom a valid request, so valid requests are added.
PACKETS = st.binary(max_size=300) | st.builds(
    lambda key, padding: stamp_packets.request(1, 2, key) + padding,
    st.sampled_from([None, KEY]),
    st.binary(max_size=100),
)
TARGET = Path(__file__).parents[3] / "deploy/target"


def received(
    data: bytes, source: tuple[str, int] = ("10.0.0.1", 50000)
) -> ReceivedPacket:
    """Return a received packet."""
    return ReceivedPacket(data, source, b"", 64, 0)


def make_reflector(
    limits: ReflectorLimits | None = None, key: bytes | None = None
) -> Reflector:
    """Return a reflector that starts at second 0."""
    return Reflector(limits or ReflectorLimits(), key, 0.0)


@given(PACKETS, st.sampled_from([None, KEY]))
def test_an_answer_is_never_longer_than_its_request(
    data: bytes, key: bytes | None
) -> None:
    """A reply is as long as its request, or there is no reply."""
    answer = make_reflector(key=key).answer(received(data), 0.0)
    assert answer is None or len(answer) == len(data)


def test_each_session_has_its_own_count() -> None:
    """Two senders each get 0, 1, 2; after REFWAIT a count starts again at 0."""
    reflector = make_reflector()

    def count(port: int, now_s: float) -> int:
        answer = reflector.answer(
            received(stamp_packets.request(9, 9), ("10.0.0.1", port)), now_s
        )
        assert answer is not None
        return stamp_packets.parse_reply(answer).count

    assert [count(p, 0.0) for p in (5001, 5001, 5002, 5001, 5002)] == [0, 1, 0, 2, 1]
    assert count(5001, 901.0) == 0


@pytest.mark.parametrize(
    ("data", "source", "why"),
    [
        (b"short", ("10.0.0.1", 50000), "bad_answer"),
        (stamp_packets.request(1, 1), ("10.0.0.1", 862), "service_port"),
        (stamp_packets.request(1, 1), ("10.0.0.1", 53), "service_port"),
    ],
    ids=["short", "another reflector", "a name server"],
)
def test_what_is_not_answered_is_counted(
    data: bytes, source: tuple[str, int], why: str
) -> None:
    """Short packets and service ports, also a reflector's, get no reply."""
    reflector = make_reflector()
    assert reflector.answer(received(data, source), 0.0) is None
    assert reflector.counts == {why: 1}


def test_with_a_key_only_its_holders_get_replies() -> None:
    """Packets without the key or with a changed bit get no reply and use no rate."""
    reflector = make_reflector(ReflectorLimits(source_pps=1, total_pps=1), KEY)
    good = stamp_packets.request(1, 1, KEY)
    forged = [
        stamp_packets.request(1, 1) + bytes(68),
        stamp_packets.request(1, 1, b"the key of another server"),
        bytes([good[0] ^ 1]) + good[1:],
    ]
    assert [reflector.answer(received(data), 0.0) for data in forged] == [None] * 3
    assert reflector.counts == {"forged": 3}
    assert reflector.answer(received(good), 0.0) is not None


def test_rates_are_limited_by_source_and_in_all() -> None:
    """Each source has its own rate, and all sources together have the total rate."""
    reflector = make_reflector(ReflectorLimits(source_pps=10, total_pps=25))
    data = stamp_packets.request(1, 1)
    answered = [
        sum(
            reflector.answer(received(data, (f"10.0.0.{n}", 5000)), 0.0) is not None
            for _ in range(50)
        )
        for n in range(3)
    ]
    assert answered == [10, 10, 5]
    assert reflector.answer(received(data), 1.0) is not None


def test_an_ipv6_source_is_its_network() -> None:
    """Addresses that differ in the last 64 bits only are one source."""
    reflector = make_reflector(ReflectorLimits(source_pps=10))
    data = stamp_packets.request(1, 1)
    answers = [
        reflector.answer(received(data, (f"fd00::{n:x}", 5000)), 0.0) for n in range(50)
    ]
    assert sum(answer is not None for answer in answers) == 10


def test_memory_is_bounded() -> None:
    """Many forged sources leave no more entries than the limits allow."""
    reflector = make_reflector(
        ReflectorLimits(source_pps=1, total_pps=1e9, sources=50, sessions=60)
    )
    data = stamp_packets.request(1, 1)
    for number in range(2000):
        address = f"10.{number >> 8}.{number & 255}.1"
        reflector.answer(received(data, (address, 5000)), 0.0)
    assert (len(reflector._sources), len(reflector._sessions)) == (50, 60)


@given(st.lists(st.floats(0, 1), max_size=200), st.floats(1, 100))
def test_a_bucket_never_gives_more_than_its_rate(
    steps_s: list[float], rate_pps: float
) -> None:
    """The tokens of any period are at most the rate times the period plus 1 s."""
    bucket, now_s, taken = TokenBucket(rate_pps, 0.0), 0.0, 0
    for step_s in steps_s:
        now_s += step_s
        taken += bucket.take(now_s)
    assert taken <= rate_pps * (now_s + 1) + 1e-6


def exchange(lab: Lab, address: str, packets: list[bytes]) -> list[bytes]:
    """Send packets from the client; return the replies until 0.5 s of silence."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    replies: list[bytes] = []
    with lab.call("client", lambda: socket.socket(family, socket.SOCK_DGRAM)) as sock:
        sock.settimeout(0.5)
        for packet in packets:
            sock.sendto(packet, (address, stamp_packets.PORT))
        with suppress(TimeoutError):
            while len(replies) < len(packets):
                replies.append(sock.recv(2048))
    return replies


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_it_serves_both_families_and_stops_at_once(
    lab: MakeLab, number: signal.Signals
) -> None:
    """IPv4 and IPv6 replies contain the received hop limit; a signal ends it."""
    net = lab(Shape())
    process = start_reflector(net)
    for address in (SERVER, SERVER_IPV6, "1.1.1.1"):
        (reply,) = exchange(net, address, [stamp_packets.request(5, 6)])
        assert stamp_packets.parse_reply(reply) == stamp_packets.Reply(0, 5, 6)
        assert reply[40] == 63
    start = time.monotonic()
    os.kill(_child(process), number)
    assert process.wait(5) == 0
    assert time.monotonic() - start < 1
    assert process.stdout is not None
    assert re.fullmatch("reflector: answered=3\n", process.stdout.read())


def test_replies_have_no_more_bytes_than_requests(lab: MakeLab) -> None:
    """For packets of every size, also empty and fragmented ones, this is true."""
    net = lab(Shape())
    start_reflector(net)
    sent = [
        stamp_packets.request(n, 1)[:n] + bytes(max(0, n - 44))
        for n in range(0, 1400, 7)
    ]
    sent += [stamp_packets.request(1, 1) + bytes(2500)]
    # Batches of 20 fit into the socket buffers and stay below the rate of a source.
    batches = [sent[first : first + 20] for first in range(0, len(sent), 20)]
    answers = [reply for batch in batches for reply in exchange(net, SERVER, batch)]
    assert len(answers) == sum(
        len(packet) >= stamp_packets.PLAIN_BYTES for packet in sent
    )
    assert sum(map(len, answers)) <= sum(map(len, sent))
    assert max(map(len, answers)) <= 2048


def test_replies_come_from_the_requested_address(lab: MakeLab) -> None:
    """A server with several addresses replies from the requested one."""
    net = lab(Shape())
    start_reflector(net)
    with net.call("client", lambda: socket.socket(type=socket.SOCK_DGRAM)) as sock:
        sock.settimeout(2)
        # The route of the server would choose 10.77.1.2.
        sock.sendto(stamp_packets.request(1, 1), ("9.9.9.9", stamp_packets.PORT))
        assert sock.recvfrom(2048)[1][0] == "9.9.9.9"


def test_it_notifies_systemd(tmp_path: Path, lab: MakeLab) -> None:
    """It sends READY=1 when it is ready and STOPPING=1 when it ends."""
    net, path = lab(Shape()), tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(path))
        sock.settimeout(5)
        os.environ["NOTIFY_SOCKET"] = str(path)
        try:
            process = start_reflector(net)
        finally:
            del os.environ["NOTIFY_SOCKET"]
        assert sock.recv(100) == b"READY=1"
        os.kill(_child(process), signal.SIGTERM)
        assert sock.recv(100) == b"STOPPING=1"


def _child(process: subprocess.Popen[str]) -> int:
    """Return the reflector's process: `ip netns exec` replaces itself by it."""
    return process.pid


@pytest.mark.parametrize("unit", sorted(TARGET.glob("*.service")), ids=lambda u: u.name)
def test_the_units_are_well_formed(unit: Path) -> None:
    """systemd-analyze reports no error except the program that is not installed."""
    installed = shutil.which("systemd-analyze") is not None
    require(installed, "systemd-analyze", "apt-get install systemd")
    done = subprocess.run(
        ["systemd-analyze", "verify", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    messages = [line for line in done.stderr.splitlines() if unit.name in line]
    assert [line for line in messages if "not executable" not in line] == []
