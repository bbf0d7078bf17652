"""Expected values of all panels with ratios, sums and extremes."""

from __future__ import annotations

from typing import Any

from tests.grafana.expected_values import Figure, last, mean, median, of, ratio, total
from tests.grafana.panel_queries import Place

ANCHOR = {"layer": "anchor"}
_ACKED = total("acked_le_2m", "acked_le_1h", "acked_le_1d", "acked_older")
_OLD = total("acked_le_1h", "acked_le_1d", "acked_older")


def late(records: Any) -> float | None:
    """Return the percentage of delivered points that were over two minutes old."""
    acked = _ACKED(records)
    return 100.0 * _OLD(records) / acked if acked else None


def _level(records: Any) -> int:
    """Return 2 if any verdict is bad, 1 if any is degraded, 4 if all are unknown."""
    names = {record.fields["class"] for record in records}
    if names == {"unknown"}:
        return 4
    return 2 if "bad" in names else int("degraded" in names)


def pair(
    measurement: str, figure: tuple[str, str, float], by: tuple[str, ...], **where: str
) -> tuple[Figure, Figure]:
    """Return the figures of a ratio and of its sample count."""
    _, divisor, _ = figure
    return (
        Figure(measurement, ratio(*figure), by, where),
        Figure(measurement, total(divisor), by, where),
    )


LOSS = ("lost", "sent", 100.0)
DELAY = ("rtt_sum_us", "received", 0.001)
RSRP = ("rsrp_sum_dbm", "rsrp_samples", 1.0)
LINK = ("link", "operator")
# The expected values of each panel's queries, in their order.
FIGURES: dict[Place, tuple[Figure, ...]] = {
    ("region", 4): pair("latency", LOSS, ("operator",), **ANCHOR),
    ("region", 6): pair("signal", RSRP, ("operator",)),
    ("region", 8): pair("latency", DELAY, ("operator",), **ANCHOR),
    ("station", 1): (Figure("verdict", _level, LINK),),
    ("station", 2): (
        Figure("latency", of(min, "rtt_min_ms"), (), ANCHOR),
        Figure("latency", of(max, "rtt_p95_ms"), (), ANCHOR),
        Figure("latency", of(median, "rtt_p50_ms"), (), ANCHOR),
        Figure("latency", total("received"), (), ANCHOR),
    ),
    ("station", 3): pair("latency", LOSS, ("link", "layer")),
    ("station", 4): (
        *pair("throughput", ("rate_bps", "tests", 1.0), (), direction="down")[:1],
        Figure("throughput", of(min, "rate_low_bps"), (), {"direction": "down"}),
        Figure("throughput", of(max, "rate_high_bps"), (), {"direction": "down"}),
        Figure("throughput", total("tests"), (), {"direction": "down"}),
    ),
    ("station", 14): (
        *pair("throughput", ("rate_bps", "tests", 1.0), (), direction="up")[:1],
        Figure("throughput", of(min, "rate_low_bps"), (), {"direction": "up"}),
        Figure("throughput", of(max, "rate_high_bps"), (), {"direction": "up"}),
        Figure("throughput", total("tests"), (), {"direction": "up"}),
    ),
    ("station", 5): pair("web", ("upload_sum_ms", "uploads", 1.0), LINK),
    ("station", 6): pair("signal", RSRP, LINK),
    ("station", 7): (Figure("host", of(max, "temperature_c")),),
    ("station", 9): (Figure("agent", of(max, "backlog_points")),),
    ("station", 11): (
        Figure("agent", of(max, "clock_error_ms")),
        Figure("agent", of(mean, "clock_offset_ms")),
    ),
    ("station", 12): (Figure("agent", of(max, "oldest_unsent_s")),),
    ("station", 13): (
        Figure("verdict", last("kpi"), ("link",)),
        Figure("verdict", last("side"), ("link",)),
        Figure("latency", last("cause"), ("link",)),
    ),
    ("station", 15): pair("web", ("page_sum_ms", "pages", 1.0), LINK),
    ("station", 16): (
        Figure("signal", of(median, "rsrq_db"), ("link",)),
        Figure("signal", of(median, "sinr_db"), ("link",)),
    ),
    ("station", 17): (
        Figure("host", of(max, "cpu_share")),
        Figure("host", of(max, "memory_used_share")),
        Figure("host", of(min, "battery_share")),
    ),
    ("station", 18): (Figure("agent", late), Figure("agent", _ACKED)),
    ("operators", 6): pair("latency", LOSS, ("operator",), **ANCHOR),
    ("agents", 1): pair("agent", ("backlog_points", "beats", 1.0), ("province",)),
    ("agents", 2): pair("agent", ("allowance_low", "beats", 100.0), ("province",)),
    ("agents", 3): pair("agent", ("clock_poor", "beats", 100.0), ("province",)),
    ("agents", 4): (
        Figure("agent", late, ("province",)),
        Figure("agent", _ACKED, ("province",)),
    ),
    ("agents", 5): pair("agent", ("uplink_failures", "beats", 1.0), ("province",)),
    ("agents", 6): pair("agent", ("skipped", "due", 100.0), ("province",)),
    ("agents", 22): pair(
        "throughput", ("cross_flagged", "tests", 100.0), ("province",)
    ),
    ("agents", 10): pair("agent", ("quarantined_points", "beats", 1.0), ("province",)),
    ("agents", 15): pair("agent", ("unsent_old", "beats", 100.0), ("province",)),
    ("agents", 16): (Figure("agent", total("evicted"), ("province",)),),
}
# Panels without a value in the simulated day, and the reason.
EMPTY_FIGURES = {("station", 16): "no modem", ("station", 17): "no battery"}
