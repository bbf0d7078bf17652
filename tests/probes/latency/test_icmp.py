"""Trains over ICMP against real kernels: what is counted, timed and blamed."""

from __future__ import annotations

import os
import socket
import statistics
import struct
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest

from qos_agent.model import Link, schema
from qos_agent.probes.latency.icmp import checksum, open_icmp
from qos_agent.probes.latency.train import FIRST_NUMBER, Train, TrainSpec
from tests.lab.capture import Echo, round_trips_ns
from tests.lab.fixtures import MakeLab
from tests.lab.network import CLIENT, SERVER, SERVER_IPV6, Lab
from tests.lab.shape import Shape
from tests.probes.latency.bench_of_trains import (
    LINK,
    PING_FOR_ALL,
    RAW_ONLY,
    allow_ping_sockets,
    await_true,
    counts,
    fields,
    measure,
    short,
)
from tests.probes.time_left import TimeLeft
from tests.support.requirement import require


@pytest.fixture
def plain(lab: MakeLab) -> Lab:
    """A laboratory that does nothing to packets."""
    return lab(Shape())


@pytest.mark.parametrize("groups", [RAW_ONLY, PING_FOR_ALL], ids=["raw", "ping"])
@pytest.mark.parametrize("address", [SERVER, SERVER_IPV6], ids=["v4", "v6"])
def test_round_trips_are_the_wires(lab: MakeLab, groups: str, address: str) -> None:
    """Every round trip agrees with a capture of the same packets: median 20 µs."""
    net = lab(Shape(delay_ms=10))
    allow_ping_sockets(net, groups)
    plan = TrainSpec(20, 0.01, 1.0)

    def train() -> tuple[str, list[int | None], str]:
        with open_icmp(address, LINK) as transport:
            record = Train(plan, transport, TimeLeft(10)).run()
        stamps = "kernel" if record.kernel_stamped() else "user"
        return transport.kind, record.round_trips_ns(), stamps

    with net.capture("client") as packets:
        kind, took_ns, stamps = net.call("client", train)
    wire = {echo.sequence: ns for echo, ns in round_trips_ns(packets).items()}
    assert (kind, stamps) == ("raw" if groups == RAW_ONLY else "ping", "kernel")
    off = [ns - wire[FIRST_NUMBER + i] for i, ns in enumerate(took_ns) if ns]
    assert len(off) == plan.count
    assert abs(statistics.median(off)) <= 20_000


def test_fields_are_the_schemas(plain: Lab) -> None:
    """Each field is in the schema's table, of its type, and none is missing."""
    found = fields(measure(plain, short()))
    table = schema.MEASUREMENTS["latency"]
    types = {"int": int, "float": float, "str": str}
    for name, value in found.items():
        assert type(value) is types[table.field(name).type], name
    for name in ("rtt_sum_us", "rtt_le_3000", "pdv_le_1", "loss_high", "wake_ms"):
        assert name in found
    assert "resolve_ms" not in found


@pytest.mark.parametrize("loss", [0.05, 0.2])
def test_loss_is_what_the_router_dropped(lab: MakeLab, loss: float) -> None:
    """Sent, received and lost equal the router's own counters."""
    net = lab(Shape(loss=loss, loss_back=loss))
    finding = measure(net, short(count=200, spacing_s=0.002))
    dropped = net.dropped("forward", "echo_requests")
    dropped += net.dropped("back", "echo_replies")
    wake_lost = "wake_ms" not in fields(finding)
    assert counts(finding) == (200, 200 - dropped + wake_lost, dropped - wake_lost)


def test_answers_after_tmax_are_late_and_lost(lab: MakeLab) -> None:
    """On a link slower than the wait every answer that is still heard is late."""
    net = lab(Shape(delay_ms=200))
    finding = measure(net, short(count=30, spacing_s=0.02, wait_s=0.15))
    found = fields(finding)
    assert (finding.cause, counts(finding)) == ("timeout", (30, 0, 30))
    assert 10 <= int(found["late"]) <= 30
    assert "rtt_min_ms" not in found


def test_no_answer_is_a_reading_with_its_counts(plain: Lab) -> None:
    """A cut gives sent and lost, no round trip, no percentile, and a cause."""
    plain.cut()
    finding = measure(plain, short(count=5))
    found = fields(finding)
    assert (finding.cause, counts(finding)) == ("timeout", (5, 0, 5))
    assert not [name for name in found if name.startswith(("rtt", "pdv", "stamps"))]
    assert found["loss_burst_max"] == 5


