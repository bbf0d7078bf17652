"""The laboratory has its shape, by its own counters and by captures."""

from __future__ import annotations

import re
import shutil
import socket
import statistics
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from tests.lab import delay
from tests.lab.capture import round_trips_ns
from tests.lab.dns import Behaviour, DnsServer
from tests.lab.fixtures import MakeLab, require_tools
from tests.lab.namespace import CONFIGURED, MOUNTED, Namespace, sweep
from tests.lab.network import ANYCAST, CLIENT, GATEWAY, NODES, SERVER, SERVER_IPV6, Lab
from tests.lab.shape import TCP_PAYLOAD_SHARE, Shape
from tests.support.requirement import require

# Other load on the machine would change the rates and times that are compared.
pytestmark = pytest.mark.serial

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def ping() -> None:
    """Skip the tests without ping, which they compare the laboratory with."""
    installed = shutil.which("ping") is not None
    require(installed, "ping", "apt-get install iputils-ping")


def ping_counts(lab: Lab, *options: str) -> tuple[int, int]:
    """Run ping and return the numbers of requests and replies."""
    output = lab.run(["ping", "-q", "-W", "0.5", *options], check=False).stdout
    match = re.search(r"(\d+) packets transmitted, (\d+) received", output)
    assert match, output
    return int(match[1]), int(match[2])


def send_until_closed(listener: socket.socket) -> None:
    """Send data to one client until it closes the connection."""
    connection, _ = listener.accept()
    with connection, suppress(ConnectionError):
        while True:
            connection.sendall(bytes(65536))


def received_mbps(sock: socket.socket, skip_s: float, count_s: float) -> float:
    """Return the receive rate after the ramp-up of TCP."""
    start_s = time.monotonic() + skip_s
    while time.monotonic() < start_s:
        sock.recv(65536)
    received_bytes, start_s = 0, time.monotonic()
    while (now_s := time.monotonic()) < start_s + count_s:
        received_bytes += len(sock.recv(65536))
    return received_bytes * 8 / (now_s - start_s) / 1e6


def new_client_socket() -> socket.socket:
    """Return a socket whose window fits the path, so that no packet is lost.

    A loss would cause bursts of buffered data. The window also keeps the queue before
    the rate limit full if the hypervisor delays the relay.
    """
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 200_000)
    sock.settimeout(5)
    return sock


def download_mbps(lab: Lab, skip_s: float = 0.5, count_s: float = 2.0) -> float:
    """Download from the server in this process with sockets of both namespaces."""
    with lab.call("server", lambda: socket.create_server((SERVER, 5001))) as listener:
        server = threading.Thread(target=send_until_closed, args=(listener,))
        server.start()
        with lab.call("client", new_client_socket) as sock:
            sock.connect((SERVER, 5001))
            rate_mbps = received_mbps(sock, skip_s, count_s)
        server.join()
    return rate_mbps


@pytest.mark.parametrize("delay_ms", [0, 40])
def test_tcp_gets_the_payload_share_of_the_rate(lab: MakeLab, delay_ms: int) -> None:
    """TCP payload is the Ethernet rate times 0.9564 within 2 %, with any delay."""
    net = lab(Shape(rate_mbps=10, buffer_ms=400, delay_ms=delay_ms))
    expected = pytest.approx(10 * TCP_PAYLOAD_SHARE, rel=0.02)
    # If the hypervisor takes the processor away, tbf is too slow, never too fast.
    # A rate above the limit fails at once, a lower rate only after three tries.
    for _ in range(3):
        rate_mbps = download_mbps(net)
        if rate_mbps >= 10 * TCP_PAYLOAD_SHARE or rate_mbps == expected:
            break
    assert rate_mbps == expected


def test_rate_changes_while_running(lab: MakeLab) -> None:
    """A new rate applies at once, and drops in its full buffer are counted."""
    net = lab(Shape(rate_mbps=50))
    net.set_rate(4, "back")
    rate_mbps = download_mbps(net, count_s=1)
    assert rate_mbps == pytest.approx(4 * TCP_PAYLOAD_SHARE, rel=0.1)
    assert net.queue_dropped("back") > 0
    assert net.queue_dropped("forward") == 0


@pytest.mark.parametrize("address", [SERVER, SERVER_IPV6])
def test_delay_is_the_captured_round_trip(lab: MakeLab, address: str) -> None:
    """The captured round trip is at least the delay, its median at most 2 ms more."""
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
    """A trace of one packet every 4 ms gives 3 Mbit/s of IP downlink."""
    net = lab(Shape(trace=(4,), delay_ms=20, buffer_ms=1500))
    rate_mbps = download_mbps(net, skip_s=0.5)
    assert rate_mbps == pytest.approx(3 * 1448 / 1500, rel=0.02)


