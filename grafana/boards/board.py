"""A dashboard: its panels, variables, links to other dashboards and phase markers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from grafana.panels import RAW, ROLLUP, Json, Panel, Text, place_panels
from grafana.queries import worst_regencies

LANGUAGES = ("en", "id")
_TIME = "${__url_time_range}"
_FIND = ("Find a station", "Cari TPS")
_WALL = ("Full screen", "Layar penuh")
_WALL_TOOLTIP = (
    "Show without menus, for a wall display",
    "Tampilkan tanpa menu, untuk layar dinding",
)


@dataclass(frozen=True, slots=True)
class Board:
    """A dashboard: name in its address, title, variables and panels.

    `start` is the beginning of the time range that is shown first.
    """

    name: str
    title: Text
    variables: tuple[str, ...]
    panels: tuple[Panel, ...]
    start: str = "now-3h"


def link(title: Text, board: str, *variables: str) -> Json:
    """Return a link to another dashboard. LANG stands for the language."""
    query = "".join(f"{variable}&" for variable in variables)
    return {
        "title": title,
        "url": f"/d/qos-{board}-LANG?{query}{_TIME}",
        "targetBlank": False,
    }


# Links of table cells. They pass on values of their row.
TO_REGION = link(
    ("Open the stations of this regency", "Buka TPS di kabupaten/kota ini"),
    "region",
    "var-regency=${__value.raw}",
)
TO_PROVINCE = link(
    ("Open this province", "Buka provinsi ini"),
    "region",
    "var-province=${__value.raw}",
)
TO_PLACE = link(
    ("Open this place", "Buka tempat ini"),
    "region",
    "var-province=${__data.fields.province}",
)
TO_STATION = link(
    ("Open this station", "Buka TPS ini"),
    "station",
    "var-regency=${__data.fields.regency}",
    "var-station=${__value.raw}",
)
TO_OPERATORS = link(
    ("Open the operators of this province", "Buka operator di provinsi ini"),
    "operators",
    "var-province=${__data.fields.province}",
)
TO_AGENTS = link(
    ("Open the agents of this province", "Buka agen di provinsi ini"),
    "agents",
    "var-province=${__value.raw}",
)


@dataclass(frozen=True, slots=True)
class Variable:
    """A tag whose values the user can select; with `single`, only one at a time."""

    title: Text
    source: str
    measurement: str
    tag: str
    where: str = ""
    single: bool = False


_IN_PROVINCE = ' WHERE "province" =~ /^${province:regex}$/'
_IN_REGENCY = ' WHERE "regency" =~ /^${regency:regex}$/'
_OF_STATION = ' WHERE "station" =~ /^${station:regex}$/'
_REGENCY = ("Regency", "Kabupaten/Kota")
VARIABLES = {
    "province": Variable(("Province", "Provinsi"), ROLLUP, "census", "province"),
    "regency": Variable(_REGENCY, ROLLUP, "census", "regency", _IN_PROVINCE),
    # There are 823,000 stations, so a list of devices is limited to one regency.
    "place": Variable(
        ("Devices of regency", "Perangkat di kabupaten/kota"),
        ROLLUP,
        "census",
        "regency",
        _IN_PROVINCE,
        single=True,
    ),
    "home": Variable(_REGENCY, ROLLUP, "census", "regency", single=True),
    "station": Variable(
        ("Station", "TPS"), RAW, "agent", "station", _IN_REGENCY, single=True
    ),
    "link": Variable(("Link", "Link"), RAW, "latency", "link", _OF_STATION),
}
# The station dashboard calls this variable `regency` too.
_NAMES = {"home": "regency"}


def board_json(board: Board, language: int) -> dict[str, Any]:
    """Return the dashboard in one language."""
    suffix = LANGUAGES[language]
    return {
        "uid": f"qos-{board.name}-{suffix}",
        "title": board.title[language],
        "tags": ["qos", suffix],
        "schemaVersion": 37,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "timezone": "browser",
        "refresh": "1m",
        "time": {"from": board.start, "to": "now"},
        "templating": {"list": [_variable(name, language) for name in board.variables]},
        "annotations": {"list": [_phases(language)]},
        "links": [
            {
                "type": "dashboards",
                "tags": ["qos", suffix],
                "title": "QoS",
                "asDropdown": True,
                "keepTime": True,
                "includeVars": True,
            },
            {
                "type": "link",
                "icon": "search",
                "title": _FIND[language],
                "url": f"/d/qos-find-{suffix}?",
                "keepTime": True,
            },
            {
                "type": "link",
                "title": _WALL[language],
                "tooltip": _WALL_TOOLTIP[language],
                "url": f"/d/qos-{board.name}-{suffix}?kiosk&refresh=1m",
                "keepTime": True,
                "includeVars": True,
            },
        ],
        "panels": [
            _translate_links(panel, language)
            for panel in place_panels(board.panels, language)
        ],
    }


def _translate_links(panel: Json, language: int) -> Json:
    """Set the titles and targets of the links to the language."""
    for override in panel["fieldConfig"]["overrides"]:
        for entry in override["properties"]:
            if entry["id"] == "links":
                entry["value"] = [
                    target
                    | {
                        "title": target["title"][language],
                        "url": target["url"].replace("LANG", LANGUAGES[language]),
                    }
                    for target in entry["value"]
                ]
    # Copy, so that no list or dictionary is shared with the other language.
    copy: Json = json.loads(json.dumps(panel))
    return copy


def _variable(name: str, language: int) -> Json:
    if name == "source":
        return _source(language)
    if name == "search":
        return _search(language)
    if name == "worst":
        return _worst()
    variable = VARIABLES[name]
    definition: Json = {
        "name": _NAMES.get(name, name),
        "label": variable.title[language],
        "type": "query",
        "datasource": {"type": "influxdb", "uid": variable.source},
        "query": (
            f'SHOW TAG VALUES FROM "{variable.measurement}" '
            f'WITH KEY = "{variable.tag}"{variable.where}'
        ),
        "refresh": 2,
        "sort": 1,
        "multi": not variable.single,
        "includeAll": not variable.single,
    }
    if not variable.single:
        definition["allValue"] = ".*"
        definition["current"] = {"text": "All", "value": "$__all"}
    return definition


def _source(language: int) -> Json:
    names = {ROLLUP: ("roll-ups", "agregat"), RAW: ("raw data", "data mentah")}
    return {
        "name": "source",
        "label": ("Data source", "Sumber data")[language],
        "type": "custom",
        "query": ",".join(f"{names[u][language]} : {u}" for u in names),
        "options": [
            {"text": names[uid][language], "value": uid, "selected": uid == ROLLUP}
            for uid in names
        ],
        "current": {"text": names[ROLLUP][language], "value": ROLLUP},
    }


def _worst() -> Json:
    """Return the hidden variable with the twenty worst regencies of the selection.

    Grafana 9.3 replaces the first time filter of a variable only. With no regency the
    value is empty, which matches no regency.
    """
    return {
        "name": "worst",
        "type": "query",
        "hide": 2,
        "datasource": {"type": "influxdb", "uid": ROLLUP},
        "query": worst_regencies(20),
        "refresh": 2,
        "sort": 0,
        "multi": True,
        "includeAll": True,
        "current": {"text": "All", "value": "$__all"},
    }


def _search(language: int) -> Json:
    return {
        "name": "search",
        "label": ("Code or name", "Kode atau nama")[language],
        "type": "textbox",
        "query": "",
        "current": {"text": "", "value": ""},
        "options": [{"text": "", "value": "", "selected": True}],
    }


def _phases(language: int) -> Json:
    """Mark the start of each phase, from the calendar that the census writes."""
    query: Json = {
        "query": (
            'SELECT "title", "text", "end_ms" FROM "calendar" '
            "WHERE $timeFilter LIMIT 100"
        ),
        "titleColumn": "title",
        "textColumn": "text",
        "timeEndColumn": "end_ms",
    }
    return {
        "name": ("Phases", "Fase")[language],
        "enable": True,
        "iconColor": "purple",
        "datasource": {"type": "influxdb", "uid": ROLLUP},
        "target": {
            "refId": "Anno",
            "fromAnnotations": True,
            "rawQuery": True,
            "resultFormat": "table",
            **query,
        },
        **query,
    }
