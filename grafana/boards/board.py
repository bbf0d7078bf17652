"""A board around its panels: variables, links to the others, the election's phases."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from grafana.panels import RAW, ROLLUP, Json, Panel, Words, flow

LANGUAGES = ("en", "id")
_TIME = "${__url_time_range}"


@dataclass(frozen=True, slots=True)
class Board:
    """One board: its name in addresses, title, the variables it asks for, panels.

    `back` is the stretch of time it opens with.
    """

    name: str
    title: Words
    variables: tuple[str, ...]
    panels: tuple[Panel, ...]
    back: str = "now-3h"


def link(title: Words, board: str, *variables: str) -> Json:
    """A link to another board; LANG and titles are chosen with the language."""
    asked = "".join(f"{variable}&" for variable in variables)
    return {
        "title": title,
        "url": f"/d/qos-{board}-LANG?{asked}{_TIME}",
        "targetBlank": False,
    }


# From the cell of a regency, an operator or a station, with what its row says.
TO_REGION = link(
    ("Stations there", "TPS di sana"), "region", "var-regency=${__value.raw}"
)
TO_STATION = link(
    ("This station", "TPS ini"),
    "station",
    "var-regency=${__data.fields.regency}",
    "var-station=${__value.raw}",
)
TO_OPERATORS = link(
    ("Operators of the province", "Operator di provinsi"),
    "operators",
    "var-province=${__data.fields.province}",
)
TO_AGENTS = link(
    ("Agents of the province", "Agen di provinsi"),
    "agents",
    "var-province=${__value.raw}",
)


@dataclass(frozen=True, slots=True)
class Variable:
    """A tag whose values a board lets one choose; `one` allows no other than one."""

    title: Words
    source: str
    measurement: str
    tag: str
    where: str = ""
    one: bool = False


_IN_PROVINCE = ' WHERE "province" =~ /^${province:regex}$/'
_IN_REGENCY = ' WHERE "regency" =~ /^${regency:regex}$/'
_OF_STATION = ' WHERE "station" =~ /^${station:regex}$/'
_REGENCY = ("Regency", "Kabupaten/Kota")
VARIABLES = {
    "province": Variable(("Province", "Provinsi"), ROLLUP, "census", "province"),
    "regency": Variable(_REGENCY, ROLLUP, "census", "regency", _IN_PROVINCE),
    # Of all stations there are 823,000: a list of names is of one regency's.
    "place": Variable(
        ("Devices in", "Perangkat di"), ROLLUP, "census", "regency", _IN_PROVINCE, True
    ),
    "home": Variable(_REGENCY, ROLLUP, "census", "regency", one=True),
    "station": Variable(
        ("Station", "TPS"), RAW, "agent", "station", _IN_REGENCY, one=True
    ),
    "link": Variable(("Link", "Link"), RAW, "latency", "link", _OF_STATION),
}
# The station's board has the regency of its station, and that one alone.
_NAMES = {"home": "regency"}


def board_json(board: Board, language: int) -> dict[str, Any]:
    """A board in one language."""
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
        "time": {"from": board.back, "to": "now"},
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
                "title": ("Wall", "Layar")[language],
                "tooltip": ("Without menus, for a wall", "Tanpa menu, untuk layar")[
                    language
                ],
                "url": f"/d/qos-{board.name}-{suffix}?kiosk&refresh=1m",
                "keepTime": True,
                "includeVars": True,
            },
        ],
        "panels": [
            _in_language(panel, language) for panel in flow(board.panels, language)
        ],
    }


def _in_language(panel: Json, language: int) -> Json:
    """Links say their titles in the language, and lead to boards of it."""
    for override in panel["fieldConfig"]["overrides"]:
        for each in override["properties"]:
            if each["id"] == "links":
                each["value"] = [
                    to
                    | {
                        "title": to["title"][language],
                        "url": to["url"].replace("LANG", LANGUAGES[language]),
                    }
                    for to in each["value"]
                ]
    made: Json = json.loads(json.dumps(panel))
    return made


def _variable(name: str, language: int) -> Json:
    if name == "source":
        return _source(language)
    asked = VARIABLES[name]
    made: Json = {
        "name": _NAMES.get(name, name),
        "label": asked.title[language],
        "type": "query",
        "datasource": {"type": "influxdb", "uid": asked.source},
        "query": (
            f'SHOW TAG VALUES FROM "{asked.measurement}" '
            f'WITH KEY = "{asked.tag}"{asked.where}'
        ),
        "refresh": 2,
        "sort": 1,
        "multi": not asked.one,
        "includeAll": not asked.one,
    }
    if not asked.one:
        made |= {"allValue": ".*", "current": {"text": "All", "value": "$__all"}}
    return made


def _source(language: int) -> Json:
    words = {ROLLUP: ("sums", "jumlah"), RAW: ("raw", "mentah")}
    return {
        "name": "source",
        "label": ("Data", "Data")[language],
        "type": "custom",
        "query": ",".join(f"{words[u][language]} : {u}" for u in words),
        "options": [
            {"text": words[uid][language], "value": uid, "selected": uid == ROLLUP}
            for uid in words
        ],
        "current": {"text": words[ROLLUP][language], "value": ROLLUP},
    }


def _phases(language: int) -> Json:
    """Where each phase begins; from the calendar, which the census writes."""
    own: Json = {
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
            **own,
        },
        **own,
    }
