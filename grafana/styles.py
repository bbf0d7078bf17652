"""Colours, class names and the options of each panel type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from grafana.titles import CAUSE_TITLES
from qos_agent.config.places import regencies
from qos_agent.model.calendar import ZONES
from qos_agent.noc.troubles.places import place_names

Text = tuple[str, str]
"""A text in English and in Indonesian."""
Json = dict[str, Any]

# The palette of Okabe and Ito, which colour-blind people can tell apart.
GOOD, DEGRADED, BAD, SILENT = "#009E73", "#E69F00", "#D55E00", "#CC79A7"
NEUTRAL = "#56B4E9"
# For unknown values, which are neither good nor bad.
ABSENT = "#6E6E6E"
LEVELS = (
    (0, GOOD, ("good", "baik")),
    (1, DEGRADED, ("degraded", "menurun")),
    (2, BAD, ("bad", "buruk")),
    (3, SILENT, ("silent", "tidak melapor")),
    (4, ABSENT, ("unknown", "belum diketahui")),
)
# Names of the codes in the fields `kpi` and `side`.
CODES: dict[str, Text] = {
    "loss": ("packet loss", "packet loss"),
    "delay": ("latency", "latensi"),
    "download": ("download", "download"),
    "upload": ("upload", "upload"),
    "page": ("page load", "muat halaman"),
    "page_failures": ("failed page loads", "muat halaman gagal"),
    "form": ("form upload", "upload formulir"),
    "form_failures": ("failed form uploads", "upload formulir gagal"),
    "clock": ("wrong clock", "jam salah"),
    "access": ("access network", "jaringan akses"),
    "destination": ("destination", "tujuan"),
}
# Names of causes that fit into a table.
_SHORT: dict[str, Text] = {
    "outage-place": ("Several operators down", "Beberapa operator down"),
    "outage-operator": ("One operator down", "Satu operator down"),
}
_SEVERITIES: dict[str, Text] = {
    "critical": ("critical", "critical"),
    "warning": ("warning", "warning"),
    "all": ("all", "semua"),
}
_SIDES = ("access", "destination")
_NO_DATA = ("not measured", "belum diukur")
# For boards without a census, which no class uses.
OUT_OF_DATE = "#F0E442"
_FRESH = ("The census is up to date.", "Sensus mutakhir.")
_STALE = (
    "NO COMPLETE CENSUS FOR OVER THREE MINUTES: the state of the nation is unknown",
    "TIDAK ADA SENSUS LENGKAP LEBIH DARI TIGA MENIT: keadaan sekarang tidak diketahui",
)
# A text that is missing in one row; Grafana would print "null".
NO_TEXT: Json = {
    "type": "special",
    "options": {"match": "null+nan", "result": {"text": "–", "index": 1000}},
}
_HEARD = ("reports", "melapor")
_MISSING = ("no report for five minutes", "tidak ada laporan selama lima menit")
_SILENT = ("SILENT for twelve minutes or longer", "TIDAK MELAPOR 12 menit atau lebih")
_NOT_HEARD = ("SILENT for six hours or longer", "TIDAK MELAPOR enam jam atau lebih")
_REDUCED = {"calcs": ["lastNotNull"], "fields": "", "values": False}
# The axes of a chart about the whole country. Grafana draws the name next to each.
TIME_AXES = ("utc", *ZONES.values())
PANEL_OPTIONS: dict[str, Json] = {
    "stat": {
        "colorMode": "background",
        "graphMode": "none",
        "justifyMode": "center",
        "textMode": "value_and_name",
        # Without sizes, Grafana fits name and figure into the tile.
        "text": {},
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
        # Draw nothing for an empty bin, instead of the lowest colour of the scale.
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
        # Leave out the heartbeat alert: it always fires and needs no action.
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
SERIES_STYLES: dict[str, Json] = {
    # The sample count: shown in the tooltip only.
    "n": {
        "unit": "short",
        "custom.drawStyle": "line",
        "custom.lineWidth": 0,
        "custom.fillOpacity": 0,
        "custom.showPoints": "never",
        "custom.axisPlacement": "hidden",
        "custom.hideFrom": {"legend": True, "tooltip": False, "viz": False},
        "custom.thresholdsStyle": {"mode": "off"},
    },
    # The baseline is written once an hour and holds until the next one.
    "baseline": {
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


def no_data(language: int) -> str:
    """Return the text that is shown instead of a missing value."""
    return _NO_DATA[language]


def threshold_steps(
    limits: tuple[float, float] | None, *, low: bool = False, floor: float = 0.0
) -> list[Json]:
    """Return the colour steps of a value. The first step is for a missing value."""
    if limits is None:
        colours = [(floor, NEUTRAL)]
    elif low:
        first, second = limits
        colours = [(floor, BAD), (second, DEGRADED), (first, GOOD)]
    else:
        first, second = limits
        colours = [(floor, GOOD), (first, DEGRADED), (second, BAD)]
    missing: Json = {"color": ABSENT, "value": None}
    return [missing, *({"color": color, "value": value} for value, color in colours)]


def level_mapping(language: int) -> list[Json]:
    """Map class levels to names and colours, and missing values to grey."""
    classes = {
        str(level): {"text": text[language], "color": color, "index": level}
        for level, color, text in LEVELS
    }
    absent = {"text": no_data(language), "color": ABSENT, "index": len(LEVELS)}
    return [
        {"type": "value", "options": classes},
        {"type": "special", "options": {"match": "null+nan", "result": absent}},
    ]


def code_mapping(language: int) -> list[Json]:
    """Map the codes of the fields `kpi` and `side` to names."""
    names = {
        code: {"text": text[language], "index": index}
        for index, (code, text) in enumerate(CODES.items())
    }
    return [{"type": "value", "options": names}]


def side_mapping(language: int) -> list[Json]:
    """Map the sides of a fault to names."""
    return _mapping({code: CODES[code][language] for code in _SIDES}, {})


def cause_mapping(language: int) -> list[Json]:
    """Map the causes of trouble to names; the longest ones are shortened."""
    texts = {code: text[language] for code, text in (CAUSE_TITLES | _SHORT).items()}
    return _mapping(texts, {})


def severity_mapping(language: int) -> list[Json]:
    """Map the severities of troubles, and the operator of all, to names."""
    texts = {code: text[language] for code, text in _SEVERITIES.items()}
    return _mapping(texts, {"critical": BAD, "warning": DEGRADED})


def margin_mapping(_: int) -> list[Json]:
    """Map a half width of 0, which means that there is no interval, to a dash."""
    dash = {"text": "–", "index": 0}
    return [{"type": "value", "options": {"0": dash}}]


def chance_mapping(language: int) -> list[Json]:
    """Map the square of an interval, in squares of the difference, to yes or no.

    It is 0 without an interval, and no number or infinite without a difference.
    """
    unknown = {"text": ("too few", "kurang data")[language], "index": 0}
    yes = {"text": ("yes", "ya")[language], "color": DEGRADED, "index": 1}
    no = {"text": ("no", "tidak")[language], "color": ABSENT, "index": 2}
    return [
        {"type": "value", "options": {"0": unknown}},
        {"type": "range", "options": {"from": 0.0, "to": 1.0, "result": yes}},
        {"type": "range", "options": {"from": 1.0, "to": None, "result": no}},
        {"type": "special", "options": {"match": "nan", "result": no}},
    ]


def _mapping(texts: Mapping[str, str], colours: Mapping[str, str]) -> list[Json]:
    names = {
        code: {"text": text, "index": index}
        | ({"color": colours[code]} if code in colours else {})
        for index, (code, text) in enumerate(texts.items())
    }
    return [{"type": "value", "options": names}]


def place_mapping(language: int) -> list[Json]:
    """Map the codes of all places to their names."""
    names = {
        code: {"text": name, "index": index}
        for index, (code, name) in enumerate(place_names(language).items())
    }
    return [{"type": "value", "options": names}]


def watermark_mapping(language: int) -> list[Json]:
    """Map the number of complete minutes of late to a sentence about the board."""
    fresh = {"text": _FRESH[language], "color": GOOD, "index": 0}
    stale = {"text": _STALE[language], "color": OUT_OF_DATE, "index": 1}
    return [
        {"type": "range", "options": {"from": 0.001, "to": None, "result": fresh}},
        {"type": "value", "options": {"0": stale}},
        {"type": "special", "options": {"match": "null+nan", "result": stale}},
    ]


def heard_mapping(language: int) -> list[Json]:
    """Map a number of heartbeats to a sentence about the station."""
    heard = {"text": _HEARD[language], "color": GOOD, "index": 0}
    missing = {"text": _MISSING[language], "color": DEGRADED, "index": 1}
    silent = {"text": _SILENT[language], "color": SILENT, "index": 2}
    long = {"text": _NOT_HEARD[language], "color": SILENT, "index": 3}
    # See `beats_of_minutes`: up to 0.001 comes from the longer time alone.
    return [
        {"type": "range", "options": {"from": 0.002, "to": None, "result": heard}},
        {"type": "range", "options": {"from": 1e-6, "to": 0.002, "result": missing}},
        {"type": "value", "options": {"0": silent}},
        {"type": "special", "options": {"match": "null+nan", "result": long}},
    ]


def regency_mapping() -> list[Json]:
    """Map the codes of regencies to their names."""
    names = {
        code: {"text": f"{code} {place.name}", "index": index}
        for index, (code, place) in enumerate(regencies().items())
    }
    return [{"type": "value", "options": names}]


def custom_options(kind: str, *, limited: bool) -> Json:
    """Return the drawing options of a panel type; empty if it has none."""
    match kind:
        case "timeseries":
            # Join points that are at most ten minutes apart, because some tests run
            # every few minutes only. A longer gap stays open: a line across it would
            # hide an outage.
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


def geomap_options(size: str) -> Json:
    """Return a map of markers on an outline of the country.

    The map needs no tile server: Grafana serves `maps/indonesia_outline.geojson` from
    its folder `public/maps/`. The field `size` sets the size of the markers. If it is
    empty, all markers have the same size, and the map zooms to them.
    """
    marker_size: Json = {"fixed": 7, "min": 5, "max": 20}
    text: Json = {"mode": "field", "fixed": "", "field": "label" if size else ""}
    nation: Json = {"id": "coords", "lat": -2.5, "lon": 118, "zoom": 3.8}
    # `layer` leaves out the outline; `zoom` is the maximum for a single marker.
    fitted = {"id": "fit", "allLayers": False, "layer": "levels", "zoom": 11}
    return {
        "view": nation if size else nation | fitted | {"padding": 10},
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
                        "size": marker_size | ({"field": size} if size else {}),
                        "text": text,
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
