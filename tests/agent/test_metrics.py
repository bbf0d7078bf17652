"""The figures of the heartbeat, computed from real components."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest

from qos_agent.agent import metrics as metrics_module
from qos_agent.agent.build import Components, build
from qos_agent.agent.metrics import Metrics
from qos_agent.config.loading import Loaded
from qos_agent.config.settings import Settings
from qos_agent.schedule.allowance_forecast import until_reset
from qos_agent.schedule.scheduler import Schedule
from qos_agent.uplink import UplinkStatus
from tests.journal.support import deliver, point
from tests.support.clocks import FakeClock

HOUR_S = 3600.0
MB = 10**6


class TickingClock(FakeClock):
    """A clock that advances 0.2 s at each call, so that loops with a deadline end."""

    def boot_ns(self) -> int:
        """Return the boot time, 0.2 s later than at the previous call."""
        self.advance(0.2)
        return super().boot_ns()


class Device:
    """The components and metrics of an agent, on a clock that the test sets."""

    def __init__(
        self, folder: Path, monthly: str | None, clock: FakeClock, url: str | None
    ) -> None:
        self.clock = clock
        settings = Settings.model_validate(
            {
                "station": {"id": "S1", "province": "31"},
                "collector": {"url": url, "insecure": True} if url else {},
                "allowance": {"monthly": monthly} if monthly else {},
                "journal": {"folder": folder, "disk_reserve": "0MB"},
                "runtime": {"folder": folder},
            }
        )
        loaded = Loaded(settings, {})
        self.components: Components = build(loaded, self.clock, threading.Event())
        schedule = Schedule(self.clock, "seed", mock.Mock(), mock.Mock())
        self.metrics = Metrics(self.components, schedule)

    def put(self) -> None:
        """Store a point with the present time."""
        points = [point(self.clock.boot_ns())]
        self.components.journal.put(points, self.clock.state(), self.clock.boot_id)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Device]]:
    """Yield a factory of devices, and close them after the test."""
    devices: list[Device] = []

    def device(
        monthly: str | None = None,
        clock: FakeClock | None = None,
        url: str | None = "http://127.0.0.1:1",
    ) -> Device:
        devices.append(Device(tmp_path, monthly, clock or FakeClock(), url))
        return devices[-1]

    yield device
    for used in devices:
        used.components.uplink.close()
        used.components.journal.close()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://127.0.0.1:1", "127.0.0.1:1"),
        ("https://influx.example.id/path", "influx.example.id"),
        ("https://[2001:db8::1]:8086", "[2001:db8::1]:8086"),
        (None, None),
    ],
)
def test_the_status_names_the_server_of_the_collector(
    make: Callable[..., Device], url: str | None, shown: str | None
) -> None:
    """It is the host of the URL, and the port if the URL has one."""
    device = make(url=url)
    assert device.metrics.status("normal").collector == shown


@pytest.mark.parametrize(
    ("trusted", "error_ms", "poor"),
    [
        (True, 1.5, 0),
        (True, 1000.0, 0),
        (True, 1000.1, 1),
        (False, 1.5, 1),
        (True, None, 0),
        (False, None, 1),
    ],
)
def test_poor_clock(
    make: Callable[..., Device], trusted: bool, error_ms: float | None, poor: int
) -> None:
    """The clock is poor if it is not trusted or its error exceeds a second."""
    device = make()
    device.clock.trusted, device.clock.error_ms = trusted, error_ms
    assert device.metrics.heartbeat_figures().clock_poor == poor


@pytest.mark.parametrize(("spent_mb", "low"), [(0, 0), (90, 0), (91, 1), (120, 1)])
def test_low_allowance(make: Callable[..., Device], spent_mb: int, low: int) -> None:
    """The allowance is low below a tenth of the month's bytes."""
    device = make("100MB")
    device.put()
    device.components.allowance_account.spend("default", "uplink", spent_mb * MB)
    figures = device.metrics.heartbeat_figures()
    assert figures.allowance_low == low
    assert figures.allowance_left_share == max(0, 100 - spent_mb) / 100


def test_without_a_limit_no_allowance_is_low(make: Callable[..., Device]) -> None:
    """A link without a limit has no share and is not low."""
    device = make()
    device.put()
    device.components.allowance_account.spend("default", "uplink", 10**12)
    figures = device.metrics.heartbeat_figures()
    assert (figures.allowance_left_share, figures.allowance_low) == (None, 0)


@pytest.mark.parametrize(("age_s", "old"), [(3600, 0), (3601, 1)])
def test_old_unsent(make: Callable[..., Device], age_s: int, old: int) -> None:
    """A point is old after more than an hour, until it is delivered."""
    device = make()
    device.put()
    device.clock.advance(age_s)
    figures = device.metrics.heartbeat_figures()
    assert (figures.oldest_unsent_s, figures.unsent_old) == (age_s, old)
    deliver(device.components.journal)
    figures = device.metrics.heartbeat_figures()
    assert (figures.oldest_unsent_s, figures.unsent_old) == (None, 0)


def test_counts_of_a_heartbeat_are_since_the_one_before(
    make: Callable[..., Device],
) -> None:
    """Counts are differences, so sums over heartbeats count nothing twice."""
    device = make(clock=TickingClock())
    device.put()
    device.components.uplink.drain(5)
    first, second = (
        device.metrics.heartbeat_figures(),
        device.metrics.heartbeat_figures(),
    )
    assert first.uplink_failures >= 1
    assert second.uplink_failures == 0


def test_the_forecast_is_reused_for_ten_minutes(
    make: Callable[..., Device], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is computed again after ten minutes and after a step of the clock."""
    device = make("100MB")
    forecast = mock.Mock(wraps=until_reset)
    monkeypatch.setattr(metrics_module, "until_reset", forecast)
    needs = [device.metrics.status("idle").links[0].month_need_bytes for _ in range(5)]
    assert forecast.call_count == 1
    assert len(set(needs)) == 1
    device.clock.advance(600)
    device.metrics.status("idle")
    assert forecast.call_count == 2
    device.clock.step(24 * HOUR_S)
    device.metrics.status("idle")
    assert forecast.call_count == 3


def test_a_full_collector_is_in_the_heartbeat(make: Callable[..., Device]) -> None:
    """The field is 1 while the collector refuses points because of a limit."""
    device = make()
    assert device.metrics.heartbeat_figures().collector_full == 0
    full = UplinkStatus(state="failing", full=True)
    with mock.patch.object(device.components.uplink, "status", return_value=full):
        assert device.metrics.heartbeat_figures().collector_full == 1


def test_a_counter_that_restarts_gives_no_negative_difference(
    make: Callable[..., Device], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A journal that was moved aside counts from zero again."""
    device = make()
    totals = device.metrics._totals()
    values = iter([replace(totals, evicted=n) for n in (50, 20, 30)])
    monkeypatch.setattr(device.metrics, "_totals", lambda: next(values))
    differences = [device.metrics.heartbeat_figures().evicted for _ in range(3)]
    assert differences == [50, 20, 10]
