"""TCP handshakes as probes: where they replace ICMP, and what never has both."""

from __future__ import annotations

import shutil
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydantic import ValidationError

from qos_agent.config.settings import Settings
from qos_agent.config.targets import TargetSection
from qos_agent.config.thresholds import load
from qos_agent.model import Layer, Link, Outcome, Reading, Target, Task, Value
from qos_agent.model.errors import ProbeError
from qos_agent.probes.latency import probe as latency_probe
from qos_agent.probes.latency.icmp import FIX
from qos_agent.probes.latency.probe import Latency
from qos_agent.verdict.windows import Windows, keep_s
from tests.lab.fixtures import MakeLab
from tests.lab.network import SERVER, SERVER_IPV6, Lab
from tests.lab.shape import Shape
from tests.probes.latency.bench_of_trains import LINK, fields, measure, short
from tests.probes.time_left import TimeLeft
from tests.support.requirement import require

PORT = 443


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behave as for a user without ping sockets and without CAP_NET_RAW."""
    monkeypatch.setattr(latency_probe, "is_permitted", lambda: False)


@contextmanager
def listening(lab: Lab, address: str = SERVER, port: int = PORT) -> Iterator[None]:
    """Accept connections on the laboratory's server."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = lab.call(
        "server", lambda: socket.create_server((address, port), family=family)
    )

    def accept() -> None:
        while True:
            try:
                listener.accept()[0].close()
            except OSError:
                return

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        listener.close()


def handshakes(
    lab: Lab, probe: Latency, host: str = SERVER, port: int | None = PORT
) -> dict[str, Value]:
    """Return the fields of one train to a target of method icmp."""
    target = Target("there", host, Layer.ANCHOR, "icmp", port)
    task = Task("latency", 0, LINK, target)
    result = lab.call("client", lambda: probe.measure(task, TimeLeft(20)))
    return {**fields(result), "cause": result.cause or "ok"}


@pytest.mark.parametrize("address", [SERVER, SERVER_IPV6])
def test_handshakes_replace_icmp_if_it_is_not_permitted(
    lab: MakeLab, closed: None, address: str
) -> None:
    """A first run of an ordinary user shows times, under names of their own."""
    net = lab(Shape(delay_ms=20))
    with listening(net, address):
        values = handshakes(net, short(count=20), address)
    assert (values["method"], values["cause"]) == ("tcp", "ok")
    assert (values["tcp_sent"], values["tcp_received"]) == (10, 10)
    assert values["tcp_lost"] == 0
    assert 19 < float(values["tcp_rtt_min_ms"]) < 40
    icmp = {"sent", "received", "lost", "rtt_sum_us", "rtt_p50_ms", "rtt_le_50"}
    assert icmp.isdisjoint(values)


def test_a_lost_first_syn_is_a_lost_handshake(lab: MakeLab, closed: None) -> None:
    """Otherwise the kernel's timer of one second would count as network delay."""
    net = lab(Shape())
    net.set_loss(0.4)
    with listening(net):
        values = handshakes(net, short(count=10, wait_s=3.0))
    assert 0 < int(values["tcp_lost"]) < 10
    assert int(values["tcp_sent"]) == 10
    assert float(values["tcp_rtt_max_ms"]) < 500


def test_a_closed_port_is_a_failure_with_its_cause(lab: MakeLab, closed: None) -> None:
    """A refusal may come from a firewall, so it is no round trip to the target."""
    values = handshakes(lab(Shape()), short(count=3))
    assert (values["cause"], values["tcp_received"]) == ("refused", 0)


def test_an_outage_counts_handshakes_and_no_echoes(lab: MakeLab, closed: None) -> None:
    """Echoes that cannot be sent are never lost ones."""
    net = lab(Shape(ipv6=False))
    net.run(["ip", "route", "del", "default"])
    values = handshakes(net, short(count=3))
    assert (values["tcp_sent"], values["tcp_lost"]) == (3, 3)
    assert values["cause"] != "ok"
    assert "sent" not in values


