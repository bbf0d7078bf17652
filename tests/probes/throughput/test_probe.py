"""The throughput probe: order of backends, byte counts and byte limits."""

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
    """Return a rate as a backend would report it."""
    return Rate(bps, "tcp_payload", "bytes", 1000, 2000, 4, "here", **more)  # type: ignore[arg-type]


@dataclass
class ScriptedBackend:
    """A backend that returns the results of a test and records its orders."""

    name: str
    results: Mapping[Direction, Rate | ProbeError] | ProbeError
    orders: list[Order] = field(default_factory=list)
    licence = data_use = byte_bound = cannot_see = "a script"

    def run(self, order: Order, deadline: Deadline) -> Results:
        self.orders.append(order)
        if isinstance(self.results, ProbeError):
            raise self.results
        return {d: self.results[d] for d in order.limits}


def measured(*backends: ScriptedBackend, byte_limit: int | None = None) -> ProbeResult:
    """Return the result of the probe with these backends, in this order."""
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
    """Down and up are two points with fields of the schema."""
    result = measured(ScriptedBackend("http", {"down": rate(), "up": rate(3e6)}))
    down, up = result.samples
    assert result.cause is None
    assert down.tags == {"backend": "http", "direction": "down"}
    assert (down.fields["rate_ge_10"], up.fields["rate_ge_10"]) == (1, 0)
    names = {f.name for f in MEASUREMENTS["throughput"].fields}
    assert set(down.fields) <= names


def test_unknown_values_are_left_out() -> None:
    """A value that the backend does not know is not a field of the point."""
    result = measured(ScriptedBackend("http", {"down": rate(), "up": rate()}))
    assert "ramp_ms" not in result.samples[0].fields
    assert "cross_flagged" not in result.samples[0].fields


def test_after_a_failed_backend_the_next_one_measures() -> None:
    """The fallback is counted, and the tag is the backend that measured."""
    first = ScriptedBackend("http", ProbeError("refused"))
    second = ScriptedBackend("iperf3", {"down": rate(), "up": rate()})
    result = measured(first, second)
    assert result.cause is None
    assert [s.fields["fallback"] for s in result.samples] == [1, 1]
    assert [s.tags["backend"] for s in result.samples] == ["iperf3", "iperf3"]


def test_only_the_failed_direction_is_tried_again() -> None:
    """A measured rate is kept; only the missing direction goes to the next backend."""
    first = ScriptedBackend(
        "http", {"down": rate(data_bytes=900), "up": ProbeError("reset")}
    )
    second = ScriptedBackend("iperf3", {"up": rate()})
    result = measured(first, second)
    assert list(second.orders[0].limits) == ["up"]
    assert [s.tags["backend"] for s in result.samples] == ["http", "iperf3"]
    assert [s.fields["fallback"] for s in result.samples] == [0, 1]


def test_when_all_fail_the_last_cause_is_reported() -> None:
    """The result has both points, no rate, and the cause of the last backend."""
    result = measured(
        ScriptedBackend("http", ProbeError("refused")),
        ScriptedBackend("iperf3", ProbeError("busy")),
    )
    assert result.cause == "busy"
    assert len(result.samples) == 2
    assert not any("rate_bps" in s.fields for s in result.samples)


def test_half_a_test_keeps_its_half() -> None:
    """A failed direction makes the reading failed; the other keeps its rate."""
    result = measured(
        ScriptedBackend("http", {"down": rate(), "up": ProbeError("reset")})
    )
    assert result.cause == "reset"
    assert "rate_bps" in result.samples[0].fields
    assert "rate_bps" not in result.samples[1].fields


def test_the_time_is_shared() -> None:
    """A backend that hangs leaves half of the time to the next one."""
    first = ScriptedBackend("http", ProbeError("stalled"))
    measured(first, ScriptedBackend("iperf3", ProbeError("busy")))
    assert 14 < first.orders[0].time_limit_s <= 15


def test_other_traffic_flags_the_rate() -> None:
    """Cross traffic above the limit is flagged; below it, it is only counted."""
    results: Results = {"down": rate(cross_bytes=99), "up": rate(cross_bytes=101)}
    result = measured(ScriptedBackend("http", results))
    assert [s.fields["cross_flagged"] for s in result.samples] == [0, 1]


@given(st.integers(0, 20_000_000))
def test_orders_never_exceed_the_task(byte_limit: int) -> None:
    """No order exceeds the bytes of the task, after any number of failures."""
    first = ScriptedBackend(
        "http", {"down": ProbeError("reset"), "up": ProbeError("reset")}
    )
    second = ScriptedBackend("iperf3", first.results)
    measured(first, second, byte_limit=byte_limit)
    for order in (*first.orders, *second.orders):
        assert order.byte_limit <= byte_limit


def test_a_task_that_may_move_nothing_fails_with_its_cause() -> None:
    """Without bytes no backend runs, and the cause is `allowance`."""
    never = ScriptedBackend("http", ProbeError("refused"))
    result = measured(never, byte_limit=0)
    assert result.cause == "allowance"
    assert never.orders == []


def test_a_link_uses_its_own_backends_in_their_order() -> None:
    """The section of a link sets its backends and servers, and thus the tag."""
    section = {
        "backends": ["iperf3", "http"],
        "iperf3_server": "iperf.test",
        "server": "http://two.test",
    }
    settings = Settings.model_validate(
        {
            "throughput": {"server": "http://one.test"},
            "links": [{"name": "main", "throughput": section}],
        }
    )
    first = ScriptedBackend("iperf3", ProbeError("busy"))
    second = ScriptedBackend("http", {"down": rate(), "up": rate()})
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
    """A value in the section of a link replaces the common one; the rest stays."""
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
