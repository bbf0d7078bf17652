"""Notifications: contact points, notification policies and message templates.

Grafana expands environment variables in the settings of contact points in every
version, but never in templates or mute timings. Every variable must be set: a contact
point without an address stops Grafana from starting.
"""

from __future__ import annotations

from typing import Any

from grafana.alerts import mute_timings
from grafana.panels import Json
from qos_agent.config.places import provinces, regencies
from qos_agent.model.calendar import ZONES

ENVIRONMENT = {
    "QOS_ALERT_WEBHOOK_URL": "URL that receives the NOC's alerts as JSON",
    "QOS_ALERT_EMAIL": "e-mail addresses of the NOC, separated by ;",
    "QOS_TELEGRAM_TOKEN": "token of the NOC's Telegram bot",
    "QOS_TELEGRAM_CHAT": "id of the Telegram chat for the bot's messages",
    "QOS_PLATFORM_EMAIL": "e-mail addresses of the platform team",
    "QOS_HEARTBEAT_URL": "URL of an outside service that alerts if messages stop",
    "QOS_DOCS_URL": "address of docs/operations, without a slash at the end",
}
MAX_SHOWN = 3
_GROUP = ["alert", "severity", "area"]
_PAGE = (
    "EN $QOS_DOCS_URL/{{ .CommonLabels.alert }}.md\n"
    "ID $QOS_DOCS_URL/id/{{ .CommonLabels.alert }}.md"
)


def contact_points() -> list[Json]:
    """Return the contact points: NOC, platform team and outside heartbeat service."""
    mail = {
        "singleEmail": True,
        "subject": '{{ template "qos.title" . }}',
        "message": '{{ template "qos.message" . }}\n' + _PAGE,
    }
    telegram = {
        "bottoken": "$QOS_TELEGRAM_TOKEN",
        "chatid": "$QOS_TELEGRAM_CHAT",
        "message": '{{ template "qos.message" . }}\n' + _PAGE,
        # Without this, Telegram reads an ampersand in an address as markup.
        "parse_mode": "None",
    }
    webhook = {"httpMethod": "POST", "maxAlerts": "50"}
    return [
        _contact(
            "noc",
            ("webhook", webhook | {"url": "$QOS_ALERT_WEBHOOK_URL"}),
            ("email", mail | {"addresses": "$QOS_ALERT_EMAIL"}),
            ("telegram", telegram),
        ),
        _contact("platform", ("email", mail | {"addresses": "$QOS_PLATFORM_EMAIL"})),
        _contact("heartbeat", ("webhook", webhook | {"url": "$QOS_HEARTBEAT_URL"})),
    ]


def _contact(name: str, *channels: tuple[str, Json]) -> Json:
    receivers = [
        {
            "uid": f"qos-{name}-{kind}",
            "type": kind,
            "settings": settings,
            # The outside service must notice by itself that the heartbeat has ended.
            "disableResolveMessage": name == "heartbeat",
        }
        for kind, settings in channels
    ]
    return {"orgId": 1, "name": name, "receivers": receivers}


def policies() -> list[Json]:
    """Return the policy tree; the first route that matches receives the alert.

    The root receives everything else. Grafana's own alerts on a data source have the
    labels of the rule that failed, so their route is before those of the severities.
    """
    routes = [
        _route("heartbeat", [["alert", "=", "heartbeat"]], "0s", "1m", "5m"),
        _route(
            "platform",
            [["alertname", "=~", "DatasourceError|DatasourceNoData"]],
            "30s",
            "5m",
            "1h",
            group_by=["alertname"],
        ),
        _route("platform", [["team", "=", "platform"]], "10s", "1m", "30m"),
        _route("noc", [["severity", "=", "critical"]], "10s", "2m", "30m"),
        *(
            _route(
                "noc",
                [["severity", "=", "warning"], ["zone", "=", zone.lower()]],
                "30s",
                "5m",
                "2h",
                mute_time_intervals=[mute_timings.name(zone)],
            )
            for zone in ZONES
        ),
    ]
    root = {
        "orgId": 1,
        "receiver": "platform",
        "group_by": _GROUP,
        "group_wait": "30s",
        "group_interval": "5m",
        "repeat_interval": "4h",
        "routes": routes,
    }
    return [root]


def _route(
    receiver: str,
    matchers: list[list[str]],
    group_wait: str,
    group_interval: str,
    repeat_interval: str,
    **options: Any,
) -> Json:
    return {
        "receiver": receiver,
        "object_matchers": matchers,
        "group_by": _GROUP,
        "group_wait": group_wait,
        "group_interval": group_interval,
        "repeat_interval": repeat_interval,
        **options,
    }


def templates() -> list[Json]:
    """Return the message templates, in both languages.

    A message has the number of alerts, and the first few with the links of their
    panels. It does not list all: Telegram refuses a message with about 35 alerts.
    """
    text = f"{_place()}\n{_TITLE}\n{_PANEL}\n{_LINES}\n{_MESSAGE}"
    return [{"orgId": 1, "name": "qos", "template": text + "\n"}]


def _place() -> str:
    """Return a template of the places' names by code.

    Labels contain codes only, because the spelling of a name may change.
    """
    names = provinces() | {code: place.name for code, place in regencies().items()}
    choices = "".join(
        f'{{{{ if eq . "{code}" }}}}{name}{{{{ end }}}}' for code, name in names.items()
    )
    return f'{{{{ define "qos.place" }}}}{choices}{{{{ end }}}}'


_TITLE = (
    '{{ define "qos.title" }}'
    "{{ .CommonLabels.alert }} {{ .CommonLabels.severity }} {{ .CommonLabels.area }}: "
    "{{ len .Alerts.Firing }} firing / aktif, "
    "{{ len .Alerts.Resolved }} resolved / pulih"
    "{{ end }}"
)
# Rules link the English dashboard. The Indonesian one has the same panels.
_PANEL = (
    '{{ define "qos.panel" }}'
    "{{ if .PanelURL }}\n  EN {{ .PanelURL }}"
    '\n  ID {{ reReplaceAll "-en([/?])" "-id?" .PanelURL }}'
    "{{ end }}{{ end }}"
)
_LINES = (
    '{{ define "qos.lines" }}'
    f"{{{{ range $i, $a := . }}}}{{{{ if lt $i {MAX_SHOWN} }}}}"
    '\n- {{ with $a.Labels.regency }}{{ template "qos.place" . }}: {{ end }}'
    "{{ $a.Annotations.summary }}"
    "\n  {{ $a.Annotations.summary_id }}"
    "{{ if $a.Annotations.grafana_state_reason }}"
    "\n  No more data, NOT fixed. / Tidak ada data lagi, BELUM pulih. "
    "({{ $a.Annotations.grafana_state_reason }}){{ end }}"
    '{{ template "qos.panel" $a }}'
    "{{ end }}{{ end }}"
    f"{{{{ if gt (len .) {MAX_SHOWN} }}}}\n  ... {{{{ len . }}}} "
    "in total / seluruhnya{{ end }}"
    "{{ end }}"
)
_MESSAGE = (
    '{{ define "qos.message" }}'
    '{{ template "qos.title" . }}'
    "{{ if .Alerts.Firing }}\nFIRING / AKTIF "
    "{{ len .Alerts.Firing }}"
    '{{ template "qos.lines" .Alerts.Firing }}{{ end }}'
    "{{ if .Alerts.Resolved }}\nRESOLVED / PULIH "
    "{{ len .Alerts.Resolved }}"
    '{{ template "qos.lines" .Alerts.Resolved }}{{ end }}'
    "{{ end }}"
)
