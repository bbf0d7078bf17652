"""Alert rules in the format of Grafana 9.3 to 13.

A rule has queries, reduces each to one number, and combines these in one condition.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from grafana.alerts.areas import Area
from grafana.alerts.limits import Limit
from grafana.panels import ROLLUP, Json, Text

EXPRESSION = "__expr__"
FOLDER = "Election QoS alerts"
# Grafana expands this variable in annotations, but 9.3 does not. The messages contain
# the address too.
DOCS = "${QOS_DOCS_URL}"
_SHORT = {"warning": "warn", "critical": "crit", "none": "none"}


@dataclass(frozen=True, slots=True)
class Window:
    """A time range before the evaluation, by time of measurement."""

    from_s: int
    to_s: int = 0


@dataclass(frozen=True, slots=True)
class AlertQuery:
    """A named number of a rule: its query, time window and reducer.

    WHERE_AREA in the query stands for the condition on the provinces of an area.
    """

    name: str
    query: str
    window: Window
    reducer: str = "last"


@dataclass(frozen=True, slots=True)
class Alert:
    """A type of alert; each area has a rule for each of its severities.

    `condition` is an expression for Grafana on the names of the queries, with {limit}
    and {min_count}. Critical rules also use the query `voting`. A `national` alert has
    one rule for the whole country. `panel` is a dashboard and the id of its panel.
    `team` is who acts: field or platform.
    """

    name: str
    title: Text
    summary: Text
    queries: Mapping[str, tuple[AlertQuery, ...]]
    condition: str
    panel: tuple[str, int]
    team: str = "field"
    voting: AlertQuery | None = None
    national: bool = False
    no_data: str = "OK"
    exec_error: str = "Error"
    labels: tuple[str, ...] = ("province", "regency")


def rule_json(alert: Alert, limit: Limit, area: Area | None) -> Json:
    """Return the rule of an alert in an area (None: the country) at one severity."""
    queries = alert.queries[limit.severity]
    condition = alert.condition.format(
        limit=f"{limit.limit:g}", min_count=f"{limit.min_count:g}"
    )
    if limit.severity == "critical" and alert.voting is not None:
        queries = (*queries, alert.voting)
        condition = f"{condition} && $voting == 1"
    place = area.title[0] if area else "Indonesia"
    name = area.name if area else "nation"
    board, panel = alert.panel
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
            *(_query(query, area) for query in queries),
            *(_reduce(query) for query in queries),
            _expression("fires", "math", {"expression": condition}),
            _threshold(),
        ],
    }


def _query(query: AlertQuery, area: Area | None) -> Json:
    return {
        "refId": f"{query.name}_series",
        "datasourceUid": ROLLUP,
        "relativeTimeRange": {"from": query.window.from_s, "to": query.window.to_s},
        "model": {
            "refId": f"{query.name}_series",
            "datasource": {"type": "influxdb", "uid": ROLLUP},
            "rawQuery": True,
            "resultFormat": "time_series",
            "query": query.query.replace("WHERE_AREA", area.where if area else ""),
        },
    }


def _reduce(query: AlertQuery) -> Json:
    return _expression(
        query.name,
        "reduce",
        {
            "expression": f"{query.name}_series",
            "reducer": query.reducer,
            "settings": {"mode": "dropNN"},
        },
    )


def _threshold() -> Json:
    above_0: dict[str, Any] = {"evaluator": {"type": "gt", "params": [0]}}
    return _expression(
        "alert", "threshold", {"expression": "fires", "conditions": [above_0]}
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
