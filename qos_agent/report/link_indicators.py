"""Indicators of a link: availability, latency and throughput."""

from __future__ import annotations

from qos_agent.report.indicator_types import (
    PACKETS_MIN,
    TESTS_MIN,
    Column,
    Indicator,
    Table,
    anchors,
    everything,
    field,
    total,
    whole,
)

# At this share of a core the processor may limit the rate of a throughput test
# (qos_agent/probes/throughput/probe.py).
_BUSY_PERCENT = 90
# The shortest run of lost packets that is a burst and not single losses.
_BURST_MIN = 3
# Tmax of the latency probe: a later response counts as lost.
_RTT_MAX_MS = 3000.0
# The top bound of the histogram of rates, 100 Mbit/s.
_RATE_BEST_BPS = 1e8
_DAY_S = 86_400.0


def _down(t: Table) -> Column:
    return t.direction == "down"


def _up(t: Table) -> Column:
    return t.direction == "up"


def _is_fit(t: Table) -> Column:
    """Accept tests that neither other traffic nor the processor makes doubtful."""
    return ~_has_other_traffic(t) & ~_is_busy(t)


def _has_other_traffic(t: Table) -> Column:
    return t.cross_flagged.fill_null(0) != 0


def _is_busy(t: Table) -> Column:
    return (t.cpu_share * 100 >= _BUSY_PERCENT).fill_null(False)


def _if(condition: Column) -> Column:
    return condition.ifelse(1, 0)


def _trains(t: Table) -> Column:
    """Count the trains that sent packets."""
    return _if(t.sent > 0)


LINK_INDICATORS = (
    Indicator(
        "availability",
        "Share of the seconds in which the link was available",
        "ITU-T Y.1540",
        "verdict",
        everything,
        field("available"),
        total("available", "unavailable"),
        "seconds",
        "ratio",
        "high",
        3600,
    ),
    Indicator(
        "outage_minutes_a_day",
        "Minutes a day in which the link was not available",
        "ITU-T Y.1540",
        "verdict",
        everything,
        field("unavailable"),
        total("available", "unavailable"),
        "seconds",
        "min",
        "low",
        3600,
        factor=1440.0,
        best=0.0,
        worst=1440.0,
    ),
    Indicator(
        "incidents_a_day",
        "Outages a day that two independent signs confirm",
        "",
        "verdict",
        everything,
        field("opened"),
        total("available", "unavailable"),
        "seconds",
        "1/day",
        "low",
        3600,
        factor=_DAY_S,
        best=0.0,
        worst=1440.0,
        numerator_from="incident",
    ),
    Indicator(
        "loss",
        "Share of the packets to anchors that were lost",
        "RFC 7680",
        "latency",
        anchors,
        field("lost"),
        field("sent"),
        "packets",
        "ratio",
        "low",
        PACKETS_MIN,
        best=0.0,
        worst=1.0,
    ),
    Indicator(
        "loss_burst_mean",
        "Mean of the longest run of lost packets in a train",
        "RFC 3357",
        "latency",
        anchors,
        field("loss_burst_max"),
        _trains,
        "trains",
        "packets",
        "low",
        TESTS_MIN,
        best=0.0,
        worst=20.0,
    ),
    Indicator(
        "trains_with_burst",
        "Share of the trains that lost three or more packets in a row",
        "RFC 3357",
        "latency",
        anchors,
        lambda t: _if(t.loss_burst_max >= _BURST_MIN),
        _trains,
        "trains",
        "ratio",
        "low",
        TESTS_MIN,
        best=0.0,
        worst=1.0,
    ),
    Indicator(
        "delay_mean",
        "Mean round-trip time to anchors",
        "RFC 2681",
        "latency",
        anchors,
        field("rtt_sum_us"),
        field("received"),
        "responses",
        "ms",
        "low",
        PACKETS_MIN,
        factor=1e-3,
        best=0.0,
        worst=_RTT_MAX_MS,
    ),
    Indicator(
        "delay_within_100_ms",
        "Share of the round trips to anchors within 100 ms",
        "RFC 2681",
        "latency",
        anchors,
        field("rtt_le_100"),
        field("received"),
        "responses",
        "ratio",
        "high",
        PACKETS_MIN,
    ),
    Indicator(
        "delay_variation_within_50_ms",
        "Share of the round trips to anchors at most 50 ms above the minimum",
        "RFC 5481",
        "latency",
        anchors,
        field("pdv_le_50"),
        field("received"),
        "responses",
        "ratio",
        "high",
        PACKETS_MIN,
    ),
    Indicator(
        "download_mean",
        "Mean rate of the download tests that are fit",
        "",
        "throughput",
        _down,
        whole("rate_bps"),
        field("tests"),
        "tests",
        "bit/s",
        "high",
        TESTS_MIN,
        best=_RATE_BEST_BPS,
        worst=0.0,
        usable=_is_fit,
    ),
    Indicator(
        "download_over_5_mbps",
        "Share of the download tests of at least 5 Mbit/s",
        "",
        "throughput",
        _down,
        field("rate_ge_5"),
        field("tests"),
        "tests",
        "ratio",
        "high",
        TESTS_MIN,
        usable=_is_fit,
    ),
    Indicator(
        "upload_mean",
        "Mean rate of the upload tests that are fit",
        "",
        "throughput",
        _up,
        whole("rate_bps"),
        field("tests"),
        "tests",
        "bit/s",
        "high",
        TESTS_MIN,
        best=_RATE_BEST_BPS,
        worst=0.0,
        usable=_is_fit,
    ),
    Indicator(
        "upload_over_2_mbps",
        "Share of the upload tests of at least 2 Mbit/s",
        "",
        "throughput",
        _up,
        field("rate_ge_2"),
        field("tests"),
        "tests",
        "ratio",
        "high",
        TESTS_MIN,
        usable=_is_fit,
    ),
    Indicator(
        "working_latency",
        "Mean round-trip time while a throughput test loads the link",
        "RFC 2681",
        "throughput",
        everything,
        field("loaded_rtt_sum_us"),
        field("loaded_received"),
        "responses",
        "ms",
        "low",
        PACKETS_MIN,
        factor=1e-3,
        best=0.0,
        worst=_RTT_MAX_MS,
        usable=_is_fit,
    ),
    Indicator(
        "tests_with_other_traffic",
        "Share of the throughput tests that are excluded for other traffic",
        "",
        "throughput",
        everything,
        lambda t: _if(_has_other_traffic(t)) * t.tests.cast("float64"),
        field("tests"),
        "tests",
        "ratio",
        "low",
        TESTS_MIN,
        best=0.0,
        worst=1.0,
    ),
    Indicator(
        "tests_on_busy_host",
        "Share of the throughput tests that are excluded for a busy processor",
        "",
        "throughput",
        everything,
        lambda t: _if(_is_busy(t)) * t.tests.cast("float64"),
        field("tests"),
        "tests",
        "ratio",
        "low",
        TESTS_MIN,
        best=0.0,
        worst=1.0,
    ),
)
