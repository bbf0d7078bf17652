"""The table of probes: each by its name in the schedule's profiles."""

from __future__ import annotations

from collections.abc import Callable

from qos_agent.config.settings import Settings
from qos_agent.model import Probe
from qos_agent.probes.host.probe import Host
from qos_agent.probes.latency.probe import Latency
from qos_agent.probes.signal.probe import Signal
from qos_agent.probes.throughput.probe import Throughput
from qos_agent.probes.web.page import Web
from qos_agent.probes.web.upload import Form

PROBES: dict[str, Callable[[Settings], Probe]] = {
    "latency": Latency.of,
    "throughput": Throughput.of,
    "web": Web.of,
    "form": Form.of,
    "signal": Signal.of,
    "host": Host.of,
}


def make_probes(settings: Settings) -> dict[str, Probe]:
    """Every probe, as configured."""
    return {name: make(settings) for name, make in PROBES.items()}
