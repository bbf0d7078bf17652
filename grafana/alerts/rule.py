"""A rule as Grafana 9.3 to 13 read it: queries, reduced to numbers, one condition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from grafana.alerts.areas import Area
from grafana.alerts.limits import Limit
from grafana.panels import ROLLUP, Json, Words

EXPRESSION = "__expr__"
FOLDER = "Election QoS alerts"
# Expanded by Grafana where a file's annotations are; the messages carry the page too.
DOCS = "${QOS_DOCS_URL}"
_SHORT = {"warning": "warn", "critical": "crit", "none": "none"}


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time before the evaluation, by the time of measurement."""

    from_s: int
    to_s: int = 0


@dataclass(frozen=True, slots=True)
class Ask:
    """One number an instance is judged by: its name, its query, over which time.

    The query has WHERE for the area's provinces.
    """

    name: str
    query: str
    window: Window
    reducer: str = "last"


@dataclass(frozen=True, slots=True)
class Alert:
    """One kind of alert, of which every area has its rules.

    `when` is Grafana's math over the names asked for, with {limit} and {least};
    `voting` is asked for by critical rules. `national` alerts have one rule. `shown`
    is a board and a panel of it; `team` who acts: field or platform.
    """

    name: str
    title: Words
    summary: Words
    asks: Mapping[str, tuple[Ask, ...]]
    when: str
    shown: tuple[str, int]
    team: str = "field"
    voting: Ask | None = None
    national: bool = False
    no_data: str = "OK"
    exec_error: str = "Error"
    labels: tuple[str, ...] = ("province", "regency")


def rule_json(alert: Alert, limit: Limit, area: Area | None) -> Json:
    """The rule of an alert in an area, at one severity."""
    asks = alert.asks[limit.severity]
    when = alert.when.format(limit=_number(limit.limit), least=_number(limit.least))
    if limit.severity == "critical" and alert.voting is not None:
        asks, when = (*asks, alert.voting), f"{when} && $voting == 1"
    place = area.title[0] if area else "Indonesia"
    name = area.name if area else "nation"
    board, panel = alert.shown
    return {
        "uid": f"qos-{alert.name}-{_SHORT[limit.severity]}-{name}",
        "title": f"{alert.title[0]}, {limit.severity}: {place}",
        "condition": "alert",
        "for": f"{limit.wait_min}m",
        "noDataState": alert.no_data,
        "execErrState": alert.exec_error,
        "dashboardUid": f"qos-{board}-en",
        "panelId": panel,
        "labels": {
            "alert": alert.name,
            "severity": limit.severity,
            "team": alert.team,
            "area": name,
            "zone": area.zone if area else "all",
        },
        "annotations": {
            "summary": alert.summary[0],
            "summary_id": alert.summary[1],
            "runbook_url": f"{DOCS}/{alert.name}.md",
        },
        "data": [
            *(_query(ask, area) for ask in asks),
            *(_reduce(ask) for ask in asks),
            _expression("fires", "math", {"expression": when}),
            _threshold(),
        ],
    }


def _number(value: float) -> str:
    return f"{value:g}"


def _query(ask: Ask, area: Area | None) -> Json:
    return {
        "refId": f"{ask.name}_series",
        "datasourceUid": ROLLUP,
        "relativeTimeRange": {"from": ask.window.from_s, "to": ask.window.to_s},
        "model": {
            "refId": f"{ask.name}_series",
            "datasource": {"type": "influxdb", "uid": ROLLUP},
            "rawQuery": True,
            "resultFormat": "time_series",
            "query": ask.query.replace("WHERE_AREA", area.where if area else ""),
        },
    }


def _reduce(ask: Ask) -> Json:
    return _expression(
        ask.name,
        "reduce",
        {
            "expression": f"{ask.name}_series",
            "reducer": ask.reducer,
            "settings": {"mode": "dropNN"},
        },
    )


def _threshold() -> Json:
    over: dict[str, Any] = {"evaluator": {"type": "gt", "params": [0]}}
    return _expression(
        "alert", "threshold", {"expression": "fires", "conditions": [over]}
    )


def _expression(name: str, kind: str, more: Json) -> Json:
    return {
        "refId": name,
        "datasourceUid": EXPRESSION,
        "relativeTimeRange": {"from": 600, "to": 0},
        "model": {
            "refId": name,
            "type": kind,
            "datasource": {"type": EXPRESSION, "uid": EXPRESSION},
            **more,
        },
    }
