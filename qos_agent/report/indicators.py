"""All indicators and distributions, each defined once as literal data.

The minimum sample sizes are a choice of this project, and no law prescribes them.
"""

from __future__ import annotations

from qos_agent.model.schema import (
    PAGE_BOUNDS_MS,
    PDV_BOUNDS_MS,
    RTT_BOUNDS_MS,
    UPLOAD_BOUNDS_S,
)
from qos_agent.report.indicator_types import (
    PACKETS_MIN,
    TESTS_MIN,
    Distribution,
    Indicator,
    anchors,
    forms,
    pages,
)
from qos_agent.report.link_indicators import LINK_INDICATORS
from qos_agent.report.service_indicators import SERVICE_INDICATORS

INDICATORS: tuple[Indicator, ...] = (*LINK_INDICATORS, *SERVICE_INDICATORS)
DISTRIBUTIONS = (
    Distribution(
        "delay",
        "Round-trip time to anchors that this share of the responses did not exceed",
        "RFC 2681",
        "latency",
        anchors,
        "rtt_le_",
        RTT_BOUNDS_MS,
        "received",
        "responses",
        "ms",
        PACKETS_MIN,
    ),
    Distribution(
        "delay_variation",
        "Delay above the minimum that this share of the responses did not exceed",
        "RFC 5481",
        "latency",
        anchors,
        "pdv_le_",
        PDV_BOUNDS_MS,
        "received",
        "responses",
        "ms",
        PACKETS_MIN,
    ),
    Distribution(
        "page_time",
        "Load time that this share of the loaded pages did not exceed",
        "",
        "web",
        pages,
        "page_le_",
        PAGE_BOUNDS_MS,
        "pages",
        "pages",
        "ms",
        TESTS_MIN,
    ),
    Distribution(
        "form_upload_time",
        "Upload time that this share of the acknowledged bundles did not exceed",
        "",
        "web",
        forms,
        "upload_le_",
        UPLOAD_BOUNDS_S,
        "uploads",
        "uploads",
        "s",
        TESTS_MIN,
    ),
)
# The shares of a distribution's quantiles: ETSI EG 202 057-4 asks for the outer two.
QUANTILES = (0.05, 0.5, 0.95)
