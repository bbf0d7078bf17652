"""The backend `http` without a network."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from qos_agent.model.errors import ProbeError
from qos_agent.probes.throughput import http
from qos_agent.probes.throughput.rates import BIN_S, RateSeries


def test_a_server_that_takes_only_its_buffer_gives_no_rate() -> None:
    """A rate of 0 after the ramp is no measurement, however the test ended."""
    series = RateSeries(0.02)
    for number in range(40):
        series.add(number * BIN_S, min(number, 8) * 40_000.0)
    assert series.start_s() - series.times_s[0] > 0
    assert series.measured()[0] == 0
    setup: Any = SimpleNamespace(payload_bytes=lambda: 320_000)
    with pytest.raises(ProbeError) as raised:
        http._check_payload(setup, series, "time")
    assert raised.value.cause == "stalled"