@pytest.mark.parametrize(
    ("reject", "cause"),
    [
        ("icmp type host-unreachable", "unreachable"),
        ("icmp type admin-prohibited", "prohibited"),
        ("icmp type port-unreachable", "refused"),
    ],
)
@pytest.mark.parametrize("groups", [RAW_ONLY, PING_FOR_ALL], ids=["raw", "ping"])
def test_icmp_errors_are_causes(
    plain: Lab, groups: str, reject: str, cause: str
) -> None:
    """What a router answers is counted, ends the wait, and becomes the cause."""
    allow_ping_sockets(plain, groups)
    rules = (
        "table ip no { chain c { type filter hook forward priority 1;"
        f" icmp type echo-request reject with {reject}; }}; }}"
    )
    plain.run(["sysctl", "-qw", "net.ipv4.icmp_ratelimit=0"], "router")
    plain.run(["nft", rules], "router")
    finding = measure(plain, short(count=5, wait_s=30))
    assert (finding.cause, fields(finding)["icmp_errors"]) == (cause, 5)


@pytest.mark.parametrize(
    ("reject", "cause"),
    [
        ("icmpv6 type addr-unreachable", "unreachable"),
        ("icmpv6 type admin-prohibited", "prohibited"),
    ],
)
def test_icmpv6_errors_are_causes(plain: Lab, reject: str, cause: str) -> None:
    """The same over IPv6."""
    rules = (
        "table ip6 no { chain c { type filter hook forward priority 1;"
        f" icmpv6 type echo-request reject with {reject}; }}; }}"
    )
    plain.run(["sysctl", "-qw", "net.ipv6.icmp.ratelimit=0"], "router")
    plain.run(["nft", rules], "router")
    finding = measure(plain, short(count=5, wait_s=30), SERVER_IPV6)
    assert (finding.cause, fields(finding)["icmp_errors"]) == (cause, 5)


@pytest.mark.parametrize("address", ["10.9.9.9", "fd99::1"], ids=["v4", "v6"])
def test_a_loop_of_routers_is_ttl_exceeded(plain: Lab, address: str) -> None:
    """A packet that two routers pass to each other comes back as ttl_exceeded."""
    for where in ("router", "server"):
        for key in ("ipv4.icmp_ratelimit", "ipv6.icmp.ratelimit"):
            plain.run(["sysctl", "-qw", f"net.{key}=0"], where)
    for key in ("ipv4.ip_forward", "ipv6.conf.all.forwarding"):
        plain.run(["sysctl", "-qw", f"net.{key}=1"], "server")
    finding = measure(plain, short(count=3), address)
    assert finding.cause == "ttl_exceeded"


def test_no_route_and_no_link_are_outages_with_counts(plain: Lab) -> None:
    """Without a route or a link all that was due is lost, as unsent, with the cause."""
    plain.run(["ip", "route", "del", "default"])
    for link, cause in (
        (Link("main", "x"), "no_route"),
        (Link("main", "x", "wwan9"), "link_down"),
    ):
        finding = measure(plain, short(count=3), link=link)
        found = fields(finding)
        assert (finding.cause, counts(finding)) == (cause, (3, 0, 3))
        assert (found["unsent"], found["loss_burst_max"]) == (3, 3)
        assert "address" not in found
        assert not [name for name in found if name.startswith(("rtt", "pdv"))]


def test_a_link_that_falls_midway_is_lost_from_there(plain: Lab) -> None:
    """What could not leave any more is lost, in its place, beside what was answered."""
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(measure, plain, short(count=100, spacing_s=0.05))
        await_true(lambda: plain.passed("back", "echo_replies") > 5)
        plain.run(["ip", "link", "set", "eth0", "down"])
        finding = running.result()
    found = fields(finding)
    sent, received, lost = counts(finding)
    assert (sent, finding.cause) == (100, "no_route")
    assert 3 <= int(received) < 100
    assert int(received) + int(lost) == 100
    assert int(lost) - int(found["unsent"]) <= 2
    assert found["loss_burst_max"] == lost
    assert found["stamps"] == "user"


def test_a_firewall_of_our_own_is_said(plain: Lab) -> None:
    """Probes this device may not send are no loss: none sent, cause prohibited."""
    rules = (
        "table ip no { chain c { type filter hook output priority 0;"
        " icmp type echo-request drop; }; }"
    )
    plain.run(["nft", rules])
    finding = measure(plain, short(count=3))
    assert (finding.cause, counts(finding)) == ("prohibited", (0, 0, 0))


@pytest.fixture
def crowd(plain: Lab) -> Iterator[tuple[Lab, socket.socket]]:
    """A raw socket on the server, to answer in its stead."""
    plain.run(["sysctl", "-qw", "net.ipv4.icmp_echo_ignore_all=1"], "server")
    with plain.call(
        "server",
        lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
    ) as sock:
        yield plain, sock


def test_answers_that_are_not_ours_do_not_count(
    crowd: tuple[Lab, socket.socket],
) -> None:
    """Another's identifier or token is no answer; a second copy is a duplicate."""
    net, server = crowd
    allow_ping_sockets(net, RAW_ONLY)
    server.settimeout(5)

    def train() -> tuple[list[int | None], int]:
        with open_icmp(SERVER, LINK) as transport:
            record = Train(TrainSpec(3, 0.01, 0.5), transport, TimeLeft(10)).run()
        return record.round_trips_ns(), sum(
            trip.duplicates for trip in record.trips.values()
        )

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(net.call, "client", train)
        for _ in range(4):
            request = server.recv(2048)[20:]
            number = struct.unpack_from("!H", request, 6)[0]
            for answer in _answers(request, number):
                server.sendto(answer, ("10.77.2.2", 0))
        took, duplicates = running.result()
    assert [one is not None for one in took] == [True, False, False]
    assert duplicates == 1


