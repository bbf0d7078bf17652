"""Who is told, when again, and in which words: contact points, policies, templates.

Settings of contact points are expanded from the environment in every version; templates
and mute timings never are. Every variable must be set: a contact point without an
address stops Grafana from starting.
"""

from __future__ import annotations

from typing import Any

from grafana.alerts import mute
from grafana.panels import Json
from qos_agent.config.places import provinces, regencies
from qos_agent.model.calendar import ZONES

ENVIRONMENT = {
    "QOS_ALERT_WEBHOOK_URL": "where alerts for the NOC are posted as JSON",
    "QOS_ALERT_EMAIL": "the NOC's e-mail addresses, separated by ;",
    "QOS_TELEGRAM_TOKEN": "the token of the NOC's Telegram bot",
    "QOS_TELEGRAM_CHAT": "the Telegram chat the bot writes to",
    "QOS_PLATFORM_EMAIL": "e-mail of those who run Grafana, InfluxDB and the census",
    "QOS_HEARTBEAT_URL": "an outside service that raises alarm when posts stop",
    "QOS_DOCS_URL": "where docs/operations is served, without a slash at the end",
}
SHOWN_AT_MOST = 3
_GROUP = ["alert", "severity", "area"]
_PAGE = "$QOS_DOCS_URL/{{ .CommonLabels.alert }}.md"


def contact_points() -> list[Json]:
    """The NOC by three ways, the platform team, and the outside heartbeat."""
    mail = {
        "singleEmail": True,
        "subject": '{{ template "qos.title" . }}',
        "message": '{{ template "qos.message" . }}\n' + _PAGE,
    }
    telegram = {
        "bottoken": "$QOS_TELEGRAM_TOKEN",
        "chatid": "$QOS_TELEGRAM_CHAT",
        "message": '{{ template "qos.message" . }}\n' + _PAGE,
        # An ampersand in an address is no markup.
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


def _contact(name: str, *ways: tuple[str, Json]) -> Json:
    receivers = [
        {
            "uid": f"qos-{name}-{kind}",
            "type": kind,
            "settings": settings,
            # A heartbeat that ends is for the outside to notice.
            "disableResolveMessage": name == "heartbeat",
        }
        for kind, settings in ways
    ]
    return {"orgId": 1, "name": name, "receivers": receivers}


def policies() -> list[Json]:
    """One tree; the first route that matches has the alert.

    The root takes what nobody thought of. Grafana's own alerts about a data source come
    with the labels of their rule, so their route stands before the severities.
    """
    routes = [
        _route("heartbeat", [["alert", "=", "heartbeat"]], "0s", "1m", "5m"),
        _route(
            "platform",
            [["alertname", "=~", "DatasourceError|DatasourceNoData"]],
            "30s", "5m", "1h", group_by=["alertname"],
        ),
        _route("platform", [["team", "=", "platform"]], "10s", "1m", "30m"),
        _route("noc", [["severity", "=", "critical"]], "10s", "2m", "30m"),
        *(
            _route(
                "noc",
                [["severity", "=", "warning"], ["zone", "=", zone.lower()]],
                "30s", "5m", "2h", mute_time_intervals=[mute.name(zone)],
            )
            for zone in ZONES
        ),
    ]  # fmt: skip
    root = {
        "orgId": 1, "receiver": "platform", "group_by": _GROUP, "group_wait": "30s",
        "group_interval": "5m", "repeat_interval": "4h", "routes": routes,
    }  # fmt: skip
    return [root]


def _route(
    receiver: str, matchers: list[list[str]], wait: str, again: str, repeat: str,
    **more: Any,
) -> Json:  # fmt: skip
    return {
        "receiver": receiver,
        "object_matchers": matchers,
        "group_by": _GROUP,
        "group_wait": wait,
        "group_interval": again,
        "repeat_interval": repeat,
        **more,
    }


def templates() -> list[Json]:
    """The messages: how many, the first few with their panel, in both languages.

    A count and not a list: a message of some 35 alerts is refused by Telegram.
    """
    text = f"{_place()}\n{_TITLE}\n{_PANEL}\n{_LINES}\n{_MESSAGE}"
    return [{"orgId": 1, "name": "qos", "template": text + "\n"}]


def _place() -> str:
    """Names by code: labels carry codes, for a name may be spelled anew."""
    names = provinces() | {code: place.name for code, place in regencies().items()}
    known = "".join(
        f'{{{{ if eq . "{code}" }}}}{name}{{{{ end }}}}' for code, name in names.items()
    )
    return f'{{{{ define "qos.place" }}}}{known}{{{{ end }}}}'


_TITLE = (
    '{{ define "qos.title" }}'
    "{{ .CommonLabels.alert }} {{ .CommonLabels.severity }} {{ .CommonLabels.area }}: "
    "{{ len .Alerts.Firing }} firing / aktif, "
    "{{ len .Alerts.Resolved }} resolved / pulih"
    "{{ end }}"
)
# Rules link the English board; the Indonesian one has the same panels.
_PANEL = (
    '{{ define "qos.panel" }}'
    '{{ if .PanelURL }}\n  EN {{ .PanelURL }}'
    '\n  ID {{ reReplaceAll "-en([/?])" "-id?" .PanelURL }}'
    "{{ end }}{{ end }}"
)  # fmt: skip
_LINES = (
    '{{ define "qos.lines" }}'
    f"{{{{ range $i, $a := . }}}}{{{{ if lt $i {SHOWN_AT_MOST} }}}}"
    '\n- {{ with $a.Labels.regency }}{{ template "qos.place" . }}: {{ end }}'
    "{{ $a.Annotations.summary }}"
    "\n  {{ $a.Annotations.summary_id }}"
    "{{ if $a.Annotations.grafana_state_reason }}"
    "\n  No data any more, NOT mended. / Tidak ada data lagi, BELUM pulih. "
    "({{ $a.Annotations.grafana_state_reason }}){{ end }}"
    '{{ template "qos.panel" $a }}'
    "{{ end }}{{ end }}"
    f"{{{{ if gt (len .) {SHOWN_AT_MOST} }}}}\n  ... {{{{ len . }}}} "
    "in all / seluruhnya{{ end }}"
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
