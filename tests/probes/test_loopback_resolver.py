"""A resolver on the loopback says nothing about a link, whatever it answers."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from qos_agent.model import Layer, Link, Outcome, Reading, Target, Task
from qos_agent.probes.envelope import Envelope
from qos_agent.probes.latency.probe import Latency
from qos_agent.system.clock import SystemClock
from qos_agent.system.network import names
from qos_agent.system.network.resolvers import resolvers_of
from tests.lab.dns import Behaviour, DnsServer
from tests.lab.fixtures import MakeLab
from tests.lab.network import CLIENT, SERVER, Lab
from tests.lab.shape import Shape
from tests.probes.latency.bench_of_trains import short

STUB = "127.0.0.53"
BY_INTERFACE = Link("main", "x", "eth0")
LINKS = {
    "interface": BY_INTERFACE,
    "source address": Link("main", "x", source_address=CLIENT),
    "neither": Link("main", "x"),
}


@pytest.fixture
def net(lab: MakeLab) -> Lab:
    """Return a laboratory."""
    return lab(Shape())


@pytest.fixture
def stub(net: Lab) -> Iterator[DnsServer]:
    """Run a forwarder on the client's loopback, as systemd-resolved does."""
    records = {"a.test": SERVER, "a.root-servers.net": "198.41.0.4"}
    with net.call("client", lambda: DnsServer(records, [STUB])) as server:
        yield server


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that stands for `/`; its resolv.conf names the forwarder."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/resolv.conf").write_text(f"nameserver {STUB}\n")
    monkeypatch.setattr(names, "resolvers_of", partial(resolvers_of, root=tmp_path))
    return tmp_path


def upstream(root: Path, address: str) -> None:
    """Name the server behind the forwarder, as systemd-resolved does."""
    (root / "run/systemd/resolve").mkdir(parents=True)
    (root / "run/systemd/resolve/resolv.conf").write_text(f"nameserver {address}\n")


def reading(
    net: Lab, host: str, link: Link = BY_INTERFACE, probe: Latency | None = None
) -> Reading:
    """Run one train as the agent does and return its reading."""
    envelope = Envelope(SystemClock(0), threading.Event())
    task = Task("latency", 0, link, Target("there", host, Layer.RESOLVER))
    return net.call("client", lambda: envelope.run(probe or short(count=3), task))


@pytest.mark.parametrize("link", LINKS.values(), ids=LINKS)
def test_the_server_behind_the_forwarder_is_asked_over_the_link(
    net: Lab, stub: DnsServer, root: Path, link: Link
) -> None:
    """Names resolve over the link, and the resolver that is measured is the link's."""
    upstream(root, SERVER)
    net.dns({"a.test": SERVER})
    named = reading(net, "a.test", link).samples[0].fields
    assert (named["address"], named["received"]) == (SERVER, 3)
    assert float(named["resolve_ms"]) > 0
    assert "resolve_outside" not in named
    assert net.udp("forward", 53) > 0
    assert stub.questions == []
    resolver = reading(net, "@resolver", link).samples[0].fields
    assert (resolver["address"], resolver["lost"]) == (SERVER, 0)


@pytest.mark.parametrize("link", LINKS.values(), ids=LINKS)
def test_a_forwarder_alone_resolves_names_outside_the_link(
    net: Lab, stub: DnsServer, root: Path, link: Link
) -> None:
    """The train runs over the link; the time of the forwarder is not recorded."""
    fields = reading(net, "a.test", link).samples[0].fields
    assert (fields["address"], fields["received"], fields["lost"]) == (SERVER, 3, 0)
    assert fields["resolve_outside"] == 1
    assert "resolve_ms" not in fields


@pytest.mark.parametrize("link", LINKS.values(), ids=LINKS)
def test_a_forwarder_is_never_measured_as_the_resolver(
    net: Lab, stub: DnsServer, root: Path, link: Link
) -> None:
    """The reading is skipped: neither loss nor a delay of 0.01 ms."""
    result = reading(net, "@resolver", link)
    assert (result.outcome, result.reason) == (Outcome.SKIPPED, "resolver_unknown")
    assert [dict(sample.fields) for sample in result.samples] == [{}]


@pytest.mark.parametrize("behaviour", [Behaviour.SERVFAIL, Behaviour.NXDOMAIN])
def test_a_name_that_the_forwarder_does_not_resolve_is_no_loss(
    net: Lab, stub: DnsServer, root: Path, behaviour: Behaviour
) -> None:
    """The failure is not the link's, so no packet counts as lost."""
    stub.behaviour = behaviour
    result = reading(net, "a.test")
    assert (result.outcome, result.cause) == (Outcome.FAILED, "outside_resolver")
    assert "lost" not in result.samples[0].fields


def test_the_last_good_address_outlives_the_forwarder(
    net: Lab, stub: DnsServer, root: Path
) -> None:
    """The train runs, without a time to resolve."""
    probe = short(count=3)
    reading(net, "a.test", probe=probe)
    stub.behaviour = Behaviour.SERVFAIL
    fields = reading(net, "a.test", probe=probe).samples[0].fields
    assert (fields["received"], fields["resolve_outside"]) == (3, 1)
    assert "resolve_ms" not in fields


@pytest.mark.parametrize("host", ["a.test", "@resolver"])
def test_without_any_route_the_link_is_down(
    net: Lab, stub: DnsServer, root: Path, host: str
) -> None:
    """Then the outage counts as loss, as without a forwarder (decision 024)."""
    net.run(["ip", "route", "del", "default"])
    net.run(["ip", "-6", "route", "del", "default"])
    result = reading(net, host)
    assert (result.outcome, result.cause) == (Outcome.FAILED, "no_route")
    assert result.samples[0].fields["unsent"] == 3


def doctor(net: Lab, folder: Path, prefix: list[str]) -> dict[str, str]:
    """Run the doctor in the client and return its check of names."""
    net.set_resolvers(STUB)
    journal = f"QOS_AGENT_JOURNAL__FOLDER={folder}"
    command = [*prefix, "env", journal, sys.executable, "-m", "qos_agent"]
    output = net.run([*command, "doctor", "--json"], check=False).stdout
    checks = {check["name"]: check for check in json.loads(output)}
    return dict(checks["names default"])


def test_the_doctor_reports_that_only_a_forwarder_is_known(
    net: Lab, stub: DnsServer, tmp_path: Path
) -> None:
    """The result names the forwarder and the file, and there is a fix."""
    check = doctor(net, tmp_path, [])
    assert check["health"] == "warn"
    assert f"{STUB} (/etc/resolv.conf) returned 198.41.0.4" in check["result"]
    assert "name the resolvers of eth0" in check["fix"]


def test_the_doctor_names_the_server_behind_the_forwarder(
    net: Lab, stub: DnsServer, tmp_path: Path
) -> None:
    """The result has the server of the link and the file that names it."""
    net.dns({"a.root-servers.net": "198.41.0.4"})
    folder = "/run/systemd/resolve"
    script = f"mount -t tmpfs none /run && mkdir -p {folder} && echo 'nameserver "
    script += f'{SERVER}\' > {folder}/resolv.conf && exec "$@"'
    check = doctor(net, tmp_path, ["sh", "-c", script, "sh"])
    assert check["health"] == "ok"
    source = f"{SERVER} ({folder}/resolv.conf)"
    assert check["result"] == f"{source} returned 198.41.0.4"
