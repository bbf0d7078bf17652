"""The frugal test on a shaped link: two cells of what bench.throughput measures."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from bench.target import target
from tests.lab.fixtures import MakeLab
from tests.lab.network import Lab
from tests.lab.shape import TCP_PAYLOAD_SHARE, Shape
from tests.support.requirement import require

# Below the 4.6 % that forgetting the headers would be; medians of few runs on a
# shared machine, so wider than what the bench holds.
TOLERANCE = 0.03
RUNS = 3


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
        runs = [measured(lab, server=url) for _ in range(RUNS)]
    truth_bps = 10e6 * TCP_PAYLOAD_SHARE
    for direction in ("down", "up"):
        rate_bps = median(run[direction]["rate_bps"] for run in runs)
        assert abs(rate_bps / truth_bps - 1) < TOLERANCE
        # Whoever else uses the machine can only make a test longer.
        data_bytes = min(run[direction]["data_bytes"] for run in runs)
        assert data_bytes < 0.25 * 12_500_000
        sure = [r[direction] for r in runs if r[direction]["stop"] == "precision"]
        assert sure
        # Three rounds of the round trip at least, and no constant: it is detected.
        assert 120 <= sure[0]["ramp_ms"] < 5000
        assert 0 < sure[0]["cpu_share"] <= 1
    for fields in runs[0].values():
        assert fields["loaded_received"] > 0
        assert fields["loaded_rtt_p50_ms"] >= 40
    assert runs[0]["up"]["congestion_control"]


@pytest.mark.parametrize("direction", ["down", "up"])
def test_a_fast_link_takes_four_flows(shaped: MakeLab, direction: str) -> None:
    """Above 20 Mbit/s one flow is not trusted to fill the link."""
    lab = shaped(Shape(rate_mbps=50, ipv6=False))
    with target(lab) as url:
        found = measured(lab, server=url)[direction]
    assert found["connections"] == 4
    assert found["rate_bps"] > 30e6


@pytest.mark.parametrize("direction", ["down", "up"])
def test_the_byte_cap_comes_first_and_holds(shaped: MakeLab, direction: str) -> None:
    """A cap too small for certainty stops the test, within one round trip's worth."""
    lab = shaped(Shape(rate_mbps=10, delay_ms=40, ipv6=False))
    cap_bytes = 400_000
    with target(lab) as url:
        before = moved(lab)
        found = measured(lab, server=url, limits={direction: cap_bytes}, tolerance=1e-6)
        # What was under way arrives within a round trip through the full buffer.
        lab.run(["sleep", "0.3"])
        after = moved(lab)
    flight_bytes = 10e6 / 8 * (0.040 + 0.050)
    assert found[direction]["stop"] == "bytes"
    # With every core busy no less than 79 % was used (`bench.bytecap --busy`).
    assert 0.7 * cap_bytes < after - before <= cap_bytes + flight_bytes


def moved(lab: Lab) -> int:
    """What the client's interface has counted, both ways."""
    return lab.interface_bytes("client", "rx") + lab.interface_bytes("client", "tx")


def test_a_sender_that_avoids_queues_is_left_alone(shaped: MakeLab) -> None:
    """BBR fills a slow, far link without a queue: no further flows are started."""
    available = Path("/proc/sys/net/ipv4/tcp_available_congestion_control").read_text()
    require("bbr" in available.split(), "bbr", "modprobe tcp_bbr")
    lab = shaped(Shape(rate_mbps=2, delay_ms=100, ipv6=False))
    with target(lab, "bbr") as url:
        found = measured(lab, server=url, limits={"up": 2_500_000})["up"]
    assert found["congestion_control"] == "bbr"
    assert found["connections"] == 1
    # On a machine that others use as well; the bench holds a quarter.
    assert found["data_bytes"] < 0.35 * 2_500_000


def test_other_traffic_is_seen(shaped: MakeLab) -> None:
    """Traffic of another program on the interface is counted beside our own."""
    lab = shaped(Shape(rate_mbps=10, ipv6=False))
    with target(lab) as url:
        other = lab.popen(["iperf3", "-c", "10.77.1.2", "-u", "-b", "2M", "-t", "20"],
                          stdout=-3)  # fmt: skip
        found = measured(lab, server=url, limits={"down": 3_000_000})
        other.terminate()
    assert found["down"]["cross_bytes"] > 0.05 * found["down"]["measured_bytes"]


def test_an_upload_is_complete_when_it_has_arrived(shaped: MakeLab) -> None:
    """The kernel's buffer is no destination: at 1 Mbit/s the rate is the link's."""
    lab = shaped(Shape(rate_mbps=1, delay_ms=20, ipv6=False))
    with target(lab) as url:
        found = measured(lab, server=url, limits={"up": 300_000}, tolerance=1e-6)
    rate_bps = found["up"]["rate_bps"]
    assert found["up"]["stop"] in ("bytes", "complete")
    assert abs(rate_bps / (1e6 * TCP_PAYLOAD_SHARE) - 1) < 0.1


def test_speedtest_leaves_by_the_interface_of_its_link(shaped: MakeLab) -> None:
    """Tied to the interface that leads there it measures; to another it does not."""
    lab = shaped(Shape(rate_mbps=20, ipv6=False))
    lab.run(["ip", "link", "add", "elsewhere", "type", "veth", "peer", "name", "none"])
    lab.run(["ip", "addr", "add", "10.99.0.1/24", "dev", "elsewhere"])
    lab.run(["ip", "link", "set", "elsewhere", "up"])
    given = {"backend": "speedtest", "limits": {"down": 4_000_000}}
    with target(lab) as url:
        there = measured(lab, server=url, **given)
        nowhere = measured(lab, server=url, interface="elsewhere", **given)
    assert there["down"]["rate_bps"] > 5e6
    assert there["down"]["data_bytes"] <= 4_000_000
    assert "cause" in nowhere["down"]
