"""Readings for tests: simple ones, and hypothesis strategies for all others."""

from __future__ import annotations

from hypothesis import strategies as st

from qos_agent.model import Identity, Outcome, Reading, Record, Sample, Value
from qos_agent.model.schema import MEASUREMENTS, Field, Measurement

IDENTITY = Identity("3171010001001", "31", "3171", "Asia/Jakarta", "pi-1")
LATENCY_TAGS = {
    "link": "main",
    "operator": "telkomsel",
    "target": "gateway",
    "layer": "gateway",
}


def latency(boot_ns: int = 10**12, received: int = 20, sent: int = 20) -> Reading:
    """Return the reading of a train to the gateway."""
    fields: dict[str, Value] = {
        "sent": sent,
        "received": received,
        "lost": sent - received,
    }
    if received:
        fields |= {"rtt_p50_ms": 20.0, "rtt_sum_us": 20_000 * received}
    outcome = Outcome.OK if received else Outcome.FAILED
    cause = None if received else "timeout"
    sample = Sample(LATENCY_TAGS, fields)
    return Reading("latency", outcome, boot_ns, (sample,), cause)


def values(field: Field) -> st.SearchStrategy[Value]:
    """Return a strategy for all values of a field's type that a device can record."""
    match field.type:
        case "int":
            return st.integers(-(2**63), 2**63 - 1)
        case "float":
            return st.floats(allow_nan=False, allow_infinity=False)
        case _:
            return st.text(
                st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1
            )


def fields_of(measurement: Measurement) -> st.SearchStrategy[dict[str, Value]]:
    """Return a strategy for non-empty sets of a measurement's fields."""
    return st.lists(
        st.sampled_from(measurement.fields), min_size=1, max_size=12, unique=True
    ).flatmap(lambda chosen: st.fixed_dictionaries({f.name: values(f) for f in chosen}))


def tags_of(measurement: Measurement) -> st.SearchStrategy[dict[str, str]]:
    """Return a strategy for sets of a measurement's tags with all valid values."""
    if not measurement.tags:
        return st.just({})
    value = st.from_regex(r"[A-Za-z0-9_-]{1,20}", fullmatch=True)
    return st.dictionaries(st.sampled_from(measurement.tags), value)


def records() -> st.SearchStrategy[Record]:
    """Return a strategy for all records that the schema allows."""
    return st.sampled_from(sorted(MEASUREMENTS)).flatmap(
        lambda name: st.builds(
            Record,
            st.just(name),
            tags_of(MEASUREMENTS[name]),
            fields_of(MEASUREMENTS[name]),
            st.integers(0, 2**63 - 2),
        )
    )
