"""The frugal test on a shaped link: two cells of what bench.throughput measures."""

from __future__ import annotations

import json
import shutil
import sys
from typing import Any

import pytest

from bench.target import target
from tests.lab.fixtures import MakeLab
from tests.lab.network import Lab
from tests.lab.shape import TCP_PAYLOAD_SHARE, Shape
from tests.requirement import require

# One run on a shared machine, so wider than the medians that the bench holds.
TOLERANCE = 0.06


@pytest.fixture
def shaped(lab: MakeLab) -> MakeLab:
    """Laboratories, where the servers they need are installed."""
    require(shutil.which("nginx") is not None, "nginx", "apt-get install nginx-light")
    require(shutil.which("iperf3") is not None, "iperf3", "apt-get install iperf3")
    return lab


def measured(lab: Lab, **order: object) -> dict[str, dict[str, Any]]:
    """What the frugal test finds from the client: fields by direction."""
    plain = {
        "backend": "http",
        "interface": "eth0",
        "limits": {"down": 12_500_000, "up": 12_500_000},
        "time_limit_s": 30,
    }
    argv = [sys.executable, "-m", "bench.one", json.dumps({**plain, **order})]
    found: dict[str, dict[str, Any]] = json.loads(lab.run(argv).stdout)
    return found


def test_a_constant_link_is_measured_with_little_data(shaped: MakeLab) -> None:
    """10 Mbit/s, 40 ms: both rates right, by precision, with a fifth of the data."""
    shape = Shape(rate_mbps=10, delay_ms=40, ipv6=False)
    lab = shaped(shape)
    with target(lab) as url:
        found = measured(lab, server=url)
    truth_bps = 10e6 * TCP_PAYLOAD_SHARE
    for fields in found.values():
        assert abs(fields["rate_bps"] / truth_bps - 1) < TOLERANCE
        assert fields["stop"] == "precision"
        assert fields["data_bytes"] < 0.3 * 12_500_000
        assert fields["loaded_received"] > 0
        assert fields["loaded_rtt_p50_ms"] >= 40
    assert found["up"]["congestion_control"]


def test_the_byte_cap_comes_first_and_holds(shaped: MakeLab) -> None:
    """A cap too small for certainty stops the test, within one round trip's worth."""
    lab = shaped(Shape(rate_mbps=10, delay_ms=40, ipv6=False))
    cap_bytes = 400_000
    with target(lab) as url:
        limits = {"down": cap_bytes}
        before = lab.interface_bytes("client", "rx") + lab.interface_bytes(
            "client", "tx"
        )
        found = measured(lab, server=url, limits=limits, tolerance=1e-6)
        # What was under way arrives within a round trip through the full buffer.
        lab.run(["sleep", "0.3"])
        after = lab.interface_bytes("client", "rx") + lab.interface_bytes(
            "client", "tx"
        )
    flight_bytes = 10e6 / 8 * (0.040 + 0.050)
    assert found["down"]["stop"] == "bytes"
    assert after - before <= cap_bytes + flight_bytes


def test_other_traffic_is_seen(shaped: MakeLab) -> None:
    """Traffic of another program on the interface is counted beside our own."""
    lab = shaped(Shape(rate_mbps=10, ipv6=False))
    with target(lab) as url:
        other = lab.popen(["iperf3", "-c", "10.77.1.2", "-u", "-b", "2M", "-t", "20"],
                          stdout=-3)  # fmt: skip
        found = measured(lab, server=url, limits={"down": 3_000_000})
        other.terminate()
    assert found["down"]["cross_bytes"] > 0.05 * found["down"]["measured_bytes"]
