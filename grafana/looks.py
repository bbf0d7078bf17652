"""Colours, words and the options of each kind of panel."""

from __future__ import annotations

from typing import Any

from qos_agent.config.places import regencies

Words = tuple[str, str]
"""English and Indonesian."""
Json = dict[str, Any]

# Okabe and Ito's colours: told apart by the colour-blind too.
GOOD, DEGRADED, BAD, SILENT = "#009E73", "#E69F00", "#D55E00", "#CC79A7"
NEUTRAL = "#56B4E9"
# Of what is not known: neither good nor bad.
ABSENT = "#6E6E6E"
LEVELS = (
    (0, GOOD, ("good", "baik")),
    (1, DEGRADED, ("degraded", "menurun")),
    (2, BAD, ("bad", "buruk")),
    (3, SILENT, ("silent", "senyap")),
    (4, ABSENT, ("not judged", "belum dinilai")),
)
_NO_DATA = ("no data", "tidak ada data")
_REDUCED = {"calcs": ["lastNotNull"], "fields": "", "values": False}
# Letters of 25 mm are read from five metres: 40 pixels, on 55 inches of full HD.
_WALL = {"titleSize": 28, "valueSize": 64}
EXTRAS: dict[str, Json] = {
    "stat": {
        "colorMode": "background",
        "graphMode": "none",
        "justifyMode": "center",
        "textMode": "value_and_name",
        "text": _WALL,
        "reduceOptions": _REDUCED,
    },
    "bargauge": {
        "orientation": "horizontal",
        "displayMode": "basic",
        "showUnfilled": True,
        "text": {"titleSize": 22, "valueSize": 28},
        "reduceOptions": _REDUCED,
    },
    "timeseries": {
        "legend": {
            "displayMode": "list",
            "placement": "bottom",
            "showLegend": True,
            "calcs": [],
        },
        "tooltip": {"mode": "multi", "sort": "none"},
    },
    "table": {"showHeader": True, "cellHeight": "md"},
    "state-timeline": {
        "showValue": "auto",
        "mergeValues": True,
        "alignValue": "left",
        "rowHeight": 0.9,
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "single", "sort": "none"},
    },
    "heatmap": {
        "calculate": False,
        "cellGap": 1,
        "cellValues": {"unit": "short"},
        "color": {
            "mode": "scheme",
            "scheme": "Viridis",
            "scale": "exponential",
            "exponent": 0.5,
            "steps": 64,
            "reverse": False,
        },
        "exemplars": {"color": NEUTRAL},
        # A bin in which nothing came back is empty, not the least of colours.
        "filterValues": {"le": 1e-9},
        "legend": {"show": True},
        "rowsFrame": {"layout": "le"},
        "tooltip": {"show": True, "yHistogram": False},
        "yAxis": {"axisPlacement": "left", "reverse": False, "unit": "short"},
    },
    "alertlist": {
        "maxItems": 20,
        "sortOrder": 3,
        "groupMode": "default",
        "viewMode": "list",
        "alertName": "",
        # The heartbeat fires always, and is nobody's work.
        "alertInstanceLabelFilter": '{severity=~"warning|critical"}',
        "stateFilter": {
            "firing": True,
            "pending": True,
            "noData": True,
            "error": True,
            "normal": False,
        },
    },
}
_DASHED = {"custom.lineStyle": {"fill": "dash", "dash": [10, 10]}}
STYLES: dict[str, Json] = {
    # The sample count: read in the tooltip, not drawn.
    "n": {
        "unit": "short",
        "custom.drawStyle": "line",
        "custom.lineWidth": 0,
        "custom.fillOpacity": 0,
        "custom.showPoints": "never",
        "custom.axisPlacement": "hidden",
        "custom.thresholdsStyle": {"mode": "off"},
    },
    # Written once an hour, and true until the next.
    "usual": {
        "custom.lineInterpolation": "stepAfter",
        "custom.spanNulls": True,
        "custom.fillOpacity": 0,
        "color": {"mode": "fixed", "fixedColor": ABSENT},
        **_DASHED,
    },
    **{
        name: {"color": {"mode": "fixed", "fixedColor": colour}}
        for name, colour in (("silent", SILENT), ("bad", BAD), ("degraded", DEGRADED))
    },
    "low": {"custom.lineWidth": 0, "custom.fillOpacity": 0},
    "high": {"custom.lineWidth": 0, "custom.fillOpacity": 25},
    "bars": {"custom.drawStyle": "bars", "custom.fillOpacity": 80},
    "points": {"custom.drawStyle": "points", "custom.pointSize": 9},
    "ends": {"custom.drawStyle": "points", "custom.pointSize": 4},
    "right": {"custom.axisPlacement": "right", **_DASHED},
}


