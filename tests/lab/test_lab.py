"""The laboratory does what its shape says, by its own counters and by the wire."""

from __future__ import annotations

import os
import re
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.lab import delay
from tests.lab.capture import round_trips_ns
from tests.lab.dns import Behaviour, DnsServer
from tests.lab.fixtures import MakeLab, require_tools
from tests.lab.namespace import CONFIGURED, MOUNTED, Namespace, sweep
from tests.lab.network import ANYCAST, CLIENT, GATEWAY, SERVER, SERVER_IPV6, WHERES, Lab
from tests.lab.shape import TCP_PAYLOAD_SHARE, Shape
from tests.support.requirement import require

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def ping() -> None:
    """These tests judge the laboratory by ping."""
    found = any(Path(folder, "ping").exists() for folder in os.get_exec_path())
    require(found, "ping", "apt-get install iputils-ping")


def ping_counts(lab: Lab, *words: str) -> tuple[int, int]:
    """Give how many echo requests were sent and how many were answered."""
    output = lab.run(["ping", "-q", "-W", "0.5", *words], check=False).stdout
    found = re.search(r"(\d+) packets transmitted, (\d+) received", output)
    assert found, output
    return int(found[1]), int(found[2])


def send_until_refused(listener: socket.socket) -> None:
    """Serve one client with as much as it takes."""
    connection, _ = listener.accept()
    with connection, suppress(ConnectionError):
        while True:
            connection.sendall(bytes(65536))


def received_mbps(sock: socket.socket, skip_s: float, count_s: float) -> float:
    """Measure the rate of what arrives, after the ramp."""
    start = time.monotonic() + skip_s
    while time.monotonic() < start:
        sock.recv(65536)
    received, begun = 0, time.monotonic()
    while (now := time.monotonic()) < begun + count_s:
        received += len(sock.recv(65536))
    return received * 8 / (now - begun) / 1e6


def new_client_socket() -> socket.socket:
    """Make a socket whose window fits the path: no loss, so no burst of held data.

    It also keeps the queue before the rate limit from running dry when a stolen
    processor makes the relay late.
    """
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 200_000)
    sock.settimeout(5)
    return sock


def download_mbps(lab: Lab, skip_s: float = 0.5, count_s: float = 2.0) -> float:
    """Download from the server in this process, by sockets made inside."""
    with lab.call("server", lambda: socket.create_server((SERVER, 5001))) as listener:
        server = threading.Thread(target=send_until_refused, args=(listener,))
        server.start()
        with lab.call("client", new_client_socket) as sock:
            sock.connect((SERVER, 5001))
            got = received_mbps(sock, skip_s, count_s)
        server.join()
    return got


@pytest.mark.parametrize("delay_ms", [0, 40])
def test_tcp_gets_the_payload_share_of_the_rate(lab: MakeLab, delay_ms: int) -> None:
    """TCP payload is the Ethernet rate times 0.9564 within 2 %, delayed or not."""
    net = lab(Shape(rate_mbps=10, buffer_ms=400, delay_ms=delay_ms))
    want = pytest.approx(10 * TCP_PAYLOAD_SHARE, rel=0.02)
    # A hypervisor that takes the processor away makes tbf too slow, never too fast:
    # so any excess fails at once, and a shortfall only when it comes three times.
    for _ in range(3):
        got = download_mbps(net)
        if got >= 10 * TCP_PAYLOAD_SHARE or got == want:
            break
    assert got == want


def test_rate_changes_while_running(lab: MakeLab) -> None:
    """A new rate holds from the moment it is set, and its full buffer is counted."""
    net = lab(Shape(rate_mbps=50))
    net.set_rate(4, "back")
    got = download_mbps(net, count_s=1)
    assert got == pytest.approx(4 * TCP_PAYLOAD_SHARE, rel=0.1)
    assert net.queue_dropped("back") > 0
    assert net.queue_dropped("forward") == 0


@pytest.mark.parametrize("address", [SERVER, SERVER_IPV6])
def test_delay_is_the_round_trip_on_the_wire(lab: MakeLab, address: str) -> None:
    """The wire shows the round trip asked for, never less, at most 2 ms more."""
    net = lab(Shape(rate_mbps=10, delay_ms=40))
    with net.capture("client") as packets:
        sent, received = ping_counts(net, "-c", "30", "-i", "0.02", address)
    took_ms = [took / 1e6 for took in round_trips_ns(packets).values()]
    assert sent == received == len(took_ms)
    assert min(took_ms) >= 40
    assert statistics.median(took_ms) <= 42


def test_half_of_the_delay_is_each_way(lab: MakeLab) -> None:
    """A request reaches the server after half of the round trip."""
    net = lab(Shape(delay_ms=40))
    with net.capture("client") as near, net.capture("server") as far:
        ping_counts(net, "-c", "10", "-i", "0.02", SERVER)
    one_way_ms = [
        (b.at_ns - a.at_ns) / 1e6 for a, b in zip(near[::2], far, strict=False)
    ]
    assert 20 <= statistics.median(one_way_ms[:1]) <= 22


