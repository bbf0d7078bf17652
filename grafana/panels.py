"""Panels in Grafana's classic JSON, schema version 37, which 9.3 to 13 can read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from grafana.styles import (
    ABSENT,
    NEUTRAL,
    NO_TEXT,
    PANEL_OPTIONS,
    SERIES_STYLES,
    Json,
    Text,
    cause_mapping,
    code_mapping,
    custom_options,
    geomap_options,
    heard_mapping,
    level_mapping,
    no_data,
    place_mapping,
    regency_mapping,
    severity_mapping,
    side_mapping,
    threshold_steps,
    watermark_mapping,
)

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
ROLLUP = "qos-rollup"
RAW = "qos"
# The data source that the user selects at the top of the dashboard.
SELECTED = "${source}"
_ROWS = frozenset({"table", "geomap"})
# The names that replace codes, by the kind of column.
_NAMES: Mapping[str, Callable[[int], list[Json]]] = {
    "regency": lambda _: regency_mapping(),
    "code": code_mapping,
    "side": side_mapping,
    "place": place_mapping,
    "cause": cause_mapping,
    "severity": severity_mapping,
}


@dataclass(frozen=True, slots=True)
class Display:
    """Size, unit and thresholds of a panel.

    Width and height are in cells of Grafana's grid of 24 columns. `limits` are the
    values from which a figure is degraded and bad; None means that it has no limits.
    `low` is true if a lower value is worse. `floor` is the smallest possible value.
    `age` is the maximum age of a value that is shown as current. `levels` and `codes`
    replace class levels and codes by their names. `top` fixes the end of the scale.
    `sentence` shows one instead of a figure: `census` on its age, or `station` on its
    last heartbeat.
    """

    width: int
    height: int
    unit: str
    limits: tuple[float, float] | None = None
    low: bool = False
    age: str | None = None
    floor: float = 0.0
    levels: bool = False
    codes: bool = False
    top: float | None = None
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class Query:
    """An InfluxQL query, the name of its series and their style (SERIES_STYLES)."""

    text: str
    alias: Text = ("", "")
    style: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: a field or tag, its title and its format.

    `shown` is `level` (a class with its colour), `code` (a name instead of a code),
    `side`, `regency`, `place`, `cause` or `severity` (the same), `hidden`, `linked`
    (not shown, but links of its row use it), or empty.
    `link` opens another dashboard from a cell; LANG in its address is replaced by the
    language.
    """

    name: str
    title: Text
    unit: str = "none"
    shown: str = ""
    link: Json | None = None
    width: int | None = None


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel: id within its dashboard, type, texts, display and queries.

    `sort` is the column by which a table is sorted, largest value first. `merge` joins
    the rows of several queries by their tags. `counted` lists columns: the table then
    shows the number of stations for each combination of their values.
    """

    id: int
    kind: str
    title: Text
    description: Text
    display: Display
    queries: tuple[Query, ...] = ()
    source: str = ROLLUP
    columns: tuple[Column, ...] = ()
    sort: str = ""
    merge: bool = False
    counted: tuple[str, ...] = ()


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
            ],
        },
        "options": _options(panel, language),
        "transformations": _transformations(panel),
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
    if column.shown != "level" and column.unit == "none":
        mapping = [*_names(column.shown, language), NO_TEXT]
        properties.append({"id": "mappings", "value": mapping})
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
    if panel.display.sentence:
        text = {"titleSize": 14, "valueSize": 28}
        return options | {"textMode": "value", "text": text}
    if panel.kind == "table" and panel.sort:
        title = next(c.title for c in panel.columns if c.name == panel.sort)
        return options | {"sortBy": [{"displayName": title[language], "desc": True}]}
    return options


def _transformations(panel: Panel) -> list[Json]:
    """Return the steps that order, merge, count and hide columns.

    InfluxDB returns columns in any order. The time of a sum has no meaning, so it is
    hidden.
    """
    steps: list[Json] = []
    if panel.merge:
        # Rows are merged if all common columns are equal. Their times differ.
        no_time = {"exclude": {"names": ["Time"]}}
        steps.append({"id": "filterFieldsByName", "options": no_time})
        steps.append({"id": "merge", "options": {}})
    if panel.counted:
        steps.append({"id": "groupBy", "options": {"fields": _grouping(panel)}})
    if panel.kind == "geomap":
        # Markers are drawn in this order, so the worst one is on top.
        worst_last = {"field": "class_level", "desc": False}
        steps.append({"id": "sortBy", "options": {"fields": {}, "sort": [worst_last]}})
    if panel.kind == "table":
        hidden = {c.name: True for c in panel.columns if c.shown == "hidden"}
        if all(column.name != "Time" for column in panel.columns):
            hidden["Time"] = True
        order = {c.name: index for index, c in enumerate(panel.columns)}
        steps.append(
            {
                "id": "organize",
                "options": {
                    "excludeByName": hidden,
                    "indexByName": order,
                    "renameByName": {},
                },
            }
        )
    return steps


def _grouping(panel: Panel) -> Json:
    by: Json = {
        name: {"aggregations": [], "operation": "groupby"} for name in panel.counted
    }
    return by | {"station": {"aggregations": ["count"], "operation": "aggregate"}}


def place_panels(panels: Sequence[Panel], language: int) -> list[Json]:
    """Place panels from left to right; start a new row if the next does not fit."""
    x = y = tallest = 0
    placed = []
    for panel in panels:
        if x + panel.display.width > 24:
            x, y, tallest = 0, y + tallest, 0
        placed.append(panel_json(panel, language, x, y))
        x, tallest = x + panel.display.width, max(tallest, panel.display.height)
    return placed
