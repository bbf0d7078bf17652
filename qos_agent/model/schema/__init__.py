"""The schema table: every measurement, tag and field there is, as literal data.

The encoder, the data dictionary, the roll-ups, the exports and the tests of the
dashboards are derived from this table. A name never changes its type; later
versions add names. Types: `int` for counters and 0/1, `float` for the rest, `str`
for words. An additive field may be summed over points, areas and time; every
national figure is a ratio of such sums.
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
    "MEASUREMENTS", "PAGE_BOUNDS_MS", "PDV_BOUNDS_MS", "RATE_BOUNDS_MBPS",
    "RTT_BOUNDS_MS", "SCHEMA_VERSION", "UPLOAD_BOUNDS_S", "Field", "FieldType",
    "Measurement",
]  # fmt: skip
