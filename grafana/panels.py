"""Panels in Grafana's classic JSON, schema version 37, which 9.3 to 13 can read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from grafana.panel import RAW, ROLLUP, SELECTED, Column, Display, Panel, Query
from grafana.styles import (
    ABSENT,
    NEUTRAL,
    NO_TEXT,
    PANEL_OPTIONS,
    SERIES_STYLES,
    TIME_AXES,
    Json,
    Text,
    cause_mapping,
    chance_mapping,
    code_mapping,
    custom_options,
    geomap_options,
    heard_mapping,
    level_mapping,
    margin_mapping,
    no_data,
    place_mapping,
    regency_mapping,
    severity_mapping,
    side_mapping,
    threshold_steps,
    watermark_mapping,
)
from grafana.transformations import transformations
from qos_agent.noc.troubles.places import place_names

__all__ = [
    "RAW",
    "ROLLUP",
    "SELECTED",
    "Column",
    "Display",
    "Json",
    "Panel",
    "Query",
    "Text",
    "panel_json",
    "place_panels",
]
_ROWS = frozenset({"table", "geomap"})
_COLUMNS = 24
_CODE_LENGTHS = {"province": 2, "regency": 4}
# The names that replace codes, by the kind of column.
_NAMES: Mapping[str, Callable[[int], list[Json]]] = {
    "regency": lambda _: regency_mapping(),
    "code": code_mapping,
    "side": side_mapping,
    "place": place_mapping,
    "cause": cause_mapping,
    "severity": severity_mapping,
    "chance": chance_mapping,
    "margin": margin_mapping,
}


def panel_json(panel: Panel, language: int, x: int, y: int) -> Json:
    """Return the panel in one language, at a position on the grid."""
    datasource = {"type": "influxdb", "uid": panel.source}
    content: Json = {
        "id": panel.id,
        "type": panel.kind,
        "title": panel.title[language],
        "description": panel.description[language],
        "gridPos": {
            "x": x,
            "y": y,
            "w": panel.display.width,
            "h": panel.display.height,
        },
        "datasource": datasource,
        "targets": [
            _target(panel, index, language) for index in range(len(panel.queries))
        ],
        "fieldConfig": {
            "defaults": _defaults(panel, language),
            "overrides": [
                *_series(panel, language),
                *(_column(column, language) for column in panel.columns),
                *_named_series(panel, language),
            ],
        },
        "options": _options(panel, language),
        "transformations": transformations(panel),
    }
    if panel.display.age:
        content["timeFrom"] = panel.display.age
        content["hideTimeOverride"] = panel.kind == "stat"
    return content


def _target(panel: Panel, index: int, language: int) -> Json:
    query = panel.queries[index]
    target: Json = {
        "refId": "ABCDEFGH"[index],
        "datasource": {"type": "influxdb", "uid": panel.source},
        "rawQuery": True,
        "resultFormat": "table" if panel.kind in _ROWS else "time_series",
        "query": query.text,
    }
    alias = query.alias[language]
    return target | ({"alias": alias} if alias else {})


def _defaults(panel: Panel, language: int) -> Json:
    display = panel.display
    defaults: Json = {
        "unit": display.unit,
        "noValue": no_data(language),
        "thresholds": {
            "mode": "absolute",
            "steps": threshold_steps(
                display.limits, low=display.low, floor=display.floor
            ),
        },
        "color": _color(panel),
        "links": [],
    }
    if display.levels:
        defaults["mappings"] = level_mapping(language)
    if display.codes:
        defaults["mappings"] = code_mapping(language)
    if display.sentence == "census":
        defaults["mappings"] = watermark_mapping(language)
    if display.sentence == "station":
        defaults["mappings"] = heard_mapping(language)
    if display.top is not None:
        defaults |= {"min": display.floor, "max": display.top}
    options = custom_options(panel.kind, limited=display.limits is not None)
    return defaults | ({"custom": options} if options else {})


def _color(panel: Panel) -> Json:
    if panel.kind == "state-timeline" and panel.display.levels:
        # With colours by threshold, merged bars lose their mapping and all classes
        # get the same colour.
        return {"mode": "fixed", "fixedColor": ABSENT}
    if panel.kind != "timeseries" or panel.display.levels:
        return {"mode": "thresholds"}
    return {"mode": "palette-classic"}


def _series(panel: Panel, language: int) -> list[Json]:
    """Return the overrides of series that have their own style."""
    overrides = []
    for query in panel.queries:
        if not query.style:
            continue
        alias = query.alias[language]
        fixed, tagged, _ = alias.partition("$")
        matcher = (
            {"id": "byRegexp", "options": f"/^{fixed}.*/"}
            if tagged
            else {"id": "byName", "options": alias}
        )
        properties = [
            {"id": name, "value": value}
            for name, value in SERIES_STYLES[query.style].items()
        ]
        if query.style == "high":
            low = next(q.alias[language] for q in panel.queries if q.style == "low")
            properties.append({"id": "custom.fillBelowTo", "value": low})
        overrides.append({"matcher": matcher, "properties": properties})
    return overrides


def _named_series(panel: Panel, language: int) -> list[Json]:
    """Return the overrides that replace codes of places in legends and rows."""
    kind = panel.display.names
    aliases = {
        query.alias[language].partition("$")[0]
        for query in panel.queries
        if kind and query.alias[language].endswith(f"$tag_{kind}")
    }
    return [
        {
            "matcher": {"id": "byName", "options": f"{prefix}{code}"},
            "properties": [{"id": "displayName", "value": f"{prefix}{name}"}],
        }
        for prefix in sorted(aliases)
        for code, name in place_names(language).items()
        if code.isdigit() and len(code) == _CODE_LENGTHS[kind]
    ]


def _column(column: Column, language: int) -> Json:
    """Return the format of a column.

    It sets the displayed title only. Links and the column order refer to the field
    by its own name, so the field is not renamed.
    """
    properties: list[Json] = [
        {"id": "displayName", "value": column.title[language]},
        {"id": "unit", "value": column.unit},
    ]
    if column.shown == "level":
        properties += [
            {"id": "mappings", "value": level_mapping(language)},
            # Grafana 9.3 reads displayMode, later versions read cellOptions.
            {"id": "custom.displayMode", "value": "color-background"},
            {"id": "custom.cellOptions", "value": {"type": "color-background"}},
        ]
    else:
        properties.append(
            {"id": "color", "value": {"mode": "fixed", "fixedColor": NEUTRAL}}
        )
    names = _names(column.shown, language)
    if column.shown != "level" and (names or column.unit == "none"):
        properties.append({"id": "mappings", "value": [*names, NO_TEXT]})
    if column.shown == "label":
        # No text on the map for a place without a label, instead of "not measured".
        properties.append({"id": "noValue", "value": ""})
    if column.shown == "linked":
        # Grafana 9.3 reads hidden, later versions read hideFrom.
        everywhere = {"viz": True, "legend": True, "tooltip": True}
        properties.append({"id": "custom.hidden", "value": True})
        properties.append({"id": "custom.hideFrom", "value": everywhere})
    if column.link is not None:
        properties.append({"id": "links", "value": [column.link]})
    if column.width is not None:
        properties.append({"id": "custom.width", "value": column.width})
    return {
        "matcher": {"id": "byName", "options": column.name},
        "properties": properties,
    }


def _names(shown: str, language: int) -> list[Json]:
    """Return the names that replace the codes of a column."""
    return _NAMES[shown](language) if shown in _NAMES else []


def _options(panel: Panel, language: int) -> Json:
    if panel.kind == "geomap":
        return geomap_options(panel.sort)
    options = PANEL_OPTIONS[panel.kind]
    if panel.display.zones:
        return options | {"timezone": list(TIME_AXES)}
    if panel.display.sentence:
        text = {"titleSize": 14, "valueSize": 28}
        return options | {"textMode": "value", "text": text}
    if panel.kind == "table" and panel.sort:
        title = next(c.title for c in panel.columns if c.name == panel.sort)
        return options | {"sortBy": [{"displayName": title[language], "desc": True}]}
    return options


def place_panels(panels: Sequence[Panel], language: int) -> list[Json]:
    """Place panels from left to right; start a new row if the next does not fit.

    A new row begins below the panels at its left edge. So low panels on the left can
    have several rows next to a high one on the right.
    """
    bottoms = [0] * _COLUMNS
    x = y = 0
    placed = []
    for panel in panels:
        width, height = panel.display.width, panel.display.height
        if x + width > _COLUMNS:
            x, y = 0, max(bottoms[:width])
        y = max(y, *bottoms[x : x + width])
        placed.append(panel_json(panel, language, x, y))
        bottoms[x : x + width] = [y + height] * width
        x += width
    return placed
