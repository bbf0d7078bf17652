"""The laboratory: client, router and server, each a network namespace of this machine.

    client 10.77.2.2 ──── 10.77.2.1 router 10.77.1.1 ──── 10.77.1.2 server
    fd77:2::2             fd77:2::1        fd77:1::1             fd77:1::2

The router applies the Shape. It drops and counts packets (gate), delays them (delay),
and limits the rate of packets that leave it (tbf). The server also has the addresses of
the public anycast resolvers. Packets to all other addresses end at the server too, so
nothing reaches another machine.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from tests.lab import delay
from tests.lab.capacity import CapacityLog, read_log
from tests.lab.capture import Packet, drain, open_capture
from tests.lab.dns import DnsServer, Records
from tests.lab.gate import Fate, Gate, Kind
from tests.lab.namespace import Namespace, command, sweep, unused_prefix
from tests.lab.shape import DIRECTIONS, Direction, Shape

Node = Literal["client", "router", "server"]
NODES: tuple[Node, ...] = ("client", "router", "server")

CLIENT, CLIENT_IPV6 = "10.77.2.2", "fd77:2::2"
GATEWAY, GATEWAY_IPV6 = "10.77.2.1", "fd77:2::1"
SERVER, SERVER_IPV6 = "10.77.1.2", "fd77:1::2"
ANYCAST = ("1.1.1.1", "8.8.8.8", "9.9.9.9")

# The device through which each direction leaves the router.
EXITS: dict[Direction, str] = {"forward": "server", "back": "client"}
DEVICES: dict[Node, tuple[str, ...]] = {
    "client": ("eth0",),
    "router": ("client", "server"),
    "server": ("eth0",),
}
# The burst of tbf is one millisecond of traffic, but at least two full frames.
MIN_BURST_BYTES = 3028

T = TypeVar("T")


class Lab:
    """A laboratory that exists during the block `with Lab(shape) as lab:`."""

    def __init__(self, shape: Shape | None = None) -> None:
        """Set the shape; the laboratory is built at the start of the block."""
        self.shape = shape or Shape()
        prefix = unused_prefix()
        self._spaces = {node: Namespace(f"{prefix}-{node}") for node in NODES}
        self._cleanup = ExitStack()
        self._folder = Path()
        self.started_mono = 0.0

    def __enter__(self) -> Self:
        """Build the laboratory; if a step fails, remove everything built so far."""
        sweep()
        with ExitStack() as stack:
            self._cleanup = stack
            self._build()
            self._cleanup = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the child processes, then remove namespaces and files."""
        self._cleanup.close()

    def name(self, node: Node) -> str:
        """Return the namespace's name, for servers that are started elsewhere."""
        return self._spaces[node].name

    def argv(self, argv: Sequence[str], node: Node = "client") -> list[str]:
        """Return the command that runs `argv` inside."""
        return self._spaces[node].argv(argv)

    def run(
        self,
        argv: Sequence[str],
        node: Node = "client",
        *,
        timeout_s: float = 60,
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end and return its output."""
        return subprocess.run(
            self.argv(argv, node),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=check,
        )

    def popen(
        self, argv: Sequence[str], node: Node = "client", **options: Any
    ) -> subprocess.Popen[Any]:
        """Start a command, which ends and is reaped with the laboratory."""
        return self._start(self.argv(argv, node), **options)

    def enter(self, node: Node = "client") -> AbstractContextManager[None]:
        """Move the current thread into the namespace for the time of a block."""
        return self._spaces[node].enter()

    def call(self, node: Node, function: Callable[[], T]) -> T:
        """Run `function` in a new thread inside the namespace; return its result."""
        return self._spaces[node].call(function)

    def dns(self, records: Records) -> DnsServer:
        """Start a DNS server at the server's addresses, also the anycast ones."""
        addresses = [SERVER, *ANYCAST, *([SERVER_IPV6] if self.shape.ipv6 else [])]
        server = self.call("server", lambda: DnsServer(records, addresses))
        return self._cleanup.enter_context(server)

    @contextmanager
    def capture(
        self, node: Node = "client", buffer_bytes: int = 64 << 20
    ) -> Iterator[list[Packet]]:
        """Capture ICMP and UDP; the list is filled at the end of the block."""
        device = DEVICES[node][0]
        packets: list[Packet] = []
        with self.call(node, lambda: open_capture(device, buffer_bytes)) as sock:
            yield packets
            packets.extend(drain(sock))

    def passed(self, direction: Direction, kind: Kind = "packets") -> int:
        """Return the number of packets that passed the router's loss rules."""
        return self._gate.counts()[f"{direction}_passed_{kind}"]

    def dropped(self, direction: Direction, kind: Kind = "packets") -> int:
        """Return the packets dropped by loss, cut and outage; see `queue_dropped`."""
        return self._gate.counts()[f"{direction}_dropped_{kind}"]

    def udp(self, direction: Direction, port: int, fate: Fate = "passed") -> int:
        """Return the number of datagrams of one port of the server."""
        return self._gate.udp_counts(direction, fate).get(port, 0)

    def queue_dropped(self, direction: Direction) -> int:
        """Return the packets dropped by the full buffer of the rate limit.

        Drops in the buffer of a trace are not counted.
        """
        show = ["tc", "-s", "-j", "qdisc", "show", "dev", EXITS[direction]]
        qdiscs = json.loads(command(self.argv(show, "router")))
        return sum(int(qdisc["drops"]) for qdisc in qdiscs)

    def capacity(self, direction: Direction) -> CapacityLog:
        """Return what the trace of a direction has offered and transferred so far."""
        return read_log(delay.log_path(self._folder, direction))

    def interface_bytes(self, node: Node, way: Literal["rx", "tx"]) -> int:
        """Read the kernel's byte counter; for the router, of its client side."""
        device = DEVICES[node][0]
        text = self.call(node, Path("/proc/thread-self/net/dev").read_text)
        line = next(line for line in text.splitlines() if f" {device}:" in f" {line}")
        columns = line.partition(":")[2].split()
        return int(columns[0 if way == "rx" else 8])

    def set_rate(
        self, rate_mbps: float | None, direction: Direction | None = None
    ) -> None:
        """Limit one direction or both from now on; None removes the limit."""
        for limited in DIRECTIONS if direction is None else (direction,):
            self._set_rate(limited, rate_mbps)

    def set_loss(self, probability: float, direction: Direction = "forward") -> None:
        """Drop packets of one direction at random from now on."""
        self._gate.set_loss(direction, probability)

    def cut(self) -> None:
        """Drop all packets between client and server from now on."""
        self._gate.set_cut(True)

    def restore(self) -> None:
        """Undo `cut`."""
        self._gate.set_cut(False)

    def set_resolvers(self, *addresses: str) -> None:
        """Write the client's resolv.conf for commands that start after this."""
        self._spaces["client"].write_resolvers(addresses)

    def _build(self) -> None:
        for space in self._spaces.values():
            self._cleanup.callback(space.remove)
            space.create()
        self._prepare()
        self._link("client", CLIENT, CLIENT_IPV6)
        self._link("server", SERVER, SERVER_IPV6)
        self._route()
        self._gate = Gate(self._spaces["router"])
        self._shape()
        self.set_resolvers(SERVER)
        self.started_mono = time.monotonic()
        self._schedule_outage()

    def _prepare(self) -> None:
        self._spaces["router"].write_sysctls(
            {
                "ipv4/ip_forward": 1,
                "ipv4/conf/all/rp_filter": 0,
                "ipv4/conf/all/send_redirects": 0,
            }
        )
        if self.shape.ipv6:
            # Without other hosts no duplicates exist; their detection takes a second.
            for space in self._spaces.values():
                space.write_sysctls({"ipv6/conf/default/accept_dad": 0})
            self._spaces["router"].write_sysctls({"ipv6/conf/all/forwarding": 1})
        else:
            # Otherwise the kernel sends router solicitations, which tests would count.
            for space in self._spaces.values():
                space.write_sysctls({"ipv6/conf/default/disable_ipv6": 1})

    def _link(self, side: Node, address: str, address_ipv6: str) -> None:
        """Connect a side to the router, which has the address .1 of each network."""
        router, end = self._spaces["router"], self._spaces[side]
        router.ip(f"link add {side} type veth peer name eth0 netns {end.name}")
        near, near_ipv6 = address[:-1] + "1", address_ipv6[:-1] + "1"
        for space, device, own, own_ipv6 in (
            (router, side, near, near_ipv6),
            (end, "eth0", address, address_ipv6),
        ):
            delay.disable_offloads(space, device)
            lines = [f"addr add {own}/24 dev {device}", f"link set {device} up"]
            if self.shape.ipv6:
                lines.insert(0, f"addr add {own_ipv6}/64 dev {device} nodad")
            space.ip(*lines)
        end.ip(f"route add default via {near}")
        if self.shape.ipv6:
            end.ip(f"route add default via {near_ipv6}", family="-6")

    def _route(self) -> None:
        """Route all addresses to the server, which drops packets to unknown ones."""
        router, server = self._spaces["router"], self._spaces["server"]
        server.ip(*(f"addr add {address}/32 dev lo" for address in ANYCAST))
        router.ip(f"route add default via {SERVER}")
        if self.shape.ipv6:
            router.ip(f"route add default via {SERVER_IPV6}", family="-6")

    def _shape(self) -> None:
        self._gate.set_loss("forward", self.shape.loss)
        self._gate.set_loss("back", self.shape.loss_back)
        if self.shape.needs_delay:
            folder = tempfile.TemporaryDirectory(prefix="qos-lab-")
            self._folder = Path(self._cleanup.enter_context(folder))
            router = self._spaces["router"]
            delay.install(router, self.shape, self._folder, self._start_relay)
        for direction in DIRECTIONS:
            if self.shape.trace_of(direction) is None:
                self._set_rate(direction, self.shape.rate_mbps)

    def _set_rate(self, direction: Direction, rate_mbps: float | None) -> None:
        device = EXITS[direction]
        if rate_mbps is None:
            remove = ["tc", "qdisc", "del", "dev", device, "root"]
            # The command fails if there was no limit, which is fine.
            subprocess.run(
                self.argv(remove, "router"), capture_output=True, check=False
            )
            return
        rate_bps = round(rate_mbps * 1e6)
        burst_bytes = max(MIN_BURST_BYTES, rate_bps // 8000)
        limit = f"rate {rate_bps}bit burst {burst_bytes}".split()
        buffer = ["latency", f"{self.shape.buffer_ms}ms"]
        replace = ["tc", "qdisc", "replace", "dev", device, "root", "tbf"]
        command(self.argv([*replace, *limit, *buffer], "router"))

    def _schedule_outage(self) -> None:
        if self.shape.outage is None:
            return
        actions = (self.cut, self.restore)
        for after_s, action in zip(self.shape.outage, actions, strict=True):
            timer = threading.Timer(after_s, action)
            timer.daemon = True
            self._cleanup.callback(timer.join)
            self._cleanup.callback(timer.cancel)
            timer.start()

    def _start_relay(self, argv: Sequence[str]) -> subprocess.Popen[bytes]:
        # The relay exits when its standard input closes, so also if this process dies.
        return self._start(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def _start(self, argv: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        process = subprocess.Popen(argv, start_new_session=True, **options)
        self._cleanup.callback(_end, process)
        return process


def _end(process: subprocess.Popen[Any]) -> None:
    """Terminate a process, kill it after a second, and close its pipes.

    Removing the namespace ends the grandchildren.
    """
    process.terminate()
    try:
        process.wait(1)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(5)
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
