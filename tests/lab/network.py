"""The laboratory: client, router and server, each a network namespace of this machine.

    client 10.77.2.2 ──── 10.77.2.1 router 10.77.1.1 ──── 10.77.1.2 server
    fd77:2::2             fd77:2::1        fd77:1::1             fd77:1::2

The router does what the Shape says: loses and counts (gate), delays (delay), and limits
the rate where packets leave it (tbf). The server also answers for the public anycast
resolvers; whatever else is asked for ends there too. Nothing reaches another machine.
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
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

from tests.lab import delay
from tests.lab.capture import Packet, drain, open_capture
from tests.lab.dns import DnsServer, Records
from tests.lab.gate import Fate, Gate, Kind
from tests.lab.namespace import Namespace, command, sweep, unused_prefix
from tests.lab.shape import DIRECTIONS, Direction, Shape

Where = Literal["client", "router", "server"]
WHERES: tuple[Where, ...] = ("client", "router", "server")

CLIENT, CLIENT_IPV6 = "10.77.2.2", "fd77:2::2"
GATEWAY, GATEWAY_IPV6 = "10.77.2.1", "fd77:2::1"
SERVER, SERVER_IPV6 = "10.77.1.2", "fd77:1::2"
ANYCAST = ("1.1.1.1", "8.8.8.8", "9.9.9.9")

# Where a direction leaves the router.
EXITS: dict[Direction, str] = {"forward": "server", "back": "client"}
DEVICES: dict[Where, tuple[str, ...]] = {
    "client": ("eth0",),
    "router": ("client", "server"),
    "server": ("eth0",),
}
# Two full frames, or what a millisecond lets through.
SMALLEST_BURST_BYTES = 3028

T = TypeVar("T")


class Lab:
    """A laboratory: there from `with Lab(shape) as lab:` to the end of the block."""

    def __init__(self, shape: Shape | None = None) -> None:
        """Choose the shape; nothing is made before the `with`."""
        self.shape = shape or Shape()
        prefix = unused_prefix()
        self._spaces = {where: Namespace(f"{prefix}-{where}") for where in WHERES}
        self._cleanup = ExitStack()
        self.started_mono = 0.0

    def __enter__(self) -> Self:
        """Build the laboratory; when a step fails, remove what was built."""
        sweep()
        with ExitStack() as stack:
            self._cleanup = stack
            self._build()
            self._cleanup = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the children, then remove namespaces and files."""
        self._cleanup.close()

    def name(self, where: Where) -> str:
        """Give the namespace's name, for servers that are started elsewhere."""
        return self._spaces[where].name

    def argv(self, argv: Sequence[str], where: Where = "client") -> list[str]:
        """Give the command that runs `argv` inside."""
        return self._spaces[where].argv(argv)

    def run(
        self,
        argv: Sequence[str],
        where: Where = "client",
        *,
        timeout_s: float = 60,
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end and give what it printed."""
        return subprocess.run(
            self.argv(argv, where),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=check,
        )

    def popen(
        self, argv: Sequence[str], where: Where = "client", **options: Any
    ) -> subprocess.Popen[Any]:
        """Start a command; with the laboratory it ends too, and is reaped."""
        return self._start(self.argv(argv, where), **options)

    def enter(self, where: Where = "client") -> AbstractContextManager[None]:
        """Put the current thread inside, for the time of a block."""
        return self._spaces[where].enter()

    def call(self, where: Where, function: Callable[[], T]) -> T:
        """Run `function` in a fresh thread inside and give what it returns."""
        return self._spaces[where].call(function)

    def dns(self, records: Records) -> DnsServer:
        """Answer at the server's addresses, the public anycast ones among them."""
        addresses = [SERVER, *ANYCAST, *([SERVER_IPV6] if self.shape.ipv6 else [])]
        server = self.call("server", lambda: DnsServer(records, addresses))
        return self._cleanup.enter_context(server)

    @contextmanager
    def capture(
        self, where: Where = "client", buffer_bytes: int = 64 << 20
    ) -> Iterator[list[Packet]]:
        """Record ICMP and UDP; the list is filled when the block ends."""
        device = DEVICES[where][0]
        packets: list[Packet] = []
        with self.call(where, lambda: open_capture(device, buffer_bytes)) as sock:
            yield packets
            packets.extend(drain(sock))

    def passed(self, direction: Direction, kind: Kind = "packets") -> int:
        """Count what went through the router's loss rules."""
        return self._gate.counts()[f"{direction}_passed_{kind}"]

    def dropped(self, direction: Direction, kind: Kind = "packets") -> int:
        """Count what loss, cut and outage took; see also `queue_dropped`."""
        return self._gate.counts()[f"{direction}_dropped_{kind}"]

    def udp(self, direction: Direction, port: int, fate: Fate = "passed") -> int:
        """Count the datagrams of one port of the server."""
        return self._gate.udp_counts(direction, fate).get(port, 0)

    def queue_dropped(self, direction: Direction) -> int:
        """Count what the rate limit's full buffer took; a trace's is not counted."""
        show = ["tc", "-s", "-j", "qdisc", "show", "dev", EXITS[direction]]
        qdiscs = json.loads(command(self.argv(show, "router")))
        return sum(int(qdisc["drops"]) for qdisc in qdiscs)

    def interface_bytes(self, where: Where, way: Literal["rx", "tx"]) -> int:
        """Read the kernel's byte counter; the router's is that of its client side."""
        device = DEVICES[where][0]
        text = self.call(where, Path("/proc/thread-self/net/dev").read_text)
        line = next(line for line in text.splitlines() if f" {device}:" in f" {line}")
        columns = line.partition(":")[2].split()
        return int(columns[0 if way == "rx" else 8])

    def set_rate(
        self, rate_mbps: float | None, direction: Direction | None = None
    ) -> None:
        """Limit one direction or both, from now on; None takes the limit away."""
        for way in DIRECTIONS if direction is None else (direction,):
            self._set_rate(way, rate_mbps)

    def set_loss(self, probability: float, direction: Direction = "forward") -> None:
        """Lose packets of one direction, from now on."""
        self._gate.set_loss(direction, probability)

    def cut(self) -> None:
        """Drop everything between client and server, from now on."""
        self._gate.set_cut(True)

    def mend(self) -> None:
        """Undo `cut`."""
        self._gate.set_cut(False)

    def set_resolvers(self, *addresses: str) -> None:
        """Write the client's resolv.conf, for the commands started from now on."""
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
        self._plan_outage()

    def _prepare(self) -> None:
        self._spaces["router"].write_sysctls(
            {
                "ipv4/ip_forward": 1,
                "ipv4/conf/all/rp_filter": 0,
                "ipv4/conf/all/send_redirects": 0,
            }
        )
        if self.shape.ipv6:
            # Nobody else is there: looking for duplicates would cost a second.
            for space in self._spaces.values():
                space.write_sysctls({"ipv6/conf/default/accept_dad": 0})
            self._spaces["router"].write_sysctls({"ipv6/conf/all/forwarding": 1})
        else:
            # Or the kernel looks for routers, in frames that nobody here has sent.
            for space in self._spaces.values():
                space.write_sysctls({"ipv6/conf/default/disable_ipv6": 1})

    def _link(self, side: Where, address: str, address_ipv6: str) -> None:
        """Join a side to the router; the router has the .1 of each network."""
        router, end = self._spaces["router"], self._spaces[side]
        router.ip(f"link add {side} type veth peer name eth0 netns {end.name}")
        near, near_ipv6 = address[:-1] + "1", address_ipv6[:-1] + "1"
        for space, device, own, own_ipv6 in (
            (router, side, near, near_ipv6),
            (end, "eth0", address, address_ipv6),
        ):
            delay.plain(space, device)
            lines = [f"addr add {own}/24 dev {device}", f"link set {device} up"]
            if self.shape.ipv6:
                lines.insert(0, f"addr add {own_ipv6}/64 dev {device} nodad")
            space.ip(*lines)
        end.ip(f"route add default via {near}")
        if self.shape.ipv6:
            end.ip(f"route add default via {near_ipv6}", family="-6")

    def _route(self) -> None:
        """Lead all addresses to the server, which answers for some, drops the rest."""
        router, server = self._spaces["router"], self._spaces["server"]
        server.ip(*(f"addr add {address}/32 dev lo" for address in ANYCAST))
        router.ip(f"route add default via {SERVER}")
        if self.shape.ipv6:
            router.ip(f"route add default via {SERVER_IPV6}", family="-6")

    def _shape(self) -> None:
        self._gate.set_loss("forward", self.shape.loss)
        self._gate.set_loss("back", self.shape.loss_back)
        if self.shape.needs_delay:
            # The relays have read their trace when `install` comes back.
            with tempfile.TemporaryDirectory(prefix="qos-lab-") as folder:
                router = self._spaces["router"]
                delay.install(router, self.shape, Path(folder), self._start_relay)
        self._set_rate("forward", self.shape.rate_mbps)
        if self.shape.trace is None:
            self._set_rate("back", self.shape.rate_mbps)

    def _set_rate(self, direction: Direction, rate_mbps: float | None) -> None:
        device = EXITS[direction]
        if rate_mbps is None:
            remove = ["tc", "qdisc", "del", "dev", device, "root"]
            # There may have been no limit, which is as good.
            subprocess.run(
                self.argv(remove, "router"), capture_output=True, check=False
            )
            return
        rate_bps = round(rate_mbps * 1e6)
        burst_bytes = max(SMALLEST_BURST_BYTES, rate_bps // 8000)
        limit = f"rate {rate_bps}bit burst {burst_bytes}".split()
        buffer = ["latency", f"{self.shape.buffer_ms}ms"]
        replace = ["tc", "qdisc", "replace", "dev", device, "root", "tbf"]
        command(self.argv([*replace, *limit, *buffer], "router"))

    def _plan_outage(self) -> None:
        if self.shape.outage is None:
            return
        for after_s, act in zip(self.shape.outage, (self.cut, self.mend), strict=True):
            timer = threading.Timer(after_s, act)
            timer.daemon = True
            self._cleanup.callback(timer.join)
            self._cleanup.callback(timer.cancel)
            timer.start()

    def _start_relay(self, argv: Sequence[str]) -> subprocess.Popen[bytes]:
        # The relay ends with its standard input, should this process be killed.
        return self._start(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def _start(self, argv: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        process = subprocess.Popen(argv, start_new_session=True, **options)
        self._cleanup.callback(_end, process)
        return process


def _end(process: subprocess.Popen[Any]) -> None:
    """Ask, then insist, then close the pipes; the namespace ends the grandchildren."""
    process.terminate()
    try:
        process.wait(1)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(5)
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
