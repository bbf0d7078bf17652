"""The data dictionary, generated from the schema table.

`make docs` writes docs/reference/data-dictionary.md, and a test compares the two. The
CSV export contains the same rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from qos_agent.model.schema import MEASUREMENTS, SCHEMA_VERSION, Measurement
from qos_agent.model.schema.codes import CAUSES, EVENT_KINDS, REASONS

COLUMNS = (
    "measurement",
    "name",
    "kind",
    "type",
    "unit",
    "additive",
    "meaning",
    "standard",
)


def rows() -> Iterator[tuple[str, ...]]:
    """Yield every tag and field, in the columns of COLUMNS."""
    for measurement in MEASUREMENTS.values():
        for tag in measurement.tags:
            yield measurement.name, tag, "tag", "str", "", "", _TAGS[tag], ""
        for field in measurement.fields:
            yield (
                measurement.name,
                field.name,
                "field",
                field.type,
                field.unit,
                "yes" if field.additive else "",
                field.meaning,
                field.standard,
            )


_TAGS: Mapping[str, str] = {
    "station": "Code of the polling station",
    "province": "Kemendagri code of the province, 2 digits",
    "regency": "Kemendagri code of the regency or city, 4 digits",
    "phase": "Phase of the election: pre, voting, counting, post or idle",
    "link": "Name of the link, unique within the station",
    "operator": "Network operator of the link",
    "target": "Configured name of the target",
    "layer": "Layer of the target: gateway, resolver, anchor or application",
    "backend": "Backend of the test: http, iperf3 or speedtest",
    "direction": "Direction of the test: down or up",
    "technology": "Radio technology as the modem reports it",
    "kind": "Kind of event; one of the closed list",
    "zone": "Time zone: WIB, WITA or WIT",
    "part": "Kind of a part of the centre, such as gateway or disk",
    "name": "Name of that part, such as its host or folder",
    "collector": "Name of the collector in the configuration of the NOC",
    "cause": "Cause of a trouble; the name of its alert",
    "level": "Level of a place: regency, province, group or nation",
    "place": "Code of a place: regency, province, group of provinces, or nation",
    "severity": "Severity of a trouble: warning or critical",
}


def markdown() -> str:
    """Return the whole dictionary as Markdown."""
    parts = [_HEAD.format(version=SCHEMA_VERSION)]
    parts += [_section(measurement) for measurement in MEASUREMENTS.values()]
    parts += [
        _codes("Causes of failure", CAUSES),
        _codes("Reasons for skipping", REASONS),
        _codes("Kinds of event", EVENT_KINDS),
    ]
    return "\n".join(parts)


_HEAD = """\
# Data dictionary

This file is generated from `qos_agent/model/schema/` (version {version}). After a
change there run `make docs`.
Journal, exports, reports and dashboards use the same names.

- Counters and 0/1 are integers, and other numbers are floats. A field never changes
  its type.
- **Σ** marks an additive field, which may be summed over points, areas and time. Every
  national figure is a ratio of such sums: loss is Σlost/Σsent, the mean delay is
  Σrtt_sum_us/Σreceived, and the mean rate is Σrate_bps/Σtests.
- A value that was not measured is absent. It is never 0, -1 or empty.
- Failed and skipped readings are points too, with a cause or a reason.
"""


def _section(measurement: Measurement) -> str:
    tags = ", ".join(f"`{tag}`" for tag in measurement.tags)
    writer = "NOC" if measurement.source == "noc" else "agent"
    lines = [
        f"## {measurement.name}",
        "",
        f"{measurement.meaning} Written by the {writer}.",
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


def _codes(title: str, table: Mapping[str, str]) -> str:
    lines = [f"## {title}", "", "| code | meaning |", "| --- | --- |"]
    lines += [f"| `{code}` | {meaning} |" for code, meaning in table.items()]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    print(markdown(), end="")
