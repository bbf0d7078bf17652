"""The list of all probes. A new probe needs an import and one entry here."""

from __future__ import annotations

from collections.abc import Mapping

from qos_agent.config.settings import Settings
from qos_agent.model import Probe
from qos_agent.model.types import Memory
from qos_agent.probes.host import probe as host
from qos_agent.probes.latency import probe as latency
from qos_agent.probes.signal import probe as signal
from qos_agent.probes.spec import ProbeSpec
from qos_agent.probes.throughput import probe as throughput
from qos_agent.probes.web import page, upload

_SPECS = (
    latency.SPEC,
    throughput.SPEC,
    page.SPEC,
    upload.SPEC,
    signal.SPEC,
    host.SPEC,
)
PROBES: Mapping[str, ProbeSpec] = {spec.name: spec for spec in _SPECS}

# Names without repetition, in the order of the list.
STATUS_FIELDS = tuple(dict.fromkeys(f for spec in _SPECS for f in spec.status_fields))
LOG_FIELDS = tuple(dict.fromkeys(f for spec in _SPECS for f in spec.log_fields))


def make_probes(settings: Settings) -> dict[str, Probe]:
    """Return every probe, configured. Raises ConfigError for an unreadable file."""
    return {name: spec.make(settings) for name, spec in PROBES.items()}


def learn_in(probes: Mapping[str, Probe], memory: Memory) -> None:
    """Let the probes that learn about a link use and extend a memory."""
    for probe in probes.values():
        if isinstance(probe, throughput.Throughput):
            probe.learn_in(memory)


def usual_bytes(probe: Probe | None, link: str) -> int | None:
    """Return the data that a task of a probe usually moves on a link, if known."""
    if isinstance(probe, throughput.Throughput):
        return probe.usual_bytes(link)
    return None


def eviction_ranks(probes: Mapping[str, Probe]) -> dict[str, int]:
    """Return the eviction rank of each measurement that the probes write."""
    return {
        probe.measurement: PROBES[name].eviction_rank for name, probe in probes.items()
    }
