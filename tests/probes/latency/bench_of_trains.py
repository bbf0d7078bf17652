"""What the tests of trains share: how to run one in the laboratory."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
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
    """A probe whose trains are short enough for a test."""
    return Latency(TrainSpec(count, spacing_s, wait_s))


def measure(
    lab: Lab,
    probe: Latency,
    host: str = SERVER,
    method: str = "icmp",
    link: Link = LINK,
) -> ProbeResult:
    """One train from the laboratory's client."""
    target = Target("there", host, Layer.ANCHOR, method)
    task = Task("latency", 0, link, target)
    return lab.call("client", lambda: probe.measure(task, TimeLeft(probe.deadline_s)))


def fields(finding: ProbeResult) -> Mapping[str, Value]:
    """The fields of the one point."""
    (sample,) = finding.samples
    return sample.fields


def counts(finding: ProbeResult) -> tuple[Value, Value, Value]:
    """Sent, received, lost."""
    found = fields(finding)
    return found["sent"], found["received"], found["lost"]


def allow_ping_sockets(lab: Lab, groups: str) -> None:
    """Say which groups may open ping sockets in the client's namespace."""
    lab.run(["sysctl", "-qw", f"net.ipv4.ping_group_range={groups}"])


def start_reflector(lab: Lab, options: Sequence[str] = ()) -> subprocess.Popen[Any]:
    """A reflector on the laboratory's server, which is answering already."""
    process = lab.popen(
        [*REFLECTOR, *options], "server", stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert "reflector: at" in process.stdout.readline()
    return process


Answer = Callable[[bytes], list[bytes]]


@contextmanager
def answering(lab: Lab, answer: Answer) -> Iterator[None]:
    """A reflector of the test's own making."""
    sock = lab.call("server", lambda: socket.socket(type=socket.SOCK_DGRAM))
    lab.call("server", lambda: sock.bind((SERVER, stamp_packets.PORT)))
    sock.settimeout(0.1)
    over = threading.Event()

    def serve() -> None:
        while not over.is_set():
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
        over.set()
        thread.join()
        sock.close()


def stateless(data: bytes) -> bytes:
    """What RFC 8762's stateless reflector answers: the sender's own number."""
    asked = stamp_packets.parse_request(data)
    return stamp_packets.reply(
        asked, stamp_packets.Reflection(asked.number, 0, 0, 64), 44, None
    )


def wrong_stamp(data: bytes) -> bytes:
    """An answer by somebody who knows the number and not the stamp."""
    asked = replace(stamp_packets.parse_request(data), stamp=1)
    return stamp_packets.reply(asked, stamp_packets.Reflection(0, 0, 0, 64), 44, None)


def await_true(condition: Any, wait_s: float = 5.0) -> None:
    """Wait until `condition()` holds; fail where it never does."""
    end_s = time.monotonic() + wait_s
    while not condition():
        assert time.monotonic() < end_s, "never became true"
        time.sleep(0.01)
