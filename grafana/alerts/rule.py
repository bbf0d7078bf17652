"""Alert rules in the format of Grafana 9.3 to 13.

A rule has queries, reduces each to one number, and combines these in one condition.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from grafana.panels import ROLLUP, Json, Text
from qos_agent.noc.troubles.limits import Limit

EXPRESSION = "__expr__"
FOLDER = "Election QoS alerts"
# Grafana expands this variable in annotations, but 9.3 does not. The messages contain
# the address too.
DOCS = "${QOS_DOCS_URL}"
_SHORT = {"warning": "warn", "critical": "crit", "none": "none"}
_BOARD = "qos-region-LANG?var-province={{ $labels.province }}"


@dataclass(frozen=True, slots=True)
class Window:
    """A time range before the evaluation, by time of measurement."""

    from_s: int
    to_s: int = 0


@dataclass(frozen=True, slots=True)
class AlertQuery:
    """A named number of a rule: its query, time window and reducer."""

    name: str
    query: str
    window: Window
    reducer: str = "last"


@dataclass(frozen=True, slots=True)
class Alert:
    """A type of alert with one rule for each of its severities.

    `condition` is an expression for Grafana on the names of the queries, with {limit}.
    `panel` is a dashboard and the id of its panel. `team` is who acts: field or
    platform. `action` is the second line of a message. A trouble has one rule, and its
    severity is a label of each instance.
    """

    name: str
    title: Text
    summary: Text
    queries: tuple[AlertQuery, ...]
    condition: str
    panel: tuple[str, int]
    team: str = "field"
    no_data: str = "OK"
    exec_error: str = "Error"
    labels: tuple[str, ...] = ()
    action: Text = ("", "")
    severities: tuple[str, ...] = ()


def trouble_rule(alert: Alert) -> Json:
    """Return the rule of a trouble; the severity comes from its points."""
    return _rule(alert, f"qos-{alert.name}", alert.title[0], "0m", alert.condition, {})


def rule_json(alert: Alert, limit: Limit) -> Json:
    """Return the rule of an alert of the platform team at one severity."""
    return _rule(
        alert,
        f"qos-{alert.name}-{_SHORT[limit.severity]}-nation",
        f"{alert.title[0]}, {limit.severity}: Indonesia",
        f"{limit.wait_min}m",
        alert.condition.format(limit=f"{limit.limit:g}"),
        {"severity": limit.severity},
    )


def _rule(
    alert: Alert, uid: str, title: str, wait: str, condition: str, labels: Json
) -> Json:
    board, panel = alert.panel
    return {
        "uid": uid,
        "title": title,
        "condition": "alert",
        "for": wait,
        "noDataState": alert.no_data,
        "execErrState": alert.exec_error,
        "dashboardUid": f"qos-{board}-en",
        "panelId": panel,
        "labels": {"alert": alert.name, "team": alert.team} | labels,
        "annotations": _annotations(alert),
        "data": [
            *(_query(query) for query in alert.queries),
            *(_reduce(query) for query in alert.queries),
            _expression("fires", "math", {"expression": condition}),
            _threshold(),
        ],
    }


def _annotations(alert: Alert) -> Json:
    board, panel = alert.panel
    texts = {
        "title": alert.title,
        "summary": alert.summary,
        "action": alert.action,
    }
    annotations: Json = {}
    for name, (english, indonesian) in texts.items():
        if english:
            annotations |= {name: english, f"{name}_id": indonesian}
    annotations |= {
        "runbook_url": f"{DOCS}/{alert.name}.md",
        # Grafana 9.3 needs these for the links in a message.
        "__dashboardUid__": f"qos-{board}-en",
        "__panelId__": str(panel),
    }
    if alert.severities:
        annotations |= {"board": _board(), "continues": _continues()}
    return annotations


def _board() -> str:
    """Return the board of a trouble's place, with the right variables."""
    return (
        '{{ if eq $labels.level "regency" }}'
        f"{_BOARD}&var-regency={{{{ $labels.place }}}}"
        '{{ else if eq $labels.level "province" }}'
        f"{_BOARD}"
        "{{ else }}qos-overview-LANG{{ end }}"
    )


def _continues() -> str:
    """Return the reason why an alert ends although its trouble goes on, or nothing."""
    return (
        "{{ if lt $values.open.Value 0.0 }}severity{{ end }}"
        "{{ if gt $values.open.Value 0.0 }}"
        "{{ if lt $values.notify.Value 0.0 }}acknowledged{{ end }}"
        "{{ if eq $values.notify.Value 0.0 }}unwatched{{ end }}{{ end }}"
    )


def _query(query: AlertQuery) -> Json:
    return {
        "refId": f"{query.name}_series",
        "datasourceUid": ROLLUP,
        "relativeTimeRange": {"from": query.window.from_s, "to": query.window.to_s},
        "model": {
            "refId": f"{query.name}_series",
            "datasource": {"type": "influxdb", "uid": ROLLUP},
            "rawQuery": True,
            "resultFormat": "time_series",
            "query": query.query,
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
