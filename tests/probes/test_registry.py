"""The registry: every spec fits its probe, the schema and the schedule."""

from __future__ import annotations

import pytest

from qos_agent.config.settings import Settings
from qos_agent.journal.eviction import RANKS
from qos_agent.model import Phase
from qos_agent.model.schema import MEASUREMENTS
from qos_agent.probes.registry import (
    LOG_FIELDS,
    PROBES,
    STATUS_FIELDS,
    eviction_ranks,
    make_probes,
)
from qos_agent.schedule.jobs import jobs

EVERYTHING = Settings.model_validate(
    {
        "links": [{"name": "main"}, {"name": "spare"}],
        "targets": [{"name": "gateway", "host": "@gateway", "layer": "gateway"}],
        "web": {"pages": [{"name": "page", "url": "https://page.example.id/"}]},
        "form": {"url": "https://forms.example.id/"},
        "signal": {"modems": [{"link": "spare"}]},
    }
)


@pytest.mark.parametrize("name", PROBES)
def test_a_spec_names_fields_of_its_measurement(name: str) -> None:
    """Status and log show fields that are in the schema of the measurement."""
    measurement = MEASUREMENTS[PROBES[name].make(Settings()).measurement]
    for field in (*PROBES[name].status_fields, *PROBES[name].log_fields):
        assert measurement.field(field).name == field


@pytest.mark.parametrize("name", PROBES)
def test_a_spec_fits_the_schedule_and_the_journal(name: str) -> None:
    """It has an interval in each phase, a range of delays and a rank of the journal."""
    spec = PROBES[name]
    assert set(spec.intervals_s) == set(Phase)
    assert 0 <= spec.first_delay_s[0] <= spec.first_delay_s[1]
    assert spec.eviction_rank in RANKS


@pytest.mark.parametrize("name", PROBES)
def test_a_probe_that_loads_the_link_is_heavy(name: str) -> None:
    """A probe that has the link alone must not start at once after a boot."""
    assert PROBES[name].heavy or not make_probes(Settings())[name].loads_link


def test_shown_fields_are_listed_once() -> None:
    """A field of several probes appears once in the status file and in the log."""
    assert len(set(STATUS_FIELDS)) == len(STATUS_FIELDS)
    assert len(set(LOG_FIELDS)) == len(LOG_FIELDS)


def test_the_device_and_the_radio_are_evicted_first() -> None:
    """Other measurements have the usual rank."""
    ranks = eviction_ranks(make_probes(Settings()))
    assert ranks == {"host": 0, "signal": 1, "latency": 3, "throughput": 3, "web": 3}


def test_each_probe_runs_at_its_places() -> None:
    """Targets and pages over each link, modems on their link, the device once."""
    assert [job.key for job in jobs(EVERYTHING, Phase.VOTING)] == [
        "latency/main/gateway",
        "latency/spare/gateway",
        "throughput/main",
        "throughput/spare",
        "web/main/page",
        "web/spare/page",
        "form/main",
        "form/spare",
        "signal/spare",
        "host",
    ]
    assert [job.key for job in jobs(Settings(), Phase.IDLE, ("latency",))] == [
        "throughput/default",
        "host",
    ]
