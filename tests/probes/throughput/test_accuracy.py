"""The backend `http` on shaped links: a few cells of bench.throughput."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from bench.target import target
from tests.lab.capacity import markov_modulated, with_handovers, with_outages
from tests.lab.fixtures import MakeLab
from tests.lab.network import Lab
from tests.lab.shape import TCP_PAYLOAD_SHARE, Shape
from tests.support.requirement import require

# Other load on the machine would change the rates and times that are compared.
pytestmark = pytest.mark.serial

# Smaller than the 4.6 % error of a rate that includes the headers. Larger than the
# tolerance of the bench, because a median of few runs on a shared machine varies more.
TOLERANCE = 0.03
RUNS = 3


@pytest.fixture
def shaped(lab: MakeLab) -> MakeLab:
    """Return laboratories if the servers that they need are installed."""
    require(shutil.which("nginx") is not None, "nginx", "apt-get install nginx-light")
    require(shutil.which("iperf3") is not None, "iperf3", "apt-get install iperf3")
    return lab


def measured(lab: Lab, **order: object) -> dict[str, dict[str, Any]]:
    """Return the fields of a backend's results by direction, run in the client."""
    defaults = {
        "backend": "http",
        "interface": "eth0",
        "limits": {"down": 12_500_000, "up": 12_500_000},
        "time_limit_s": 30,
    }
    argv = [sys.executable, "-m", "bench.one", json.dumps({**defaults, **order})]
    results: dict[str, dict[str, Any]] = json.loads(lab.run(argv).stdout)
    return results


def test_a_constant_link_is_measured_with_little_data(shaped: MakeLab) -> None:
    """At 10 Mbit/s and 40 ms both rates are correct with a quarter of the data."""
    shape = Shape(rate_mbps=10, delay_ms=40, ipv6=False)
    lab = shaped(shape)
    with target(lab) as url:
        runs = [measured(lab, server=url) for _ in range(RUNS)]
    truth_bps = 10e6 * TCP_PAYLOAD_SHARE
    for direction in ("down", "up"):
        rate_bps = median(run[direction]["rate_bps"] for run in runs)
        assert abs(rate_bps / truth_bps - 1) < TOLERANCE
        # Other programs on the machine can only make a test longer.
        data_bytes = min(run[direction]["data_bytes"] for run in runs)
        assert data_bytes < 0.25 * 12_500_000
        precise = [r[direction] for r in runs if r[direction]["stop"] == "precision"]
        assert precise
        # The detected ramp lasts at least three round trips.
        assert 120 <= precise[0]["ramp_ms"] < 5000
        assert 0 < precise[0]["cpu_share"] <= 1
    for fields in runs[0].values():
        assert fields["loaded_received"] > 0
        assert fields["loaded_rtt_p50_ms"] >= 40
    assert runs[0]["up"]["congestion_control"]


@pytest.mark.parametrize("direction", ["down", "up"])
def test_a_fast_link_gets_four_flows(shaped: MakeLab, direction: str) -> None:
    """Above 20 Mbit/s the other flows start."""
    lab = shaped(Shape(rate_mbps=50, ipv6=False))
    with target(lab) as url:
        results = measured(lab, server=url)[direction]
    assert results["connections"] == 4
    assert results["rate_bps"] > 30e6


@pytest.mark.parametrize("direction", ["down", "up"])
def test_the_byte_limit_comes_first_and_holds(shaped: MakeLab, direction: str) -> None:
    """A small limit stops the test with at most one round trip of data above it."""
    lab = shaped(Shape(rate_mbps=10, delay_ms=40, ipv6=False))
    limit_bytes = 400_000
    with target(lab) as url:
        before = moved(lab)
        results = measured(
            lab, server=url, limits={direction: limit_bytes}, tolerance=1e-6
        )
        # Data on the way arrives within a round trip through the full buffer.
        lab.run(["sleep", "0.3"])
        after = moved(lab)
    flight_bytes = 10e6 / 8 * (0.040 + 0.050)
    assert results[direction]["stop"] == "bytes"
    # With every core busy at least 79 % was used (`bench.bytecap --busy`).
    assert 0.7 * limit_bytes < after - before <= limit_bytes + flight_bytes


def moved(lab: Lab) -> int:
    """Return the count of the client's interface, in both directions."""
    return lab.interface_bytes("client", "rx") + lab.interface_bytes("client", "tx")


def test_a_sender_that_avoids_queues_uses_one_flow(shaped: MakeLab) -> None:
    """BBR fills a slow link with a long RTT without a queue; no other flow starts."""
    available = Path("/proc/sys/net/ipv4/tcp_available_congestion_control").read_text()
    require("bbr" in available.split(), "bbr", "modprobe tcp_bbr")
    lab = shaped(Shape(rate_mbps=2, delay_ms=100, ipv6=False))
    with target(lab, "bbr") as url:
        results = measured(lab, server=url, limits={"up": 2_500_000})["up"]
    assert results["congestion_control"] == "bbr"
    assert results["connections"] == 1
    # The bench requires a quarter; this machine may be shared.
    assert results["data_bytes"] < 0.35 * 2_500_000


