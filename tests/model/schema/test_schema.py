"""The schema table keeps its own rules, and the dictionary keeps to the table."""

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
    """No field twice, none named like a tag, and none that InfluxDB would lose."""
    names = [field.name for field in measurement.fields]
    assert len(names) == len(set(names))
    assert not set(names) & set(measurement.tags)
    assert "time" not in names  # InfluxDB drops a field named time, with status 204
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in names)


@pytest.mark.parametrize("measurement", MEASUREMENTS.values(), ids=lambda m: m.name)
def test_only_numbers_are_additive_and_all_have_a_unit(
    measurement: Measurement,
) -> None:
    """What is summed is a number; what is a number has a unit."""
    for field in measurement.fields:
        assert not (field.additive and field.type == "str"), field.name
        assert bool(field.unit) == (field.type != "str"), field.name
        assert field.meaning


@pytest.mark.parametrize("measurement", MEASUREMENTS.values(), ids=lambda m: m.name)
def test_a_field_means_one_type_everywhere(measurement: Measurement) -> None:
    """A name has the same type in every measurement: exports can be joined."""
    for other in MEASUREMENTS.values():
        shared = {f.name: f.type for f in other.fields}
        for field in measurement.fields:
            assert shared.get(field.name, field.type) == field.type, field.name


def test_points_of_agents_name_their_place_and_carry_their_number() -> None:
    """Every measurement of an agent has station, area, phase and the seals' fields."""
    for measurement in MEASUREMENTS.values():
        if measurement.source == "agent":
            assert {"station", "province", "regency", "phase"} <= set(measurement.tags)
            assert {"seq", "device", "journal", "schema"} <= {
                f.name for f in measurement.fields
            }


def test_closed_lists_hold_tag_values() -> None:
    """Causes, reasons and kinds of event can be grouped by: plain words."""
    for word in (*CAUSES, *REASONS, *EVENT_KINDS):
        assert re.fullmatch(r"[a-z_]+", word)


def test_the_committed_dictionary_is_the_generated_one() -> None:
    """docs/data-dictionary.md says what the table says; mend: see its first line."""
    committed = (ROOT / "docs" / "data-dictionary.md").read_text()
    assert committed == markdown()


def test_every_tag_and_field_has_a_meaning() -> None:
    """The dictionary that goes with an export explains all there is, in its order."""
    named = [(row[0], row[1]) for row in rows() if row[6]]
    wanted = [
        (measurement.name, name)
        for measurement in MEASUREMENTS.values()
        for name in (*measurement.tags, *(f.name for f in measurement.fields))
    ]
    assert named == wanted


# An owner names these once; the rest are of closed lists.
_NAMED_BY_OWNERS = {
    "station", "province", "regency", "link", "operator", "target", "collector",
}  # fmt: skip
_CLOSED = {"phase", "kind", "layer", "direction", "technology", "backend", "zone"}


@pytest.mark.parametrize("measurement", MEASUREMENTS.values(), ids=lambda m: m.name)
def test_no_tag_is_measured_or_unique(measurement: Measurement) -> None:
    """A tag that grows with what is measured would cost the collector a series each."""
    assert set(measurement.tags) <= _NAMED_BY_OWNERS | _CLOSED


@pytest.mark.parametrize("name", ["cell", "journal", "seq", "address", "boot_id"])
def test_a_free_tag_is_refused(name: str) -> None:
    """What the table does not list as a tag cannot become one by accident."""
    record = Record("latency", {name: "1"}, {"sent": 1}, 1)
    with pytest.raises(ValueError, match=f"latency.{name}: no such tag"):
        encode(record)