def no_value(language: int) -> str:
    """What stands where there is no value."""
    return _NO_DATA[language]


def steps(
    limits: tuple[float, float] | None, *, low: bool = False, floor: float = 0.0
) -> list[Json]:
    """Colours by value; the first is that of an absent one, which has no value."""
    if limits is None:
        known = [(floor, NEUTRAL)]
    elif low:
        first, second = limits
        known = [(floor, BAD), (second, DEGRADED), (first, GOOD)]
    else:
        first, second = limits
        known = [(floor, GOOD), (first, DEGRADED), (second, BAD)]
    made: list[Json] = [{"color": ABSENT, "value": None}]
    return made + [{"color": color, "value": value} for value, color in known]


def level_mapping(language: int) -> list[Json]:
    """Classes in words and colours; what is absent is neither."""
    words = {
        str(level): {"text": text[language], "color": color, "index": level}
        for level, color, text in LEVELS
    }
    absent = {"text": no_value(language), "color": ABSENT, "index": len(LEVELS)}
    return [
        {"type": "value", "options": words},
        {"type": "special", "options": {"match": "null+nan", "result": absent}},
    ]


def named() -> list[Json]:
    """Codes of regencies in words."""
    words = {
        code: {"text": f"{code} {place.name}", "index": index}
        for index, (code, place) in enumerate(regencies().items())
    }
    return [{"type": "value", "options": words}]


def custom(kind: str, *, limited: bool) -> Json:
    """How a kind draws its series, where it has a say."""
    match kind:
        case "timeseries":
            # A gap stays a gap: joining over it would draw an outage as health. What
            # is measured every few minutes is joined, over ten minutes at the most.
            return {
                "spanNulls": 600_000,
                "fillOpacity": 0,
                "lineWidth": 2,
                "showPoints": "auto",
                "thresholdsStyle": {"mode": "dashed" if limited else "off"},
            }
        case "state-timeline":
            return {"fillOpacity": 85, "lineWidth": 0, "spanNulls": False}
        case "table":
            return {"align": "auto", "filterable": True}
        case _:
            return {}


def geomap(size: str) -> Json:
    """The country's outline from Grafana's own folder, and markers on it.

    No tile server: the outline is `maps/indonesia_outline.geojson`, mounted as
    `public/maps/` of Grafana's home. `size` is the field by which markers are large.
    """
    of_size: Json = {"fixed": 7, "min": 5, "max": 20}
    return {
        "view": {"id": "coords", "lat": -2.5, "lon": 118, "zoom": 4},
        "controls": {
            "showZoom": True,
            "mouseWheelZoom": True,
            "showAttribution": False,
            "showScale": False,
            "showDebug": False,
        },
        "basemap": {
            "type": "geojson",
            "name": "Indonesia",
            "config": {
                "src": "public/maps/indonesia_outline.geojson",
                "rules": [],
                "style": {"color": {"fixed": ABSENT}, "opacity": 0.4, "lineWidth": 1},
            },
        },
        "tooltip": {"mode": "details"},
        "layers": [
            {
                "type": "markers",
                "name": "levels",
                "location": {
                    "mode": "coords",
                    "latitude": "latitude",
                    "longitude": "longitude",
                },
                "config": {
                    "showLegend": False,
                    "style": {
                        "color": {"field": "class_level", "fixed": ABSENT},
                        "size": of_size | ({"field": size} if size else {}),
                        "opacity": 0.85,
                        "symbol": {
                            "fixed": "img/icons/marker/circle.svg",
                            "mode": "fixed",
                        },
                    },
                },
                "tooltip": True,
            }
        ],
    }