def test_other_traffic_is_counted(shaped: MakeLab) -> None:
    """Traffic of another program on the interface is reported as cross traffic."""
    lab = shaped(Shape(rate_mbps=10, ipv6=False))
    with target(lab) as url:
        flood = ["iperf3", "-c", "10.77.1.2", "-u", "-b", "2M", "-t", "20"]
        other = lab.popen(flood, stdout=-3)
        results = measured(lab, server=url, limits={"down": 3_000_000})
        other.terminate()
    assert results["down"]["cross_bytes"] > 0.05 * results["down"]["measured_bytes"]


def test_an_upload_is_complete_when_it_has_arrived(shaped: MakeLab) -> None:
    """Bytes in the send buffer do not count: at 1 Mbit/s the rate is the link's."""
    lab = shaped(Shape(rate_mbps=1, delay_ms=20, ipv6=False))
    with target(lab) as url:
        results = measured(lab, server=url, limits={"up": 300_000}, tolerance=1e-6)
    rate_bps = results["up"]["rate_bps"]
    assert results["up"]["stop"] in ("bytes", "complete")
    assert abs(rate_bps / (1e6 * TCP_PAYLOAD_SHARE) - 1) < 0.1


def test_speedtest_leaves_by_the_interface_of_its_link(shaped: MakeLab) -> None:
    """It measures over the interface with a route to the server, and not another."""
    lab = shaped(Shape(rate_mbps=20, ipv6=False))
    lab.run(["ip", "link", "add", "elsewhere", "type", "veth", "peer", "name", "none"])
    lab.run(["ip", "addr", "add", "10.99.0.1/24", "dev", "elsewhere"])
    lab.run(["ip", "link", "set", "elsewhere", "up"])
    order = {"backend": "speedtest", "limits": {"down": 4_000_000}}
    with target(lab) as url:
        routed = measured(lab, server=url, **order)
        unrouted = measured(lab, server=url, interface="elsewhere", **order)
    assert routed["down"]["rate_bps"] > 5e6
    assert routed["down"]["data_bytes"] <= 4_000_000
    assert "cause" in unrouted["down"]


def own_span_error(lab: Lab, fields: dict[str, Any], direction: str) -> float:
    """Return the relative error against what the trace offered in the test's span."""
    from_s = float(fields["measured_start_s"])
    span_s = int(fields["measured_us"]) / 1e6
    log = lab.capacity("back" if direction == "down" else "forward")
    offered_bytes = log.offered_bytes(from_s, from_s + span_s) * 1448 / 1500
    return abs(float(fields["rate_bps"]) * span_s / 8 / offered_bytes - 1)


def test_a_link_that_varies_is_measured_in_its_own_span(shaped: MakeLab) -> None:
    """On a moving link a short test gives the capacity of its span, both ways."""
    shape = Shape(
        trace=markov_modulated(),
        trace_up=markov_modulated((1.0, 2.0, 6.0), seed=2),
        delay_ms=50,
        trace_queue_bytes=300_000,
        ipv6=False,
    )
    lab, errors = shaped(shape), []
    with target(lab) as url:
        for _ in range(RUNS):
            for direction, fields in measured(lab, server=url).items():
                errors.append(own_span_error(lab, fields, direction))
                assert fields["interval_tests"] == 1
                assert fields["rate_low_bps"] < fields["rate_high_bps"]
    # The bench states 3 %. This machine may be shared.
    assert median(errors) < 0.1


@pytest.mark.parametrize("trace", [with_outages(), with_handovers()])
def test_outages_and_steps_are_part_of_the_answer(
    shaped: MakeLab, trace: tuple[int, ...]
) -> None:
    """A link that stops or jumps within a test still has a rate and an interval."""
    shape = Shape(trace=trace, delay_ms=50, trace_queue_bytes=300_000, ipv6=False)
    lab = shaped(shape)
    with target(lab) as url:
        runs = [
            measured(lab, server=url, limits={"down": 8_000_000})["down"]
            for _ in range(RUNS)
        ]
    assert all(fields["rate_bps"] > 0 for fields in runs)
    assert all(fields["interval_tests"] == 1 for fields in runs)
    assert median(own_span_error(lab, fields, "down") for fields in runs) < 0.3


def test_a_slow_link_with_a_deep_queue_costs_little(shaped: MakeLab) -> None:
    """At 0.5 Mbit/s a queue of 300 kB would cost five seconds; it is not filled."""
    slow = with_handovers((0.4, 0.7, 0.5), gap_s=0.1)
    shape = Shape(
        trace=slow, trace_up=slow, delay_ms=50, trace_queue_bytes=300_000, ipv6=False
    )
    lab = shaped(shape)
    with target(lab) as url:
        before = moved(lab)
        measured(lab, server=url, limits={"down": 8_000_000})
        lab.run(["sleep", "2"])
        assert moved(lab) - before < 550_000
