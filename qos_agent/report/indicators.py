"""The indicators, each defined once as literal data.

Numerator and denominator are SQL expressions over the readings of one measurement, with
whole numbers as values, because sums of other floats depend on the order of the rows.
Rates are rounded to whole bits, and times to whole microseconds. Products and sums of
two fields are floats, which cannot overflow. The minimum sample sizes are a choice of
this project, and no law prescribes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from qos_agent.model.schema import RTT_BOUNDS_MS

_ANCHOR = "layer = 'anchor'"
# Other traffic on the link makes a rate doubtful.
_CLEAN = "coalesce(cross_flagged, 0) = 0"
_DOWN, _UP = f"direction = 'down' AND {_CLEAN}", f"direction = 'up' AND {_CLEAN}"
_ALL = "true"
# An hour of trains of 20 packets every 5 minutes (docs/method/statistics.md).
_PACKETS_MIN = 240
# Fewer tests than this say little about a mean.
_TESTS_MIN = 30


@dataclass(frozen=True, slots=True)
class Indicator:
    """A ratio of two sums over the readings of a measurement with a condition.

    `better` is the direction of good values. A denominator below `sample_min` is
    insufficient data. The figure is the ratio times `factor`, in `unit`.
    """

    name: str
    meaning: str
    standard: str
    measurement: str
    condition: str
    numerator: str
    denominator: str
    counted: str
    unit: str
    better: Literal["high", "low"]
    sample_min: int
    factor: float = 1.0


@dataclass(frozen=True, slots=True)
class Distribution:
    """Quantiles of a cumulative histogram: counts of values up to each bound."""

    name: str
    meaning: str
    standard: str
    measurement: str
    condition: str
    prefix: str
    bounds: tuple[int, ...]
    total: str
    counted: str
    unit: str
    sample_min: int


def _whole(field: str, factor: int = 1) -> str:
    """Return a float field rounded to a whole number of a smaller unit."""
    return f"round({field})" if factor == 1 else f"round({field} * {factor})"


INDICATORS = (
    Indicator(
        "availability",
        "Share of the seconds in which the link was available",
        "ITU-T Y.1540",
        "verdict",
        _ALL,
        "available",
        "available::DOUBLE + unavailable",
        "seconds",
        "ratio",
        "high",
        3600,
    ),
    Indicator(
        "loss",
        "Share of the packets to anchors that were lost",
        "RFC 7680",
        "latency",
        _ANCHOR,
        "lost",
        "sent",
        "packets",
        "ratio",
        "low",
        _PACKETS_MIN,
    ),
    Indicator(
        "delay_mean",
        "Mean round-trip time to anchors",
        "RFC 2681",
        "latency",
        _ANCHOR,
        "rtt_sum_us",
        "received",
        "responses",
        "ms",
        "low",
        _PACKETS_MIN,
        1e-3,
    ),
    Indicator(
        "delay_within_100_ms",
        "Share of the round trips to anchors within 100 ms",
        "RFC 2681",
        "latency",
        _ANCHOR,
        "rtt_le_100",
        "received",
        "responses",
        "ratio",
        "high",
        _PACKETS_MIN,
    ),
    Indicator(
        "delay_variation_within_50_ms",
        "Share of the round trips to anchors at most 50 ms above the minimum",
        "RFC 5481",
        "latency",
        _ANCHOR,
        "pdv_le_50",
        "received",
        "responses",
        "ratio",
        "high",
        _PACKETS_MIN,
    ),
    Indicator(
        "download_mean",
        "Mean rate of the download tests, without those with other traffic",
        "",
        "throughput",
        _DOWN,
        _whole("rate_bps"),
        "tests",
        "tests",
        "bit/s",
        "high",
        _TESTS_MIN,
    ),
    Indicator(
        "download_over_5_mbps",
        "Share of the download tests of at least 5 Mbit/s",
        "",
        "throughput",
        _DOWN,
        "rate_ge_5",
        "tests",
        "tests",
        "ratio",
        "high",
        _TESTS_MIN,
    ),
    Indicator(
        "upload_mean",
        "Mean rate of the upload tests, without those with other traffic",
        "",
        "throughput",
        _UP,
        _whole("rate_bps"),
        "tests",
        "tests",
        "bit/s",
        "high",
        _TESTS_MIN,
    ),
    Indicator(
        "working_latency",
        "Mean round-trip time while a throughput test loads the link",
        "RFC 2681",
        "throughput",
        _CLEAN,
        "loaded_rtt_sum_us",
        "loaded_received",
        "responses",
        "ms",
        "low",
        _PACKETS_MIN,
        1e-3,
    ),
    Indicator(
        "tests_with_other_traffic",
        "Share of the throughput tests that are excluded for other traffic",
        "",
        "throughput",
        _ALL,
        "coalesce(cross_flagged, 0)::DOUBLE * tests",
        "tests",
        "tests",
        "ratio",
        "low",
        _TESTS_MIN,
    ),
    Indicator(
        "web_success",
        "Share of the measured pages and form uploads that succeeded",
        "",
        "web",
        _ALL,
        "ok",
        "ok::DOUBLE + failed",
        "slots",
        "ratio",
        "high",
        _TESTS_MIN,
    ),
    Indicator(
        "page_mean",
        "Mean load time of the pages that loaded",
        "",
        "web",
        _ALL,
        _whole("page_sum_ms", 1000),
        "pages",
        "pages",
        "ms",
        "low",
        _TESTS_MIN,
        1e-3,
    ),
    Indicator(
        "form_upload_mean",
        "Mean upload time of the form bundles that were acknowledged",
        "",
        "web",
        _ALL,
        _whole("upload_sum_ms", 1000),
        "uploads",
        "uploads",
        "ms",
        "low",
        _TESTS_MIN,
        1e-3,
    ),
    Indicator(
        "form_upload_within_30_s",
        "Share of the acknowledged form bundles within 30 s",
        "",
        "web",
        _ALL,
        "upload_le_30",
        "uploads",
        "uploads",
        "ratio",
        "high",
        _TESTS_MIN,
    ),
    Indicator(
        "rsrp_mean",
        "Mean reference signal received power",
        "3GPP TS 36.214",
        "signal",
        _ALL,
        _whole("rsrp_sum_dbm", 1000),
        "rsrp_samples",
        "values",
        "dBm",
        "high",
        _TESTS_MIN,
        1e-3,
    ),
    Indicator(
        "rsrp_weak",
        "Share of the values of RSRP below -110 dBm",
        "3GPP TS 36.214",
        "signal",
        _ALL,
        "rsrp_weak",
        "rsrp_samples",
        "values",
        "ratio",
        "low",
        _TESTS_MIN,
    ),
    *(
        Indicator(
            f"completeness_{measurement}",
            f"Share of the due slots of `{measurement}` that were measured",
            "RFC 7594",
            measurement,
            _ALL,
            "ok",
            "slots",
            "slots",
            "ratio",
            "high",
            1,
        )
        for measurement in ("latency", "throughput", "web", "signal")
    ),
)
DISTRIBUTIONS = (
    Distribution(
        "delay",
        "Round-trip time to anchors that this share of the responses did not exceed",
        "RFC 2681",
        "latency",
        _ANCHOR,
        "rtt_le_",
        RTT_BOUNDS_MS,
        "received",
        "responses",
        "ms",
        _PACKETS_MIN,
    ),
)
# The shares of a distribution's quantiles: ETSI EG 202 057-4 asks for the outer two.
QUANTILES = (0.05, 0.5, 0.95)
