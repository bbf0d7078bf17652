"""The throughput backends, by their names in the configuration."""

from __future__ import annotations

from qos_agent.probes.throughput.backend import Backend
from qos_agent.probes.throughput.http import Http
from qos_agent.probes.throughput.iperf3 import Iperf3
from qos_agent.probes.throughput.speedtest import Speedtest

BACKENDS: dict[str, Backend] = {
    "http": Http(),
    "iperf3": Iperf3(),
    "speedtest": Speedtest(),
}
