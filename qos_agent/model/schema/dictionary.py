"""The data dictionary, generated from the schema table.

`python -m qos_agent.dictionary` prints docs/data-dictionary.md; a test holds the
two together. The export ships the same as CSV.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from qos_agent.model.schema import MEASUREMENTS, SCHEMA_VERSION, Measurement
from qos_agent.model.schema.codes import CAUSES, EVENT_KINDS, REASONS

COLUMNS = ("measurement", "name", "kind", "type", "unit", "additive", "meaning",
           "standard")  # fmt: skip


def rows() -> Iterator[tuple[str, ...]]:
    """Every tag and field, in the columns of COLUMNS."""
    for measurement in MEASUREMENTS.values():
        for tag in measurement.tags:
            yield measurement.name, tag, "tag", "str", "", "", _TAGS[tag], ""
        for field in measurement.fields:
            additive = "yes" if field.additive else ""
            yield (
                measurement.name, field.name, "field", field.type, field.unit,
                additive, field.meaning, field.standard,
            )  # fmt: skip


_TAGS: Mapping[str, str] = {
    "station": "code of the polling station",
    "province": "Kemendagri code, 2 digits",
    "regency": "Kemendagri code, 4 digits",
    "phase": "pre, voting, counting, post or idle",
    "link": "name of the link, unique within the station",
    "operator": "operator behind the link",
    "target": "configured name of what was measured against",
    "layer": "gateway, resolver, anchor or application",
    "backend": "http, iperf3 or speedtest",
    "direction": "down or up",
    "technology": "radio technology, as the modem names it",
    "kind": "kind of event, of the closed list",
    "zone": "time zone: WIB, WITA or WIT",
    "collector": "name of the collector, as the NOC configures it",
}


def markdown() -> str:
    """The whole dictionary."""
    parts = [_HEAD.format(version=SCHEMA_VERSION)]
    parts += [_section(measurement) for measurement in MEASUREMENTS.values()]
    parts += [
        _words("Causes of failure", CAUSES),
        _words("Reasons for skipping", REASONS),
        _words("Kinds of event", EVENT_KINDS),
    ]
    return "\n".join(parts)


_HEAD = """\
# Data dictionary

Generated from `qos_agent/schema.py` (version {version}); edit the table, not this
file. The same names stand in the journal, in exports, in reports and on dashboards.

- Integers are counters and 0/1, floats the rest; a name never changes its type.
- **Σ** marks an additive field: it may be summed over points, areas and time. Every
  national figure is a ratio of such sums: loss is Σlost/Σsent, mean delay
  Σrtt_sum_us/Σreceived, mean rate Σrate_bps/Σtests.
- Absent is absent: a value that was not measured is left out, never 0 or -1.
- `failed` and `skipped` readings are points too, with a cause or a reason.
"""


def _section(measurement: Measurement) -> str:
    tags = ", ".join(f"`{tag}`" for tag in measurement.tags)
    lines = [
        f"## {measurement.name}",
        "",
        (
            f"{measurement.meaning[0].upper()}{measurement.meaning[1:]}."
            f" Written by the {'NOC' if measurement.source == 'noc' else 'agent'}."
        ),
        "",
        f"Tags: {tags}.",
        "",
        "| field | type | unit | Σ | meaning | standard |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| `{f.name}` | {f.type} | {f.unit} | {'Σ' if f.additive else ''} "
        f"| {f.meaning} | {f.standard} |"
        for f in measurement.fields
    ]
    return "\n".join([*lines, ""])


def _words(title: str, table: Mapping[str, str]) -> str:
    lines = [f"## {title}", "", "| word | meaning |", "| --- | --- |"]
    lines += [f"| `{word}` | {meaning} |" for word, meaning in table.items()]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    print(markdown(), end="")
