"""Borders of regencies from a file of TopoJSON or GeoJSON. Pure.

The product contains no borders. A template may name a file; its shapes need a property
`code` with the code of the regency.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any

from qos_agent.config.places import regencies
from qos_agent.model.errors import ConfigError

Ring = tuple[tuple[float, float], ...]
Borders = Mapping[str, tuple[Ring, ...]]
_FIX = "name a TopoJSON or GeoJSON file with a property code for each regency"


def read_borders(content: bytes, name: str) -> Borders:
    """Return the rings of each regency. Raises ConfigError for another content."""
    try:
        table = json.loads(content)
        shapes = _topology(table) if table["type"] == "Topology" else _features(table)
        found = {code: tuple(rings) for code, rings in shapes if code in regencies()}
    except (ValueError, TypeError, KeyError, IndexError, RecursionError) as error:
        problem = "has no shapes that can be read"
        raise ConfigError("boundaries", repr(name), problem, _FIX) from error
    if not found:
        problem = "has no shape with the code of a regency"
        raise ConfigError("boundaries", repr(name), problem, _FIX)
    return found


def _topology(table: Mapping[str, Any]) -> Iterator[tuple[str, list[Ring]]]:
    transform = table.get("transform", {"scale": [1, 1], "translate": [0, 0]})
    arcs = [_arc(arc, transform, "transform" in table) for arc in table["arcs"]]
    for collection in table["objects"].values():
        for shape in collection["geometries"]:
            if shape["type"] in ("Polygon", "MultiPolygon"):
                polygons = _polygons(shape["type"], shape["arcs"])
                rings = [_joined(ring, arcs) for part in polygons for ring in part]
                yield str(shape["properties"]["code"]), rings


def _arc(
    arc: Sequence[Sequence[float]], transform: Mapping[str, Any], is_delta: bool
) -> Ring:
    """Return the positions of an arc, whose numbers are differences."""
    (sx, sy), (tx, ty) = transform["scale"], transform["translate"]
    points = [(float(p[0]), float(p[1])) for p in arc]
    if is_delta:
        points = [*accumulate(points, lambda a, b: (a[0] + b[0], a[1] + b[1]))]
    return tuple(_position(x * sx + tx, y * sy + ty) for x, y in points)


def _joined(ring: Sequence[int], arcs: Sequence[Ring]) -> Ring:
    """Return a ring of arcs; a negative number is an arc from its end to its start."""
    points: list[tuple[float, float]] = []
    for number in ring:
        arc = arcs[number] if number >= 0 else arcs[~number][::-1]
        points += arc if not points else arc[1:]
    return tuple(points)


def _features(table: Mapping[str, Any]) -> Iterator[tuple[str, list[Ring]]]:
    for feature in table["features"]:
        shape = feature["geometry"]
        if shape is not None and shape["type"] in ("Polygon", "MultiPolygon"):
            polygons = _polygons(shape["type"], shape["coordinates"])
            rings = [
                tuple(_position(p[0], p[1]) for p in ring)
                for part in polygons
                for ring in part
            ]
            yield str(feature["properties"]["code"]), rings


def _polygons(kind: str, content: Any) -> Any:
    return [content] if kind == "Polygon" else content


def _position(x: float, y: float) -> tuple[float, float]:
    if not (math.isfinite(x) and math.isfinite(y) and abs(x) <= 180 and abs(y) <= 90):
        raise ValueError("a position must be a longitude and a latitude")
    return x, y
