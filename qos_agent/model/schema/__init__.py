"""The schema table: every measurement, tag and field, as literal data.

The encoder, the data dictionary, the roll-ups, the exports and the tests of the
dashboards use this table. A name never changes its type, and later versions only add
names. Types are `int` for counters and 0/1, `float` for other numbers and `str` for
texts. An additive field may be summed over points, areas and time. Every national
figure is a ratio of such sums.
"""

from qos_agent.model.schema.agents import (
    AGENT_MEASUREMENTS,
    PAGE_BOUNDS_MS,
    PDV_BOUNDS_MS,
    RATE_BOUNDS_MBPS,
    RTT_BOUNDS_MS,
    UPLOAD_BOUNDS_S,
)
from qos_agent.model.schema.noc import NOC_MEASUREMENTS
from qos_agent.model.schema.table import Field, FieldType, Measurement

SCHEMA_VERSION = 1

MEASUREMENTS: dict[str, Measurement] = {
    measurement.name: measurement
    for measurement in (*AGENT_MEASUREMENTS, *NOC_MEASUREMENTS)
}

__all__ = [
    "MEASUREMENTS",
    "PAGE_BOUNDS_MS",
    "PDV_BOUNDS_MS",
    "RATE_BOUNDS_MBPS",
    "RTT_BOUNDS_MS",
    "SCHEMA_VERSION",
    "UPLOAD_BOUNDS_S",
    "Field",
    "FieldType",
    "Measurement",
]