def test_drops_equal_the_losses_of_ping(lab: MakeLab) -> None:
    """The drops that the router counts equal the missing replies of ping."""
    net = lab(Shape(loss=0.1, loss_back=0.05))
    sent, received = ping_counts(net, "-c", "400", "-i", "0.003", SERVER)
    lost_up = net.dropped("forward", "echo_requests")
    lost_down = net.dropped("back", "echo_replies")
    assert sent - received == lost_up + lost_down
    assert net.passed("forward", "echo_requests") == sent - lost_up
    assert net.passed("back", "echo_replies") == received
    # Five standard deviations; a correct loss fails once in two million runs.
    assert lost_up == pytest.approx(40, abs=30)
    assert lost_down == pytest.approx(18, abs=21)


def test_datagrams_are_counted_by_port(lab: MakeLab) -> None:
    """Each port of the server has its own counts of passed and dropped datagrams."""
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
    """Packets in the window are lost, and none before or after it."""
    net = lab(Shape(outage=(0.4, 0.9)))
    sent, received = ping_counts(net, "-c", "60", "-i", "0.02", SERVER)
    lost = net.dropped("forward", "echo_requests")
    assert sent - received == lost + net.dropped("back", "echo_replies")
    # On a busy machine the interval of ping is longer than 20 ms.
    assert lost == pytest.approx(25, abs=12)


def test_gateway_answers_during_a_cut(lab: MakeLab) -> None:
    """During a cut only the gateway replies; after `restore` the server replies too."""
    net = lab(Shape())
    net.cut()
    assert ping_counts(net, "-c", "1", SERVER) == (1, 0)
    assert ping_counts(net, "-c", "1", GATEWAY) == (1, 1)
    net.restore()
    assert ping_counts(net, "-c", "1", SERVER) == (1, 1)


def test_public_resolvers_are_in_the_laboratory(lab: MakeLab) -> None:
    """The addresses of the default targets reply, and no other address does."""
    net = lab(Shape())
    for address in ANYCAST:
        assert ping_counts(net, "-c", "1", address) == (1, 1)
    assert ping_counts(net, "-c", "1", "192.0.2.1") == (1, 0)
    assert net.passed("forward", "echo_requests") == len(ANYCAST) + 1


def test_names_resolve_by_the_server(lab: MakeLab) -> None:
    """A command in the client resolves names with the server of its resolv.conf."""
    net = lab(Shape())
    dns = net.dns({"tps.lab": [SERVER, SERVER_IPV6]})
    assert SERVER in net.run(["getent", "ahostsv4", "tps.lab"]).stdout
    assert SERVER_IPV6 in net.run(["getent", "ahostsv6", "tps.lab"]).stdout
    assert set(dns.questions) == {"tps.lab"}


@pytest.mark.parametrize("behaviour", [Behaviour.NXDOMAIN, Behaviour.REFUSE])
def test_dns_answers_with_an_error(behaviour: Behaviour) -> None:
    """A server with an error behaviour returns the code, not the address."""
    answer = resolve(behaviour)
    assert answer is not None
    assert answer[:2] == b"\xab\xcd"
    assert answer[3] & 0x0F == behaviour.value
    assert answer[6:8] == b"\0\0"


def test_dns_stays_silent() -> None:
    """A silent server receives the question and sends nothing."""
    assert resolve(Behaviour.SILENT) is None


def resolve(behaviour: Behaviour) -> bytes | None:
    """Resolve `a` with a server on loopback and return its answer."""
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


def test_interface_counts_bytes_in_both_directions(lab: MakeLab) -> None:
    """The router's client side receives exactly the bytes that the client sends."""
    net = lab(Shape(ipv6=False))
    before = [net.interface_bytes("client", "tx"), net.interface_bytes("router", "rx")]
    ping_counts(net, "-c", "5", "-i", "0.01", "-s", "1000", GATEWAY)
    after = [net.interface_bytes("client", "tx"), net.interface_bytes("router", "rx")]
    deltas = [b - a for a, b in zip(before, after, strict=True)]
    assert deltas[0] == deltas[1] >= 5 * 1042


def test_entering_is_undone(lab: MakeLab) -> None:
    """A thread is in the client's namespace during the block only."""
    net = lab(Shape())
    original = Path("/proc/thread-self/ns/net").stat().st_ino
    with net.enter("client"), socket.create_server((CLIENT, 0)):
        assert Path("/proc/thread-self/ns/net").stat().st_ino != original
    assert Path("/proc/thread-self/ns/net").stat().st_ino == original


