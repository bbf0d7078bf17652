"""The probe as the agent knows it: its bounds, its tags, its targets, its names."""

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
    """It satisfies the seam, and its bounds follow from the count and the spacing."""
    probe: Probe = Latency.of(Settings(latency=LatencySection(count=50, spacing="1s")))
    assert (probe.measurement, probe.loads_link) == ("latency", False)
    assert 60 < probe.deadline_s < 70
    assert 50 * 2 * 84 < probe.worst_case_bytes() < 30_000


def test_its_tags_are_the_targets() -> None:
    """One point, by the target's name and layer, never its address."""
    task = Task("latency", 0, LINK, Target("dns", "@resolver", Layer.RESOLVER))
    assert short().tags(task) == ({"target": "dns", "layer": "resolver"},)


def test_a_key_that_cannot_be_read_is_a_fault_of_the_configuration(
    tmp_path: Path,
) -> None:
    """The operator learns it from `config check`, not from failed readings."""
    with pytest.raises(ValidationError, match="No such file"):
        LatencySection(stamp_key_file=tmp_path / "none")


def test_a_key_that_goes_away_fails_the_reading(lab: MakeLab, tmp_path: Path) -> None:
    """Later the missing key is the reading's cause, and nothing goes out unsigned."""
    net = lab(Shape())
    probe = replace(short(count=2), key_file=tmp_path / "gone")
    with pytest.raises(ProbeError) as caught:
        measure(net, probe, SERVER, "stamp")
    assert caught.value.cause == "permission"
    assert net.udp("forward", 862) == 0


def test_the_gateway_is_found_by_itself(lab: MakeLab) -> None:
    """@gateway measures the link's own router, and says which that was."""
    found = fields(measure(lab(Shape()), short(count=2), "@gateway"))
    assert (found["address"], found["received"]) == (GATEWAY, 2)


def test_both_facts_of_a_name_are_recorded(lab: MakeLab) -> None:
    """While DNS fails the last good address is measured, and the point says so."""
    net = lab(Shape())
    server = net.dns({"anchor.test": SERVER})
    probe = Latency(TrainSpec(2, 0.01, 0.5), book=AddressBook(servers=(SERVER,)))
    good = fields(measure(net, probe, "anchor.test"))
    server.behaviour = Behaviour.SERVFAIL
    kept = fields(measure(net, probe, "anchor.test"))
    assert (good["resolve_failed"], kept["resolve_failed"]) == (0, 1)
    assert good["address"] == kept["address"] == SERVER
    assert float(good["resolve_ms"]) > 0
    assert kept["received"] == 2


def test_a_name_that_never_resolved_is_the_cause(lab: MakeLab) -> None:
    """Without any address all that was due is lost, and the name is to blame."""
    net = lab(Shape())
    net.dns({})
    probe = Latency(TrainSpec(2, 0.01, 0.5), book=AddressBook(servers=(SERVER,)))
    finding = measure(net, probe, "nowhere.test")
    assert finding.cause == "name_not_resolved"
    assert "NXDOMAIN" in finding.detail
    assert (counts(finding), fields(finding)["unsent"]) == ((2, 0, 2), 2)


def test_an_outage_that_lets_nothing_leave_is_in_every_ratio(lab: MakeLab) -> None:
    """Sums over the day and the verdict's availability hold a link without a route."""
    net = lab(Shape())
    by = Rules(load(None))
    judge = Judge(LINK, by, BaselineStore("main", MemoryLedger(FakeClock())))
    sums: Counter[str] = Counter()
    available = []
    for minute in (1, 2):
        if minute == 2:
            net.run(["ip", "link", "del", "eth0"])
        finding = measure(net, short(count=20, spacing_s=0.002))
        outcome = Outcome.FAILED if finding.cause else Outcome.OK
        tags = {"link": "main", "target": "there", "layer": "anchor"}
        sample = Sample(tags, fields(finding))
        at_ns = minute * 60 * 10**9
        judge.observe(
            Reading("latency", outcome, at_ns - 1, (sample,), cause=finding.cause)
        )
        available.append(judge.cycle(at_ns, Phase.VOTING).available)
        table = schema.MEASUREMENTS["latency"]
        sums.update(
            {k: int(v) for k, v in sample.fields.items()
             if isinstance(v, int) and table.field(k).additive}
        )  # fmt: skip
    assert available == [True, False]
    assert (sums["lost"], sums["sent"], sums["unsent"]) == (20, 40, 20)


def test_a_dead_target_ends_within_the_deadline(lab: MakeLab) -> None:
    """The longest train there is, wake, sending and waiting, fits its deadline."""
    net = lab(Shape())
    net.cut()
    probe = Latency(TrainSpec(3, 0.1, 1.0))
    task = Task("latency", 0, LINK, Target("there", SERVER, Layer.ANCHOR))
    start = time.monotonic()
    deadline = TimeLeft(probe.deadline_s)
    assert net.call("client", lambda: probe.measure(task, deadline)).cause == "timeout"
    assert time.monotonic() - start < probe.deadline_s - 4