def _answers(request: bytes, number: int) -> list[bytes]:
    """The first probe twice, the second for another agent, the third forged."""
    good = _reply(request[4:])
    other = _reply(bytes([request[4] ^ 1]) + request[5:])
    forged = _reply(request[4:8] + bytes(len(request) - 8))
    return {
        FIRST_NUMBER: [good, good],
        FIRST_NUMBER + 1: [other],
        FIRST_NUMBER + 2: [forged],
    }.get(number, [good])


def _reply(rest: bytes) -> bytes:
    plain = b"\0\0\0\0" + rest
    return b"\0\0" + struct.pack("!H", checksum(plain)) + rest


@pytest.mark.parametrize("groups", [RAW_ONLY, PING_FOR_ALL], ids=["raw", "ping"])
def test_an_answer_from_elsewhere_is_none(
    crowd: tuple[Lab, socket.socket], groups: str
) -> None:
    """A good answer of another address, as a broken translator sends, is not taken."""
    net, server = crowd
    allow_ping_sockets(net, groups)
    server.settimeout(5)
    with (
        ThreadPoolExecutor(1) as pool,
        net.call(
            "server",
            lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
        ) as elsewhere,
    ):
        elsewhere.bind(("9.9.9.9", 0))
        running = pool.submit(measure, net, short(count=3))
        for _ in range(4):
            request = server.recv(2048)[20:]
            elsewhere.sendto(_reply(request[4:]), (CLIENT, 0))
        finding = running.result()
    assert net.passed("back", "echo_replies") == 4
    assert (finding.cause, counts(finding)) == ("timeout", (3, 0, 3))


def test_trains_side_by_side_keep_to_themselves(plain: Lab) -> None:
    """Many trains at once, ping and raw, each count their own answers only."""
    allow_ping_sockets(plain, PING_FOR_ALL)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: measure(plain, short()), range(16)))
    assert [counts(f) for f in found] == [(20, 20, 0)] * 16
    assert {fields(f)["duplicates"] for f in found} == {0}


def test_identifiers_are_random(plain: Lab) -> None:
    """No two of twenty trains share an identifier, and they are not consecutive."""
    with plain.capture("client") as packets:
        for _ in range(20):
            measure(plain, short(count=1))
    seen: list[Echo] = list(round_trips_ns(packets))
    identifiers = list(dict.fromkeys(echo.identifier for echo in seen))
    steps = {b - a for a, b in pairwise(identifiers)}
    assert len(identifiers) >= 19
    assert len(steps) > 10


_UNPRIVILEGED = """
from qos_agent.model.errors import ProbeError
from qos_agent.model import Link
from qos_agent.probes.latency.icmp import open_icmp
from qos_agent.probes.latency.train import Train, TrainSpec
from tests.probes.time_left import TimeLeft
try:
    with open_icmp("10.77.1.2", Link("main", "x", "eth0")) as transport:
        record = Train(TrainSpec(3, 0.01, 1), transport, TimeLeft(9)).run()
    print(transport.kind, record.kernel_stamped(), len(record.round_trips_ns()))
except ProbeError as error:
    print(error.cause)
"""


@pytest.mark.parametrize(
    ("groups", "said"), [(PING_FOR_ALL, "ping True 3"), (RAW_ONLY, "permission")]
)
def test_no_privilege_is_needed_for_a_ping_socket(
    plain: Lab, groups: str, said: str
) -> None:
    """Without any capability a ping socket is bound and stamped; raw is refused."""
    found = any(Path(p, "setpriv").exists() for p in os.get_exec_path())
    require(found, "setpriv", "apt-get install util-linux")
    allow_ping_sockets(plain, groups)
    nothing = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
    done = plain.run([*nothing, sys.executable, "-c", _UNPRIVILEGED])
    assert done.stdout.strip() == said


def test_a_link_local_gateway_is_reached(plain: Lab) -> None:
    """The gateway of an IPv6-only link has an address of that link alone."""
    shown = plain.run(
        ["ip", "-6", "-o", "addr", "show", "dev", "client", "scope", "link"], "router"
    )
    address = shown.stdout.split()[3].partition("/")[0]
    plain.run(["ip", "route", "del", "default"])
    plain.run(
        ["ip", "-6", "route", "replace", "default", "via", address, "dev", "eth0"]
    )
    found = fields(measure(plain, short(count=3), "@gateway"))
    assert (found["address"], found["received"]) == (f"{address}%eth0", 3)
    assert found["ip_version"] == 6