def test_detour_for_netem_forwards_both_families(lab: MakeLab) -> None:
    """The veth detour for netem forwards IPv4 and IPv6, even without netem."""
    net = lab(Shape())
    router = Namespace(net.name("router"))
    for direction in ("forward", "back"):
        delay.make_pair(router, direction, ("-4", "-6"), ["pfifo", "limit", "100"])
    assert ping_counts(net, "-c", "1", SERVER) == (1, 1)
    assert ping_counts(net, "-c", "1", SERVER_IPV6) == (1, 1)
    statistics_text = net.run(["ip", "-s", "link", "show", "in-back"], "router").stdout
    assert int(statistics_text.split("TX:")[1].splitlines()[1].split()[1]) >= 2


def remains(prefix: str) -> list[str]:
    """Return the namespaces, files and processes of a laboratory that still exist."""
    folders = (MOUNTED, CONFIGURED)
    names = [path.name for folder in folders for path in folder.glob(f"{prefix}*")]
    return names + [line for line in command_lines() if prefix in line]


def command_lines() -> list[str]:
    """Return the command line of every process."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            lines.append(
                path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            )
    return lines


def is_running(pid: int) -> bool:
    """Return True if a process runs and is not a zombie."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def leave_children(net: Lab) -> tuple[subprocess.Popen[bytes], list[int]]:
    """Start a child that ignores SIGTERM and a daemon; return all processes inside."""
    shell = "setsid sleep 1000 & trap '' TERM; echo up; wait; wait"
    child = net.popen(["bash", "-c", shell], stdout=subprocess.PIPE)
    assert child.stdout
    assert child.stdout.readline() == b"up\n"
    return child, [pid for node in NODES for pid in Namespace(net.name(node)).pids()]


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
    """The next laboratory removes the remains of a killed process."""
    require_tools()
    command = [sys.executable, "-m", "tests.lab", "up", "--delay", "2"]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE) as process:
        assert process.stdout
        names = re.findall(rb"exec (lab\S+) bash", process.stdout.readline())
        process.kill()
    prefix = names[0].decode().removesuffix("-client")
    assert remains(prefix) != []
    sweep()
    assert remains(prefix) == []


def test_laboratories_do_not_collide(lab: MakeLab) -> None:
    """Three laboratories with the same addresses have their own losses."""
    labs = [lab(Shape(loss=loss)) for loss in (0.0, 1.0, 0.0)]

    def count(net: Lab) -> tuple[int, int]:
        return ping_counts(net, "-c", "3", "-i", "0.1", SERVER)

    with ThreadPoolExecutor(len(labs)) as pool:
        counts = list(pool.map(count, labs))
    assert counts == [(3, 3), (3, 0), (3, 3)]


def test_command_line_passes_output_and_status_through() -> None:
    """`exec` prints the output of its command and returns its exit status."""
    require_tools()
    arguments = ["exec", "--rate", "10", "--", "sh", "-c", "hostname -I; exit 7"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.lab", *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 7, done.stderr
    assert CLIENT in done.stdout


def test_each_direction_follows_its_trace(lab: MakeLab) -> None:
    """Both traces limit their direction, and the log has what each one transferred."""
    shape = Shape(trace=(4,), trace_up=(12,), delay_ms=20, trace_queue_bytes=60_000)
    net = lab(shape)
    started_s = time.monotonic()
    assert download_mbps(net, skip_s=0.5) == pytest.approx(3 * 1448 / 1500, rel=0.02)
    ended_s = time.monotonic() - 0.1
    down, up = net.capacity("back"), net.capacity("forward")
    span_s = ended_s - started_s
    offered_mbps = down.offered_bytes(started_s, ended_s) * 8 / span_s / 1e6
    assert offered_mbps == pytest.approx(3.0, rel=0.02)
    offered_mbps = up.offered_bytes(started_s, ended_s) * 8 / span_s / 1e6
    assert offered_mbps == pytest.approx(1.0, rel=0.04)
    assert 0 < up.carried_bytes() < down.carried_bytes()


def test_the_queue_of_a_trace_drops_what_does_not_fit(lab: MakeLab) -> None:
    """A queue of four packets holds four packets of a burst, and drops the rest."""
    shape = Shape(trace_up=(1000,) * 8, trace_queue_bytes=4 * 1028, ipv6=False)
    net = lab(shape)
    sent, received = ping_counts(net, "-s1000", "-l12", "-c12", "-W2", SERVER)
    assert sent == 12
    assert received == 4