def test_trace_limits_the_way_down(lab: MakeLab) -> None:
    """A trace of one packet every 4 ms carries 3 Mbit/s of IP down."""
    net = lab(Shape(trace=(4,), delay_ms=20, buffer_ms=1500))
    got = download_mbps(net, skip_s=0.5)
    assert got == pytest.approx(1504 * 8 / 4 / 1000 * 1448 / 1500, rel=0.02)


def test_losses_are_exactly_what_ping_misses(lab: MakeLab) -> None:
    """Lost requests and replies, as the router counts them, are ping's missing ones."""
    net = lab(Shape(loss=0.1, loss_back=0.05))
    sent, received = ping_counts(net, "-c", "400", "-i", "0.003", SERVER)
    lost_up = net.dropped("forward", "echo_requests")
    lost_down = net.dropped("back", "echo_replies")
    assert sent - received == lost_up + lost_down
    assert net.passed("forward", "echo_requests") == sent - lost_up
    assert net.passed("back", "echo_replies") == received
    # Five standard deviations: wrong once in two million runs.
    assert lost_up == pytest.approx(40, abs=30)
    assert lost_down == pytest.approx(18, abs=21)


def test_datagrams_are_counted_by_port(lab: MakeLab) -> None:
    """Each of the server's ports has its own count, of passed and of dropped ones."""
    net = lab(Shape())
    with net.enter("client"):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sock:
        for port in (7001, 7001, 7002):
            sock.sendto(b"x", (SERVER, port))
        net.set_loss(1.0)
        sock.sendto(b"x", (SERVER, 7001))
    assert [net.udp("forward", port) for port in (7001, 7002, 7003)] == [2, 1, 0]
    assert net.udp("forward", 7001, "dropped") == 1


def test_outage_lasts_its_window(lab: MakeLab) -> None:
    """All that is sent in the window is lost, and nothing before or after it."""
    net = lab(Shape(outage=(0.4, 0.9)))
    sent, received = ping_counts(net, "-c", "60", "-i", "0.02", SERVER)
    lost = net.dropped("forward", "echo_requests")
    assert sent - received == lost + net.dropped("back", "echo_replies")
    # A busy machine pings later than every 20 ms.
    assert lost == pytest.approx(25, abs=12)


def test_gateway_answers_during_a_cut(lab: MakeLab) -> None:
    """A cut takes the server and leaves the gateway; mending brings the server back."""
    net = lab(Shape())
    net.cut()
    assert ping_counts(net, "-c", "1", SERVER) == (1, 0)
    assert ping_counts(net, "-c", "1", GATEWAY) == (1, 1)
    net.mend()
    assert ping_counts(net, "-c", "1", SERVER) == (1, 1)


def test_public_resolvers_stand_in_the_laboratory(lab: MakeLab) -> None:
    """The default targets' addresses answer from inside, and no other address does."""
    net = lab(Shape())
    for address in ANYCAST:
        assert ping_counts(net, "-c", "1", address) == (1, 1)
    assert ping_counts(net, "-c", "1", "192.0.2.1") == (1, 0)
    assert net.passed("forward", "echo_requests") == len(ANYCAST) + 1


def test_names_resolve_by_the_server(lab: MakeLab) -> None:
    """A command in the client finds the server's addresses through its resolv.conf."""
    net = lab(Shape())
    dns = net.dns({"tps.lab": [SERVER, SERVER_IPV6]})
    assert SERVER in net.run(["getent", "ahostsv4", "tps.lab"]).stdout
    assert SERVER_IPV6 in net.run(["getent", "ahostsv6", "tps.lab"]).stdout
    assert set(dns.questions) == {"tps.lab"}


@pytest.mark.parametrize("behaviour", [Behaviour.NXDOMAIN, Behaviour.REFUSE])
def test_dns_answers_with_an_error(behaviour: Behaviour) -> None:
    """A server told to misbehave gives the code, not the address."""
    answer = ask(behaviour)
    assert answer is not None
    assert answer[:2] == b"\xab\xcd"
    assert answer[3] & 0x0F == behaviour.value
    assert answer[6:8] == b"\0\0"


def test_dns_stays_silent() -> None:
    """A silent server hears the question and sends nothing."""
    assert ask(Behaviour.SILENT) is None


def ask(behaviour: Behaviour) -> bytes | None:
    """Ask a server on loopback for the address of `a`."""
    header = b"\xab\xcd\x01\x00\0\x01\0\0\0\0\0\0"
    with (
        DnsServer({"a": "192.0.2.1"}, ["127.0.0.1"], port=15353) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock,
    ):
        server.behaviour = behaviour
        sock.settimeout(0.3)
        sock.sendto(header + b"\x01a\0\0\x01\0\x01", ("127.0.0.1", 15353))
        try:
            return sock.recv(512)
        except TimeoutError:
            assert server.questions == ["a"]
            return None


