"""The data model: types, schema table, line protocol, calendar, units, errors.

Pure definitions and functions that every other package shares. Nothing here reads a
file, opens a socket or starts a thread. It imports no other package of the agent.
"""

from qos_agent.model.types import (
    Clock,
    ClockState,
    Deadline,
    Identity,
    Layer,
    Link,
    Outcome,
    Phase,
    Point,
    Probe,
    ProbeResult,
    Reading,
    Record,
    Sample,
    Target,
    Task,
    Value,
)

__all__ = [
    "Clock",
    "ClockState",
    "Deadline",
    "Identity",
    "Layer",
    "Link",
    "Outcome",
    "Phase",
    "Point",
    "Probe",
    "ProbeResult",
    "Reading",
    "Record",
    "Sample",
    "Target",
    "Task",
    "Value",
]
