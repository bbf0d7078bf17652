"""The schema table obeys its rules, and the dictionary equals the table."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from qos_agent.model import Record
from qos_agent.model.line_protocol import encode
from qos_agent.model.schema import MEASUREMENTS, Measurement
from qos_agent.model.schema.codes import CAUSES, EVENT_KINDS, REASONS
from qos_agent.model.schema.dictionary import markdown, rows

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("measurement", MEASUREMENTS.values(), ids=lambda m: m.name)
def test_names_are_unique_and_plain(measurement: Measurement) -> None:
    """Fields are unique, differ from tags, and have names that InfluxDB accepts."""
    names = [field.name for field in measurement.fields]
    assert len(names) == len(set(names))
    assert not set(names) & set(measurement.tags)
    assert "time" not in names  # InfluxDB drops a field named time, with status 204
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in names)


@pytest.mark.parametrize("measurement", MEASUREMENTS.values(), ids=lambda m: m.name)
def test_only_numbers_are_additive_and_all_have_a_unit(
    measurement: Measurement,
) -> None:
    """Additive fields are numbers, and every number has a unit."""
    for field in measurement.fields:
        assert not (field.additive and field.type == "str"), field.name
        assert bool(field.unit) == (field.type != "str"), field.name
        assert field.meaning


@pytest.mark.parametrize("measurement", MEASUREMENTS.values(), ids=lambda m: m.name)
def test_a_field_has_one_type_everywhere(measurement: Measurement) -> None:
    """A name has one type in all measurements, so that exports can be joined."""
    for other in MEASUREMENTS.values():
        shared = {f.name: f.type for f in other.fields}
        for field in measurement.fields:
            assert shared.get(field.name, field.type) == field.type, field.name


def test_points_of_agents_have_place_and_number() -> None:
    """Measurements of agents have station, area, phase and the fields of seals."""
    for measurement in MEASUREMENTS.values():
        if measurement.source == "agent":
            assert {"station", "province", "regency", "phase"} <= set(measurement.tags)
            assert {"seq", "device", "journal", "schema"} <= {
                f.name for f in measurement.fields
            }


def test_codes_are_valid_tag_values() -> None:
    """Causes, reasons and kinds of event are plain words for grouping."""
    for code in (*CAUSES, *REASONS, *EVENT_KINDS):
        assert re.fullmatch(r"[a-z_]+", code)


def test_the_committed_dictionary_is_the_generated_one() -> None:
    """The committed dictionary equals the schema table; `make docs` writes it."""
    committed = (ROOT / "docs/reference/data-dictionary.md").read_text()
    assert committed == markdown()


def test_every_tag_and_field_has_a_meaning() -> None:
    """The dictionary of an export explains every tag and field, in order."""
    explained = [(row[0], row[1]) for row in rows() if row[6]]
    expected = [
        (measurement.name, name)
        for measurement in MEASUREMENTS.values()
        for name in (*measurement.tags, *(f.name for f in measurement.fields))
    ]
    assert explained == expected


# These tags have configured names; the other tags have values of closed lists.
_CONFIGURED = {
    "station",
    "name",
    "province",
    "regency",
    "link",
    "operator",
    "target",
    "collector",
    "place",
}
_CLOSED = {
    "phase",
    "kind",
    "layer",
    "direction",
    "technology",
    "backend",
    "zone",
    "cause",
    "level",
    "severity",
    "part",
}


@pytest.mark.parametrize("measurement", MEASUREMENTS.values(), ids=lambda m: m.name)
def test_no_tag_is_measured_or_unique(measurement: Measurement) -> None:
    """No tag is measured, as each value would cost the collector a series."""
    assert set(measurement.tags) <= _CONFIGURED | _CLOSED


@pytest.mark.parametrize("name", ["cell", "journal", "seq", "address", "boot_id"])
def test_a_free_tag_is_refused(name: str) -> None:
    """A name that is not a tag in the table is refused as a tag."""
    record = Record("latency", {name: "1"}, {"sent": 1}, 1)
    with pytest.raises(ValueError, match=f"latency.{name}: no such tag"):
        encode(record)
