"""Templates of a regulator, and borders for the map."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from qos_agent.model.errors import ConfigError, InvalidConfigError, OperatorError
from qos_agent.report.borders import read_borders
from qos_agent.report.template import load

_THRESHOLD = """
[[thresholds]]
indicator = "availability"
at_least = 0.99
unit = "ratio"
source = "Decree 1"
legal_status = "contract"
"""
_FAR = (
    '{"type":"x","features":[{"properties":{"code":"3171"},"geometry":'
    '{"type":"Polygon","coordinates":[[[1e9,0]]]}}]}'
)
_SQUARE = [[0, 0], [0, 1], [1, 1], [0, 0]]


def _saved(folder: Path, content: str) -> Path:
    path = folder / "template.toml"
    path.write_text(content, encoding="utf-8")
    return path


def test_a_template_has_names_thresholds_and_corrections(tmp_path: Path) -> None:
    """The digest covers the files that it names, too."""
    (tmp_path / "logo.svg").write_text("<svg/>")
    text = (
        'ministry = "Kementerian"\nlogo = "logo.svg"\n'
        '[[signatories]]\nname = "A"\nposition = "Direktur"\n'
        '[[corrections]]\nversion = "1"\npublished = 2024-03-01\nchange = "Table 3"\n'
    )
    path = _saved(tmp_path, text + _THRESHOLD)
    first = load(path)
    assert (first.ministry, first.logo_kind) == ("Kementerian", "svg")
    assert first.thresholds[0].limit == 0.99
    assert first.corrections[0][2] == "Table 3"
    (tmp_path / "logo.svg").write_text("<svg />")
    assert load(path).sha256 != first.sha256


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ('"availability"', '"speed"', "is not an indicator"),
        ('"ratio"', '"%"', "must be ratio"),
        ("at_least", "at_most", "does not fit availability"),
        ("at_least = 0.99", "", "must have either at_least or at_most"),
        ('"contract"', '"law"', "legal_status"),
        ("at_least = 0.99", "at_least = inf", "at_least"),
    ],
)
def test_a_wrong_threshold_is_named(
    tmp_path: Path, before: str, after: str, message: str
) -> None:
    """A limit in another unit would judge wrongly without a notice."""
    path = _saved(tmp_path, _THRESHOLD.replace(before, after))
    with pytest.raises(InvalidConfigError, match=message):
        load(path)


@pytest.mark.parametrize(
    ("key", "name", "message"),
    [
        ("logo", "none.svg", "cannot be read"),
        ("logo", "template.toml", "must be a picture"),
        ("boundaries", "none.json", "cannot be read"),
        ("boundaries", "template.toml", "has no shapes"),
    ],
)
def test_a_missing_part_is_named(
    tmp_path: Path, key: str, name: str, message: str
) -> None:
    """The error has the key of the template."""
    path = _saved(tmp_path, f'{key} = "{name}"\n')
    with pytest.raises(OperatorError, match=f"{key}: {message}"):
        load(path)


def test_borders_of_geojson_and_topojson_are_equal() -> None:
    """An arc of TopoJSON has differences, and may be used backwards."""
    geometry = {"type": "Polygon", "coordinates": [_SQUARE]}
    feature = {"properties": {"code": "3171"}, "geometry": geometry}
    geojson = {"type": "FeatureCollection", "features": [feature]}
    arcs = [[[0, 0], [0, 1]], [[0, 0], [1, 1], [-1, 0]]]
    shape = {"type": "Polygon", "arcs": [[0, -2]], "properties": {"code": "3171"}}
    topology = {
        "type": "Topology",
        "transform": {"scale": [1, 1], "translate": [0, 0]},
        "arcs": arcs,
        "objects": {"areas": {"geometries": [shape]}},
    }
    first = read_borders(json.dumps(geojson).encode(), "a")
    second = read_borders(json.dumps(topology).encode(), "b")
    assert [*first] == [*second] == ["3171"]
    assert {*first["3171"][0]} == {*second["3171"][0]}


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        "null",
        '{"type": "Topology"}',
        '{"type": "x", "features": []}',
        _FAR,
    ],
)
def test_other_content_is_refused(content: str) -> None:
    """A hostile file gives one line, not a traceback."""
    with pytest.raises(ConfigError, match="boundaries"):
        read_borders(content.encode(), "file")
