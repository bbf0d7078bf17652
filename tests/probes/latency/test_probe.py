"""The latency probe: limits, tags, targets and name resolution."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError

from qos_agent.config.settings import LatencySection, Settings
from qos_agent.config.thresholds import load
from qos_agent.model import (
    Layer,
    Outcome,
    Phase,
    Probe,
    Reading,
    Sample,
    Target,
    Task,
    schema,
)
from qos_agent.model.errors import ProbeError
from qos_agent.probes.latency.probe import Latency
from qos_agent.probes.latency.train import TrainSpec
from qos_agent.system.network import AddressBook
from qos_agent.verdict.baseline import BaselineStore
from qos_agent.verdict.judge import Judge, Rules
from tests.lab.dns import Behaviour
from tests.lab.fixtures import MakeLab
from tests.lab.network import GATEWAY, SERVER
from tests.lab.shape import Shape
from tests.probes.latency.bench_of_trains import LINK, counts, fields, measure, short
from tests.probes.time_left import TimeLeft
from tests.support.clocks import FakeClock
from tests.support.ledgers import MemoryLedger


def test_it_is_a_probe_of_its_settings() -> None:
    """It satisfies the Probe protocol; its limits follow from count and spacing."""
    probe: Probe = Latency.of(Settings(latency=LatencySection(count=50, spacing="1s")))
    assert (probe.measurement, probe.loads_link) == ("latency", False)
    assert 60 < probe.deadline_s < 70
    assert 50 * 2 * 84 < probe.worst_case_bytes() < 30_000


def test_its_tags_are_the_targets() -> None:
    """The point has the target's name and layer as tags, not its address."""
    task = Task("latency", 0, LINK, Target("dns", "@resolver", Layer.RESOLVER))
    assert short().tags(task) == ({"target": "dns", "layer": "resolver"},)


def test_an_unreadable_key_is_a_configuration_error(tmp_path: Path) -> None:
    """Settings with a missing key file are invalid before any measurement."""
    with pytest.raises(ValidationError, match="No such file"):
        LatencySection(stamp_key_file=tmp_path / "none")


def test_a_removed_key_fails_the_reading(lab: MakeLab, tmp_path: Path) -> None:
    """A key removed later is the reading's cause, and no unsigned packet is sent."""
    net = lab(Shape())
    probe = replace(short(count=2), key_file=tmp_path / "gone")
    with pytest.raises(ProbeError) as caught:
        measure(net, probe, SERVER, "stamp")
    assert caught.value.cause == "permission"
    assert net.udp("forward", 862) == 0


def test_the_gateway_target_is_the_links_router(lab: MakeLab) -> None:
    """The target @gateway is the link's router; the point contains its address."""
    values = fields(measure(lab(Shape()), short(count=2), "@gateway"))
    assert (values["address"], values["received"]) == (GATEWAY, 2)


def test_a_dns_failure_and_the_last_address_are_recorded(lab: MakeLab) -> None:
    """While DNS fails, the probe measures the last address and records the failure."""
    net = lab(Shape())
    server = net.dns({"anchor.test": SERVER})
    probe = Latency(TrainSpec(2, 0.01, 0.5), book=AddressBook(servers=(SERVER,)))
    good = fields(measure(net, probe, "anchor.test"))
    server.behaviour = Behaviour.SERVFAIL
    stale = fields(measure(net, probe, "anchor.test"))
    assert (good["resolve_failed"], stale["resolve_failed"]) == (0, 1)
    assert good["address"] == stale["address"] == SERVER
    assert float(good["resolve_ms"]) > 0
    assert stale["received"] == 2


def test_a_name_that_never_resolved_is_the_cause(lab: MakeLab) -> None:
    """Without any address all due probes are lost, and the name is the cause."""
    net = lab(Shape())
    net.dns({})
    probe = Latency(TrainSpec(2, 0.01, 0.5), book=AddressBook(servers=(SERVER,)))
    result = measure(net, probe, "nowhere.test")
    assert result.cause == "name_not_resolved"
    assert "NXDOMAIN" in result.detail
    assert (counts(result), fields(result)["unsent"]) == ((2, 0, 2), 2)


def test_an_outage_without_a_route_is_in_every_ratio(lab: MakeLab) -> None:
    """Daily sums and the verdict's availability include a link without a route."""
    net = lab(Shape())
    rules = Rules(load(None))
    judge = Judge(LINK, rules, BaselineStore("main", MemoryLedger(FakeClock())))
    sums: Counter[str] = Counter()
    available = []
    for minute in (1, 2):
        if minute == 2:
            net.run(["ip", "link", "del", "eth0"])
        result = measure(net, short(count=20, spacing_s=0.002))
        outcome = Outcome.FAILED if result.cause else Outcome.OK
        tags = {"link": "main", "target": "there", "layer": "anchor"}
        sample = Sample(tags, fields(result))
        at_ns = minute * 60 * 10**9
        judge.observe(
            Reading("latency", outcome, at_ns - 1, (sample,), cause=result.cause)
        )
        available.append(judge.cycle(at_ns, Phase.VOTING).available)
        table = schema.MEASUREMENTS["latency"]
        for name, value in sample.fields.items():
            if isinstance(value, int) and table.field(name).additive:
                sums[name] += value
    assert available == [True, False]
    assert (sums["lost"], sums["sent"], sums["unsent"]) == (20, 40, 20)


def test_a_dead_target_ends_within_the_deadline(lab: MakeLab) -> None:
    """The longest train, with wake-up, sending and waiting, ends in its deadline."""
    net = lab(Shape())
    net.cut()
    probe = Latency(TrainSpec(3, 0.1, 1.0))
    task = Task("latency", 0, LINK, Target("there", SERVER, Layer.ANCHOR))
    start = time.monotonic()
    deadline = TimeLeft(probe.deadline_s)
    assert net.call("client", lambda: probe.measure(task, deadline)).cause == "timeout"
    assert time.monotonic() - start < probe.deadline_s - 4
