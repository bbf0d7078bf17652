"""Damaged values of links in the journal: baselines and incidents."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from qos_agent.config.settings import Settings
from qos_agent.model import Phase
from qos_agent.verdict.baseline import BaselineStore
from qos_agent.verdict.incidents import Incident, Incidents, Now
from qos_agent.verdict.monitor import LinkMonitor
from tests.support.clocks import FakeClock
from tests.support.ledgers import MAIN, MemoryLedger

MINUTE_NS = 60 * 10**9
INCIDENT = asdict(Incident("a1", "timeout", "loss", "radio", "boot-0", 5, 7, "access"))


@pytest.mark.parametrize(
    "text",
    [
        '{"loss": {"3": 2',
        '["loss"]',
        '{"loss": [3]}',
        '{"loss": {"x": 2}}',
        '{"loss": {"3": "2"}}',
        '{"loss": {"3": -2}}',
        '{"loss": {"999999": 2}}',
        "\ufffd",
    ],
)
def test_a_damaged_baseline_begins_again(text: str) -> None:
    """The agent starts, judges and stores a new baseline."""
    memory = MemoryLedger(FakeClock())
    memory.set_state("baseline/main", text)
    store = BaselineStore("main", memory)
    assert store.quantile("loss", 0.95, 1) is None
    store.add("loss", 0.5)
    store.save()
    assert BaselineStore("main", memory).figures.keys() == {"loss"}


@pytest.mark.parametrize(
    "change",
    [
        {"name": 7},
        {"start_boot_ns": "soon"},
        {"start_ns": 10**30},
        {"side": []},
        {"nothing": 1},
        {"cause": None},
    ],
)
def test_a_damaged_incident_is_forgotten(change: dict[str, object]) -> None:
    """A new one opens if the outage goes on."""
    memory = MemoryLedger(FakeClock())
    memory.set_state("incident/main", json.dumps(INCIDENT | change))
    assert Incidents(MAIN, "d", "boot-1", memory, 30.0).open is None
    memory.set_state("incident/main", json.dumps(INCIDENT))
    assert Incidents(MAIN, "d", "boot-1", memory, 30.0).open == Incident(**INCIDENT)


def test_the_monitor_starts_with_damaged_memory() -> None:
    """All links are judged, and the next start finds sound values."""
    memory = MemoryLedger(FakeClock())
    settings = Settings.model_validate({"links": [{"name": "main"}]})
    for key in ("baseline/main", "incident/main"):
        memory.set_state(key, "[" * 5000)
    monitor = LinkMonitor(settings, memory, "boot-1")
    readings = monitor.cycle(Now(MINUTE_NS, None), Phase.PRE, False)
    assert [reading.measurement for reading in readings] == ["verdict"]
    monitor.close()
    assert json.loads(memory.kept["baseline/main"]) == {}
