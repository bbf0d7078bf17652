"""Trains over ICMP in the laboratory: counts, times and causes."""

from __future__ import annotations

import shutil
import socket
import statistics
import struct
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest

from qos_agent.model import Link, schema
from qos_agent.probes.latency.icmp import internet_checksum, open_icmp
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
    counts,
    fields,
    measure,
    short,
)
from tests.probes.time_left import TimeLeft
from tests.support.requirement import require
from tests.support.waiting import eventually


@pytest.fixture
def plain(lab: MakeLab) -> Lab:
    """Return a laboratory without delay or loss."""
    return lab(Shape())


@pytest.mark.parametrize("groups", [RAW_ONLY, PING_FOR_ALL], ids=["raw", "ping"])
@pytest.mark.parametrize("address", [SERVER, SERVER_IPV6], ids=["v4", "v6"])
def test_round_trips_equal_the_capture(lab: MakeLab, groups: str, address: str) -> None:
    """Round trips differ from a capture of the same packets by at most 20 µs."""
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
    errors_ns = [ns - wire[FIRST_NUMBER + i] for i, ns in enumerate(took_ns) if ns]
    assert len(errors_ns) == plan.count
    assert abs(statistics.median(errors_ns)) <= 20_000


def test_fields_match_the_schema(plain: Lab) -> None:
    """Each field is in the schema's table and has its type."""
    values = fields(measure(plain, short()))
    table = schema.MEASUREMENTS["latency"]
    types = {"int": int, "float": float, "str": str}
    for name, value in values.items():
        assert type(value) is types[table.field(name).type], name
    for name in ("rtt_sum_us", "rtt_le_3000", "pdv_le_1", "loss_high", "wake_ms"):
        assert name in values
    assert "resolve_ms" not in values


@pytest.mark.parametrize("loss", [0.05, 0.2])
def test_loss_is_what_the_router_dropped(lab: MakeLab, loss: float) -> None:
    """Sent, received and lost match the counters of the router."""
    net = lab(Shape(loss=loss, loss_back=loss))
    result = measure(net, short(count=200, spacing_s=0.002))
    dropped = net.dropped("forward", "echo_requests")
    dropped += net.dropped("back", "echo_replies")
    wake_lost = "wake_ms" not in fields(result)
    assert counts(result) == (200, 200 - dropped + wake_lost, dropped - wake_lost)


def test_answers_after_tmax_are_late_and_lost(lab: MakeLab) -> None:
    """On a link slower than the wait every reply is late and lost."""
    net = lab(Shape(delay_ms=200))
    result = measure(net, short(count=30, spacing_s=0.02, wait_s=0.15))
    values = fields(result)
    assert (result.cause, counts(result)) == ("timeout", (30, 0, 30))
    assert 10 <= int(values["late"]) <= 30
    assert "rtt_min_ms" not in values


def test_no_answer_is_a_reading_with_its_counts(plain: Lab) -> None:
    """A cut link gives sent, lost and a cause, but no round trip or percentile."""
    plain.cut()
    result = measure(plain, short(count=5))
    values = fields(result)
    assert (result.cause, counts(result)) == ("timeout", (5, 0, 5))
    assert not [name for name in values if name.startswith(("rtt", "pdv", "stamps"))]
    assert values["loss_burst_max"] == 5


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
    """A router's ICMP error is counted, ends the wait, and becomes the cause."""
    allow_ping_sockets(plain, groups)
    rules = (
        "table ip no { chain c { type filter hook forward priority 1;"
        f" icmp type echo-request reject with {reject}; }}; }}"
    )
    plain.run(["sysctl", "-qw", "net.ipv4.icmp_ratelimit=0"], "router")
    plain.run(["nft", rules], "router")
    result = measure(plain, short(count=5, wait_s=30))
    assert (result.cause, fields(result)["icmp_errors"]) == (cause, 5)


@pytest.mark.parametrize(
    ("reject", "cause"),
    [
        ("icmpv6 type addr-unreachable", "unreachable"),
        ("icmpv6 type admin-prohibited", "prohibited"),
    ],
)
def test_icmpv6_errors_are_causes(plain: Lab, reject: str, cause: str) -> None:
    """ICMPv6 errors are counted and become the cause in the same way."""
    rules = (
        "table ip6 no { chain c { type filter hook forward priority 1;"
        f" icmpv6 type echo-request reject with {reject}; }}; }}"
    )
    plain.run(["sysctl", "-qw", "net.ipv6.icmp.ratelimit=0"], "router")
    plain.run(["nft", rules], "router")
    result = measure(plain, short(count=5, wait_s=30), SERVER_IPV6)
    assert (result.cause, fields(result)["icmp_errors"]) == (cause, 5)


@pytest.mark.parametrize("address", ["10.9.9.9", "fd99::1"], ids=["v4", "v6"])
def test_a_loop_of_routers_is_ttl_exceeded(plain: Lab, address: str) -> None:
    """A packet in a loop between two routers fails with ttl_exceeded."""
    for where in ("router", "server"):
        for key in ("ipv4.icmp_ratelimit", "ipv6.icmp.ratelimit"):
            plain.run(["sysctl", "-qw", f"net.{key}=0"], where)
    for key in ("ipv4.ip_forward", "ipv6.conf.all.forwarding"):
        plain.run(["sysctl", "-qw", f"net.{key}=1"], "server")
    result = measure(plain, short(count=3), address)
    assert result.cause == "ttl_exceeded"


