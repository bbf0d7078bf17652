"""Panels in Grafana's classic JSON, schema version 37: what 9.3 to 13 all read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Words = tuple[str, str]
"""English and Indonesian."""
Json = dict[str, Any]

# Okabe and Ito's colours: told apart by the colour-blind too.
GOOD, DEGRADED, BAD, NEUTRAL = "#009E73", "#E69F00", "#D55E00", "#56B4E9"
ROLLUP = "qos-rollup"
RAW = "qos"
CHOSEN = "${source}"
_EXTRAS: dict[str, Json] = {
    "stat": {
        "colorMode": "background",
        "graphMode": "none",
        "textMode": "value",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    },
    "bargauge": {
        "orientation": "horizontal",
        "displayMode": "basic",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    },
    "timeseries": {
        "legend": {"displayMode": "list", "placement": "bottom", "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "table": {"showHeader": True},
    "state-timeline": {"showValue": "never", "mergeValues": True},
    "alertlist": {"maxItems": 20, "stateFilter": {"firing": True, "pending": True}},
}


@dataclass(frozen=True, slots=True)
class Look:
    """Size on a grid of 24 columns, unit, and where degraded and bad begin.

    `limits` None is a neutral figure; `low` when less is worse.
    """

    width: int
    height: int
    unit: str
    limits: tuple[float, float] | None = None
    low: bool = False
    age: str | None = None


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel: id within its board, kind, title and description, queries."""

    id: int
    kind: str
    title: Words
    about: Words
    look: Look
    queries: tuple[str, ...] = ()
    source: str = ROLLUP
    links: tuple[Json, ...] = ()


def panel_json(panel: Panel, language: int, x: int, y: int) -> Json:
    """The panel as Grafana reads it."""
    form = "table" if panel.kind in {"table", "geomap"} else "time_series"
    datasource = {"type": "influxdb", "uid": panel.source}
    made: Json = {
        "id": panel.id,
        "type": panel.kind,
        "title": panel.title[language],
        "description": panel.about[language],
        "gridPos": {"x": x, "y": y, "w": panel.look.width, "h": panel.look.height},
        "datasource": datasource,
        "targets": [
            _target(query, index, form, datasource)
            for index, query in enumerate(panel.queries)
        ],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": []},
        "options": _geomap() if panel.kind == "geomap" else _EXTRAS[panel.kind],
    }
    return made | ({"timeFrom": panel.look.age} if panel.look.age else {})


def _target(query: str, index: int, form: str, datasource: Json) -> Json:
    return {
        "refId": "ABCDEF"[index],
        "datasource": datasource,
        "rawQuery": True,
        "resultFormat": form,
        "query": query,
    }


def _defaults(panel: Panel) -> Json:
    defaults: Json = {
        "unit": panel.look.unit,
        "thresholds": {"mode": "absolute", "steps": _steps(panel.look)},
        "color": {
            "mode": "palette-classic" if panel.kind == "timeseries" else "thresholds"
        },
        "links": list(panel.links),
    }
    if panel.kind == "timeseries":
        # A gap stays a gap: joining over it would draw an outage as health.
        defaults["custom"] = {"spanNulls": False, "fillOpacity": 10}
    return defaults


def _steps(look: Look) -> list[Json]:
    if look.limits is None:
        return [{"color": NEUTRAL, "value": None}]
    first, second = look.limits
    order = (BAD, DEGRADED, GOOD) if look.low else (GOOD, DEGRADED, BAD)
    values = (None, second, first) if look.low else (None, first, second)
    return [
        {"color": color, "value": value}
        for color, value in zip(order, values, strict=True)
    ]


def _geomap() -> Json:
    return {
        "view": {"id": "coords", "lat": -2.5, "lon": 118, "zoom": 4.5},
        "basemap": {
            "type": "geojson",
            "name": "Indonesia",
            "config": {"src": "public/maps/indonesia_outline.geojson"},
        },
        "tooltip": {"mode": "details"},
        "layers": [
            {
                "type": "markers",
                "name": "stations",
                "location": {
                    "mode": "coords",
                    "latitude": "latitude",
                    "longitude": "longitude",
                },
                "config": {
                    "showLegend": False,
                    "style": {
                        "color": {"field": "class_level", "fixed": NEUTRAL},
                        "size": {"fixed": 6, "min": 4, "max": 12},
                        "opacity": 0.8,
                    },
                },
                "tooltip": True,
            }
        ],
    }


def flow(panels: Sequence[Panel], language: int) -> list[Json]:
    """Panels from left to right, a new line where the next does not fit."""
    x = y = tallest = 0
    placed = []
    for panel in panels:
        if x + panel.look.width > 24:
            x, y, tallest = 0, y + tallest, 0
        placed.append(panel_json(panel, language, x, y))
        x, tallest = x + panel.look.width, max(tallest, panel.look.height)
    return placed
