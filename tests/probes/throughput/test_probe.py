"""The throughput probe: order of backends, bytes accounted for, nothing passed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from qos_agent.config.settings import Settings
from qos_agent.config.throughput import ThroughputSection
from qos_agent.model import Deadline, Link, ProbeResult, Task
from qos_agent.model.errors import ProbeError
from qos_agent.model.schema import MEASUREMENTS
from qos_agent.probes.throughput.backend import Direction, Order, Rate, Results
from qos_agent.probes.throughput.probe import Throughput
from tests.probes.time_left import TimeLeft

LINK = Link("main", "operator", None)


def rate(bps: float = 12e6, **more: object) -> Rate:
    """A rate as a backend would report it."""
    return Rate(bps, "tcp_payload", "bytes", 1000, 2000, 4, "here", **more)  # type: ignore[arg-type]


@dataclass
class Scripted:
    """A backend that brings back what it is told to, and keeps its orders."""

    name: str
    answers: Mapping[Direction, Rate | ProbeError] | ProbeError
    orders: list[Order] = field(default_factory=list)
    licence = data_use = byte_bound = cannot_see = "a script"

    def run(self, order: Order, deadline: Deadline) -> Results:
        self.orders.append(order)
        if isinstance(self.answers, ProbeError):
            raise self.answers
        return {d: self.answers[d] for d in order.limits}


def measured(*backends: Scripted, byte_limit: int | None = None) -> ProbeResult:
    """What the probe finds with these backends, in this order."""
    settings = ThroughputSection.model_validate(
        {
            "backends": [b.name for b in backends],
            "server": "http://server.test",
            "iperf3_server": "server.test",
        }
    )
    probe = Throughput(settings, {b.name: b for b in backends})
    task = Task("throughput", 0, LINK, byte_limit=byte_limit)
    return probe.measure(task, TimeLeft(30))


def test_two_rates_make_two_points() -> None:
    """Down and up are two points with the schema's own fields."""
    finding = measured(Scripted("http", {"down": rate(), "up": rate(3e6)}))
    down, up = finding.samples
    assert finding.cause is None
    assert down.tags == {"backend": "http", "direction": "down"}
    assert (down.fields["rate_ge_10"], up.fields["rate_ge_10"]) == (1, 0)
    names = {f.name for f in MEASUREMENTS["throughput"].fields}
    assert set(down.fields) <= names


def test_absent_is_left_out() -> None:
    """What a backend does not know is no field at all."""
    finding = measured(Scripted("http", {"down": rate(), "up": rate()}))
    assert "ramp_ms" not in finding.samples[0].fields
    assert "cross_flagged" not in finding.samples[0].fields


def test_a_failed_backend_gives_way_to_the_next() -> None:
    """The next backend is asked, the fall-back counted, the tag is who measured."""
    first = Scripted("http", ProbeError("refused"))
    second = Scripted("iperf3", {"down": rate(), "up": rate()})
    finding = measured(first, second)
    assert finding.cause is None
    assert [s.fields["fallback"] for s in finding.samples] == [1, 1]
    assert [s.tags["backend"] for s in finding.samples] == ["iperf3", "iperf3"]


def test_only_the_failed_direction_is_tried_again() -> None:
    """A rate once measured is kept; only what is wanting goes to the next."""
    first = Scripted("http", {"down": rate(data_bytes=900), "up": ProbeError("reset")})
    second = Scripted("iperf3", {"up": rate()})
    finding = measured(first, second)
    assert list(second.orders[0].limits) == ["up"]
    assert [s.tags["backend"] for s in finding.samples] == ["http", "iperf3"]
    assert [s.fields["fallback"] for s in finding.samples] == [0, 1]


def test_when_all_fail_the_last_cause_is_told() -> None:
    """Failed, with both points, the cause of the last, and no rate anywhere."""
    finding = measured(
        Scripted("http", ProbeError("refused")), Scripted("iperf3", ProbeError("busy"))
    )
    assert finding.cause == "busy"
    assert len(finding.samples) == 2
    assert not any("rate_bps" in s.fields for s in finding.samples)


def test_half_a_test_keeps_its_half() -> None:
    """A direction that failed makes the reading failed; the other keeps its rate."""
    finding = measured(Scripted("http", {"down": rate(), "up": ProbeError("reset")}))
    assert finding.cause == "reset"
    assert "rate_bps" in finding.samples[0].fields
    assert "rate_bps" not in finding.samples[1].fields


def test_the_time_is_shared() -> None:
    """A backend that hangs leaves half of the time to the one after it."""
    first = Scripted("http", ProbeError("stalled"))
    measured(first, Scripted("iperf3", ProbeError("busy")))
    assert 14 < first.orders[0].time_limit_s <= 15


def test_other_traffic_flags_the_rate() -> None:
    """Other traffic above the limit is flagged, below it is only counted."""
    answers: Results = {"down": rate(cross_bytes=99), "up": rate(cross_bytes=101)}
    finding = measured(Scripted("http", answers))
    assert [s.fields["cross_flagged"] for s in finding.samples] == [0, 1]


@given(st.integers(0, 20_000_000))
def test_orders_never_exceed_the_task(byte_limit: int) -> None:
    """Whatever a task may move, what is ordered is no more, however often it fails."""
    first = Scripted("http", {"down": ProbeError("reset"), "up": ProbeError("reset")})
    second = Scripted("iperf3", first.answers)
    measured(first, second, byte_limit=byte_limit)
    for order in (*first.orders, *second.orders):
        assert order.byte_limit <= byte_limit


def test_a_task_that_may_move_nothing_fails_with_its_cause() -> None:
    """With no bytes to spend no backend is asked, and the allowance is the cause."""
    never = Scripted("http", ProbeError("refused"))
    finding = measured(never, byte_limit=0)
    assert finding.cause == "allowance"
    assert never.orders == []


def test_a_link_is_measured_by_its_own_backends_in_their_order() -> None:
    """What the link's section says is what is asked, and where; the tag says who."""
    own = {
        "backends": ["iperf3", "http"],
        "iperf3_server": "iperf.test",
        "server": "http://two.test",
    }
    settings = Settings.model_validate(
        {
            "throughput": {"server": "http://one.test"},
            "links": [{"name": "main", "throughput": own}],
        }
    )
    first = Scripted("iperf3", ProbeError("busy"))
    second = Scripted("http", {"down": rate(), "up": rate()})
    of_links = {"main": settings.throughput_of("main")}
    backends = {"http": second, "iperf3": first}
    probe = Throughput(settings.throughput, backends, of_links)
    task = Task("throughput", 0, LINK)
    assert [tags["backend"] for tags in probe.tags(task)] == ["iperf3", "iperf3"]
    assert probe.measure(task, TimeLeft(30)).cause is None
    servers = [order.server for order in (*first.orders, *second.orders)]
    assert servers == ["iperf.test", "http://two.test"]
    other = Task("throughput", 0, Link("other", "operator", None))
    assert [tags["backend"] for tags in probe.tags(other)] == ["http", "http"]


def test_a_link_may_have_its_own_servers() -> None:
    """What a link's own section names replaces the common, the rest stays."""
    settings = Settings.model_validate(
        {
            "throughput": {"server": "http://one.test"},
            "links": [
                {"name": "main", "throughput": {"server": "http://two.test"}},
                {"name": "other"},
            ],
        }
    )
    assert settings.throughput_of("main").server_of("http") == "http://two.test"
    assert settings.throughput_of("other").server_of("http") == "http://one.test"
    assert settings.throughput_of("other").order() == ("http",)
    assert ThroughputSection().order() == ("speedtest",)