def test_no_route_and_no_link_are_outages_with_counts(plain: Lab) -> None:
    """Without a route or a link all due probes are lost and unsent, with a cause."""
    plain.run(["ip", "route", "del", "default"])
    for link, cause in (
        (Link("main", "x"), "no_route"),
        (Link("main", "x", "wwan9"), "link_down"),
    ):
        result = measure(plain, short(count=3), link=link)
        values = fields(result)
        assert (result.cause, counts(result)) == (cause, (3, 0, 3))
        assert (values["unsent"], values["loss_burst_max"]) == (3, 3)
        assert "address" not in values
        assert not [name for name in values if name.startswith(("rtt", "pdv"))]


def test_a_link_that_goes_down_midway_loses_the_rest(plain: Lab) -> None:
    """Probes after the link went down are lost; earlier replies still count."""
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(measure, plain, short(count=100, spacing_s=0.05))
        eventually(lambda: plain.passed("back", "echo_replies") > 5, 5)
        plain.run(["ip", "link", "set", "eth0", "down"])
        result = running.result()
    values = fields(result)
    sent, received, lost = counts(result)
    assert (sent, result.cause) == (100, "no_route")
    assert 3 <= int(received) < 100
    assert int(received) + int(lost) == 100
    assert int(lost) - int(values["unsent"]) <= 2
    assert values["loss_burst_max"] == lost
    assert values["stamps"] == "user"


def test_a_firewall_of_this_device_is_not_loss(plain: Lab) -> None:
    """Probes that the device's firewall drops are not sent; cause prohibited."""
    rules = (
        "table ip no { chain c { type filter hook output priority 0;"
        " icmp type echo-request drop; }; }"
    )
    plain.run(["nft", rules])
    result = measure(plain, short(count=3))
    assert (result.cause, counts(result)) == ("prohibited", (0, 0, 0))


@pytest.fixture
def raw_server(plain: Lab) -> Iterator[tuple[Lab, socket.socket]]:
    """Return a raw socket on the server, whose kernel does not reply to echoes."""
    plain.run(["sysctl", "-qw", "net.ipv4.icmp_echo_ignore_all=1"], "server")
    with plain.call(
        "server",
        lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
    ) as sock:
        yield plain, sock


def test_replies_of_other_trains_do_not_count(
    raw_server: tuple[Lab, socket.socket],
) -> None:
    """A wrong identifier or token is not a reply; a second copy is a duplicate."""
    net, server = raw_server
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
    assert [ns is not None for ns in took] == [True, False, False]
    assert duplicates == 1


def _answers(request: bytes, number: int) -> list[bytes]:
    """Reply twice to the first probe, to another agent's second, forge the third."""
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
    return b"\0\0" + struct.pack("!H", internet_checksum(plain)) + rest


@pytest.mark.parametrize("groups", [RAW_ONLY, PING_FOR_ALL], ids=["raw", "ping"])
def test_a_reply_from_another_address_does_not_count(
    raw_server: tuple[Lab, socket.socket], groups: str
) -> None:
    """A valid reply from another address, as a broken NAT sends it, is ignored."""
    net, server = raw_server
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
        result = running.result()
    assert net.passed("back", "echo_replies") == 4
    assert (result.cause, counts(result)) == ("timeout", (3, 0, 3))


def test_parallel_trains_count_their_own_replies_only(plain: Lab) -> None:
    """Of many trains at once each counts only its own replies."""
    allow_ping_sockets(plain, PING_FOR_ALL)
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: measure(plain, short()), range(16)))
    assert [counts(result) for result in results] == [(20, 20, 0)] * 16
    assert {fields(result)["duplicates"] for result in results} == {0}


def test_identifiers_are_random(plain: Lab) -> None:
    """Twenty trains have different identifiers, which are not consecutive."""
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
    ("groups", "output"), [(PING_FOR_ALL, "ping True 3"), (RAW_ONLY, "permission")]
)
def test_no_privilege_is_needed_for_a_ping_socket(
    plain: Lab, groups: str, output: str
) -> None:
    """Without capabilities a ping socket has kernel timestamps; a raw one fails."""
    installed = shutil.which("setpriv") is not None
    require(installed, "setpriv", "apt-get install util-linux")
    allow_ping_sockets(plain, groups)
    unprivileged = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
    done = plain.run([*unprivileged, sys.executable, "-c", _UNPRIVILEGED])
    assert done.stdout.strip() == output


def test_a_link_local_gateway_is_reached(plain: Lab) -> None:
    """The gateway of an IPv6-only link can have a link-local address."""
    shown = plain.run(
        ["ip", "-6", "-o", "addr", "show", "dev", "client", "scope", "link"], "router"
    )
    address = shown.stdout.split()[3].partition("/")[0]
    plain.run(["ip", "route", "del", "default"])
    plain.run(
        ["ip", "-6", "route", "replace", "default", "via", address, "dev", "eth0"]
    )
    values = fields(measure(plain, short(count=3), "@gateway"))
    assert (values["address"], values["received"]) == (f"{address}%eth0", 3)
    assert values["ip_version"] == 6
