"""Panels in Grafana's classic JSON, schema version 37: what 9.3 to 13 all read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from grafana.looks import (
    ABSENT,
    EXTRAS,
    NEUTRAL,
    STYLES,
    Json,
    Words,
    custom,
    geomap,
    level_mapping,
    named,
    no_value,
    steps,
)

__all__ = ["CHOSEN", "RAW", "ROLLUP", "Column", "Json", "Look", "Panel", "Query",
           "Words", "flow", "panel_json"]  # fmt: skip
ROLLUP = "qos-rollup"
RAW = "qos"
CHOSEN = "${source}"
_ROWS = frozenset({"table", "geomap"})


@dataclass(frozen=True, slots=True)
class Look:
    """Size on a grid of 24 columns, unit, and where degraded and bad begin.

    `limits` None is a neutral figure; `low` when less is worse; `floor` is the least
    value there can be, below which only absence lies. `age` bounds how old the newest
    value may be that is shown as current.
    """

    width: int
    height: int
    unit: str
    limits: tuple[float, float] | None = None
    low: bool = False
    age: str | None = None
    floor: float = 0.0
    levels: bool = False
    top: float | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """InfluxQL, what its series are called, and how they are drawn (see STYLES)."""

    text: str
    alias: Words = ("", "")
    style: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its field or tag, its title, how it is shown.

    `shown` is level (a class in words and colour), regency (by name), hidden, or
    nothing. `link` leads on from its cells; LANG stands for the language.
    """

    name: str
    title: Words
    unit: str = "none"
    shown: str = ""
    link: Json | None = None
    width: int | None = None


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel: id within its board, kind, title and description, queries.

    `sort` is the column of a table that stands first, the greatest on top. `merge`
    joins the rows of several queries by their tags; `counted` counts rows by columns.
    """

    id: int
    kind: str
    title: Words
    about: Words
    look: Look
    queries: tuple[Query, ...] = ()
    source: str = ROLLUP
    columns: tuple[Column, ...] = ()
    sort: str = ""
    merge: bool = False
    counted: tuple[str, ...] = ()


def panel_json(panel: Panel, language: int, x: int, y: int) -> Json:
    """The panel as Grafana reads it."""
    datasource = {"type": "influxdb", "uid": panel.source}
    made: Json = {
        "id": panel.id,
        "type": panel.kind,
        "title": panel.title[language],
        "description": panel.about[language],
        "gridPos": {"x": x, "y": y, "w": panel.look.width, "h": panel.look.height},
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
    if panel.look.age:
        made |= {"timeFrom": panel.look.age, "hideTimeOverride": panel.kind == "stat"}
    return made


def _target(panel: Panel, index: int, language: int) -> Json:
    query = panel.queries[index]
    made: Json = {
        "refId": "ABCDEFGH"[index],
        "datasource": {"type": "influxdb", "uid": panel.source},
        "rawQuery": True,
        "resultFormat": "table" if panel.kind in _ROWS else "time_series",
        "query": query.text,
    }
    alias = query.alias[language]
    return made | ({"alias": alias} if alias else {})


def _defaults(panel: Panel, language: int) -> Json:
    look = panel.look
    defaults: Json = {
        "unit": look.unit,
        "noValue": no_value(language),
        "thresholds": {
            "mode": "absolute",
            "steps": steps(look.limits, low=look.low, floor=look.floor),
        },
        "color": _color(panel),
        "links": [],
    }
    if look.levels:
        defaults["mappings"] = level_mapping(language)
    if look.top is not None:
        defaults |= {"min": look.floor, "max": look.top}
    style = custom(panel.kind, limited=look.limits is not None)
    return defaults | ({"custom": style} if style else {})


def _color(panel: Panel) -> Json:
    if panel.kind == "state-timeline" and panel.look.levels:
        # By thresholds a merged bar would lose its mapping: every class one colour.
        return {"mode": "fixed", "fixedColor": ABSENT}
    if panel.kind != "timeseries" or panel.look.levels:
        return {"mode": "thresholds"}
    return {"mode": "palette-classic"}


def _series(panel: Panel, language: int) -> list[Json]:
    """What is drawn otherwise than the panel's usual, by the name of the series."""
    made = []
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
            {"id": name, "value": value} for name, value in STYLES[query.style].items()
        ]
        if query.style == "high":
            low = next(q.alias[language] for q in panel.queries if q.style == "low")
            properties.append({"id": "custom.fillBelowTo", "value": low})
        made.append({"matcher": matcher, "properties": properties})
    return made


def _column(column: Column, language: int) -> Json:
    """The cells keep their field's name, so that links and the order find them."""
    properties: list[Json] = [
        {"id": "displayName", "value": column.title[language]},
        {"id": "unit", "value": column.unit},
    ]
    if column.shown == "level":
        properties += [
            {"id": "mappings", "value": level_mapping(language)},
            # 9.3 reads displayMode, later versions cellOptions.
            {"id": "custom.displayMode", "value": "color-background"},
            {"id": "custom.cellOptions", "value": {"type": "color-background"}},
        ]
    else:
        properties.append(
            {"id": "color", "value": {"mode": "fixed", "fixedColor": NEUTRAL}}
        )
    if column.shown == "regency":
        properties.append({"id": "mappings", "value": named()})
    if column.link is not None:
        properties.append({"id": "links", "value": [column.link]})
    if column.width is not None:
        properties.append({"id": "custom.width", "value": column.width})
    return {
        "matcher": {"id": "byName", "options": column.name},
        "properties": properties,
    }


def _options(panel: Panel, language: int) -> Json:
    if panel.kind == "geomap":
        return geomap(panel.sort)
    options = EXTRAS[panel.kind]
    if panel.kind == "table" and panel.sort:
        title = next(c.title for c in panel.columns if c.name == panel.sort)
        return options | {"sortBy": [{"displayName": title[language], "desc": True}]}
    return options


def _transformations(panel: Panel) -> list[Json]:
    """The order of columns is the backend's whim, and Time means nothing in sums."""
    made: list[Json] = []
    if panel.merge:
        # Rows are merged where all that they share is equal, and Time is not.
        no_time = {"exclude": {"names": ["Time"]}}
        made.append({"id": "filterFieldsByName", "options": no_time})
        made.append({"id": "merge", "options": {}})
    if panel.counted:
        made.append({"id": "groupBy", "options": {"fields": _grouping(panel)}})
    if panel.kind == "geomap":
        # Drawn in this order: the worst lies on top where markers overlap.
        worst_last = {"field": "class_level", "desc": False}
        made.append({"id": "sortBy", "options": {"fields": {}, "sort": [worst_last]}})
    if panel.kind == "table":
        hidden = {c.name: True for c in panel.columns if c.shown == "hidden"}
        if all(column.name != "Time" for column in panel.columns):
            hidden["Time"] = True
        order = {c.name: index for index, c in enumerate(panel.columns)}
        made.append(
            {
                "id": "organize",
                "options": {
                    "excludeByName": hidden,
                    "indexByName": order,
                    "renameByName": {},
                },
            }
        )
    return made


def _grouping(panel: Panel) -> Json:
    by: Json = {
        name: {"aggregations": [], "operation": "groupby"} for name in panel.counted
    }
    return by | {"station": {"aggregations": ["count"], "operation": "aggregate"}}


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
