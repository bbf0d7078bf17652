"""Helpers that run trains and reflectors in the laboratory."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from qos_agent.model import Layer, Link, ProbeResult, Target, Task, Value
from qos_agent.probes.latency import stamp_packets
from qos_agent.probes.latency.probe import Latency
from qos_agent.probes.latency.train import TrainSpec
from tests.lab.network import SERVER, Lab
from tests.probes.time_left import TimeLeft

LINK = Link("main", "unknown", "eth0")
RAW_ONLY, PING_FOR_ALL = "1 0", "0 2147483647"
REFLECTOR = [
    sys.executable,
    "-c",
    "import typer; from qos_agent.cli.reflector import reflector; typer.run(reflector)",
]


def short(count: int = 20, spacing_s: float = 0.01, wait_s: float = 0.5) -> Latency:
    """Return a latency probe with short trains."""
    return Latency(TrainSpec(count, spacing_s, wait_s))


def measure(
    lab: Lab,
    probe: Latency,
    host: str = SERVER,
    method: str = "icmp",
    link: Link = LINK,
) -> ProbeResult:
    """Run one train from the laboratory's client."""
    target = Target("there", host, Layer.ANCHOR, method)
    task = Task("latency", 0, link, target)
    return lab.call("client", lambda: probe.measure(task, TimeLeft(probe.deadline_s)))


def fields(result: ProbeResult) -> Mapping[str, Value]:
    """Return the fields of the only point."""
    (sample,) = result.samples
    return sample.fields


def counts(result: ProbeResult) -> tuple[Value, Value, Value]:
    """Return the fields sent, received and lost."""
    values = fields(result)
    return values["sent"], values["received"], values["lost"]


def allow_ping_sockets(lab: Lab, groups: str) -> None:
    """Set which groups may open ping sockets in the client's namespace."""
    lab.run(["sysctl", "-qw", f"net.ipv4.ping_group_range={groups}"])


def start_reflector(lab: Lab, options: Sequence[str] = ()) -> subprocess.Popen[Any]:
    """Start a reflector on the laboratory's server and wait until it is ready."""
    process = lab.popen(
        [*REFLECTOR, *options], "server", stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert "reflector: listening on" in process.stdout.readline()
    return process


Answer = Callable[[bytes], list[bytes]]


@contextmanager
def answering(lab: Lab, answer: Answer) -> Iterator[None]:
    """Run a reflector on the server whose replies `answer` returns."""
    sock = lab.call("server", lambda: socket.socket(type=socket.SOCK_DGRAM))
    lab.call("server", lambda: sock.bind((SERVER, stamp_packets.PORT)))
    sock.settimeout(0.1)
    stop = threading.Event()

    def serve() -> None:
        while not stop.is_set():
            try:
                data, source = sock.recvfrom(2048)
            except TimeoutError:
                continue
            for reply in answer(data):
                sock.sendto(reply, source)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        sock.close()


def stateless(data: bytes) -> bytes:
    """Return the reply of a stateless reflector (RFC 8762) with the sender's number."""
    request = stamp_packets.parse_request(data)
    reflection = stamp_packets.Reflection(request.number, 0, 0, 64)
    return stamp_packets.reply(request, reflection, 44, None)


def wrong_stamp(data: bytes) -> bytes:
    """Return a reply with the right number and a wrong timestamp."""
    request = replace(stamp_packets.parse_request(data), stamp=1)
    return stamp_packets.reply(request, stamp_packets.Reflection(0, 0, 0, 64), 44, None)