def test_a_name_that_does_not_resolve_counts_no_echoes(
    lab: MakeLab, closed: None
) -> None:
    """The method is known before the name is resolved."""
    net = lab(Shape())
    net.dns({})
    values = handshakes(net, short(count=3), "anchor.test")
    assert values["cause"] == "name_not_resolved"
    assert "sent" not in values
    with pytest.raises(ProbeError) as caught:
        handshakes(net, short(count=3), "anchor.test", None)
    assert caught.value.cause == "permission"


def test_without_a_known_port_the_cause_is_permission(
    lab: MakeLab, closed: None
) -> None:
    """A router has no port that is open for sure."""
    with pytest.raises(ProbeError) as caught:
        measure(lab(Shape()), short(count=2))
    assert caught.value.cause == "permission"


def test_a_target_can_ask_for_handshakes(lab: MakeLab) -> None:
    """A network that drops ICMP can be measured on purpose."""
    net = lab(Shape())
    target = Target("there", SERVER, Layer.ANCHOR, "tcp", PORT)
    task = Task("latency", 0, LINK, target)
    probe = short(count=2)
    with listening(net):
        result = net.call("client", lambda: probe.measure(task, TimeLeft(9)))
    assert fields(result)["tcp_received"] == 2
    with pytest.raises(ValidationError, match="missing for method tcp"):
        TargetSection(name="a", host="a.test", layer=Layer.ANCHOR, method="tcp")


def test_the_default_targets_have_a_port_except_the_gateway() -> None:
    """The first run without a configuration has times for them."""
    ports = {target.name: target.port for target in Settings().target_list()}
    assert ports.pop("gateway") is None
    assert set(ports.values()) == {53, 443}


def test_a_link_that_is_gone_is_reported_before_the_train(
    lab: MakeLab, closed: None
) -> None:
    """Handshakes over a missing interface are lost or not made, with its cause."""
    net = lab(Shape())
    target = Target("there", SERVER, Layer.ANCHOR, "icmp", PORT)
    task = Task("latency", 0, Link("sim1", "xl", "nosuch0"), target)
    probe = short(count=2)
    result = net.call("client", lambda: probe.measure(task, TimeLeft(9)))
    assert (result.cause, fields(result)["tcp_lost"]) == ("link_down", 2)


def test_a_verdict_does_not_see_handshakes(lab: MakeLab, closed: None) -> None:
    """Loss and delay of a link are those of echoes and STAMP only."""
    net = lab(Shape())
    target = Target("there", SERVER, Layer.ANCHOR, "icmp", PORT)
    task = Task("latency", 0, LINK, target)
    probe = short(count=2)
    with listening(net):
        result = net.call("client", lambda: probe.measure(task, TimeLeft(9)))
    (sample,) = result.samples
    tagged = type(sample)({**probe.tags(task)[0], "link": LINK.name}, sample.fields)
    windows = Windows(LINK.name, "forms", keep_s(load(None)))
    windows.observe(Reading("latency", Outcome.OK, 0, (tagged,)))
    assert sum(windows.sums(("anchor", "there"), 0).values()) == 0


_RUN = [sys.executable, "-m", "qos_agent", "once", "--probe", "latency"]


def test_a_first_run_of_an_ordinary_user_shows_times_and_the_fix(
    lab: MakeLab, tmp_path: Path
) -> None:
    """The command that opens ping sockets is printed, and anchors have times."""
    require(
        shutil.which("setpriv") is not None, "setpriv", "apt-get install util-linux"
    )
    net = lab(Shape())
    net.run(["sysctl", "-qw", "net.ipv4.ping_group_range=1 0"])
    environment = [
        "env",
        f"QOS_AGENT_JOURNAL__FOLDER={tmp_path}/journal",
        "QOS_AGENT_LATENCY__COUNT=2",
    ]
    drop = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
    with (
        listening(net, "1.1.1.1"),
        listening(net, "8.8.8.8"),
        listening(net, "9.9.9.9"),
    ):
        output = net.run([*environment, *drop, *_RUN]).stdout
    assert FIX in output
    assert output.count("tcp_rtt_p50_ms") >= 3, output