def test_interface_counts_bytes_both_ways(lab: MakeLab) -> None:
    """What the client sends, the router's client side receives, to the byte."""
    net = lab(Shape(ipv6=False))
    before = [net.interface_bytes("client", "tx"), net.interface_bytes("router", "rx")]
    ping_counts(net, "-c", "5", "-i", "0.01", "-s", "1000", GATEWAY)
    after = [net.interface_bytes("client", "tx"), net.interface_bytes("router", "rx")]
    grown = [b - a for a, b in zip(before, after, strict=True)]
    assert grown[0] == grown[1] >= 5 * 1042


def test_entering_is_undone(lab: MakeLab) -> None:
    """A thread is in the client inside the block, and at home after it."""
    net = lab(Shape())
    home = Path("/proc/thread-self/ns/net").stat().st_ino
    with net.enter("client"), socket.create_server((CLIENT, 0)):
        assert Path("/proc/thread-self/ns/net").stat().st_ino != home
    assert Path("/proc/thread-self/ns/net").stat().st_ino == home


def test_detour_for_netem_carries_both_families(lab: MakeLab) -> None:
    """The veth detour, which netem uses where the kernel has it, is passed through."""
    net = lab(Shape())
    router = Namespace(net.name("router"))
    for direction in ("forward", "back"):
        delay.make_pair(router, direction, ("-4", "-6"), ["pfifo", "limit", "100"])
    assert ping_counts(net, "-c", "1", SERVER) == (1, 1)
    assert ping_counts(net, "-c", "1", SERVER_IPV6) == (1, 1)
    statistics_text = net.run(["ip", "-s", "link", "show", "in-back"], "router").stdout
    assert int(statistics_text.split("TX:")[1].splitlines()[1].split()[1]) >= 2


def remains(prefix: str) -> list[str]:
    """List what is left of the laboratory whose names begin so."""
    folders = (MOUNTED, CONFIGURED)
    names = [path.name for folder in folders for path in folder.glob(f"{prefix}*")]
    return names + [words for words in command_lines() if prefix in words]


def command_lines() -> list[str]:
    """Read what every process was started with."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            lines.append(
                path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            )
    return lines


def is_running(pid: int) -> bool:
    """Say whether a process runs; what only waits for init to reap it does not."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def leave_children(net: Lab) -> tuple[subprocess.Popen[bytes], list[int]]:
    """Leave a stubborn child and a daemon of its own session; give who is inside."""
    shell = "setsid sleep 1000 & trap '' TERM; echo up; wait; wait"
    child = net.popen(["bash", "-c", shell], stdout=subprocess.PIPE)
    assert child.stdout
    assert child.stdout.readline() == b"up\n"
    return child, [pid for where in WHERES for pid in Namespace(net.name(where)).pids()]


def test_nothing_is_left_behind() -> None:
    """A failing test leaves no namespace, file, child, grandchild or relay."""
    require_tools()
    net = Lab(Shape(delay_ms=2, outage=(50, 60)))
    prefix = net.name("client").removesuffix("-client")
    before = threading.active_count()
    with suppress(ZeroDivisionError), net:
        child, inside = leave_children(net)
        raise ZeroDivisionError
    assert len(inside) >= 3
    assert child.returncode is not None
    assert remains(prefix) == []
    assert not [pid for pid in inside if is_running(pid)]
    assert threading.active_count() == before


def test_killed_laboratory_is_swept() -> None:
    """What a killed process left is removed when the next laboratory is made."""
    require_tools()
    words = [sys.executable, "-m", "tests.lab", "up", "--delay", "2"]
    with subprocess.Popen(words, cwd=REPOSITORY, stdout=subprocess.PIPE) as process:
        assert process.stdout
        names = re.findall(rb"exec (lab\S+) bash", process.stdout.readline())
        process.kill()
    prefix = names[0].decode().removesuffix("-client")
    assert remains(prefix) != []
    sweep()
    assert remains(prefix) == []


def test_laboratories_do_not_collide(lab: MakeLab) -> None:
    """Three made at once, with the same addresses, each keep their own losses."""
    made = [lab(Shape(loss=loss)) for loss in (0.0, 1.0, 0.0)]
    got: list[tuple[int, int] | None] = [None] * 3

    def count(number: int) -> Callable[[], None]:
        def act() -> None:
            got[number] = ping_counts(made[number], "-c", "3", "-i", "0.1", SERVER)

        return act

    threads = [threading.Thread(target=count(number)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [(3, 3), (3, 0), (3, 3)]


def test_command_line_passes_output_and_status_through() -> None:
    """`exec` prints what its command in the client prints, and exits as it does."""
    require_tools()
    words = ["exec", "--rate", "10", "--", "sh", "-c", "hostname -I; exit 7"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.lab", *words],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 7, done.stderr
    assert CLIENT in done.stdout
