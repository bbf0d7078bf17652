"""Notifications: contact points, notification policies and message templates.

Grafana expands environment variables in the settings of contact points in every
version, but never in templates or mute timings. Every variable must be set: a contact
point without an address stops Grafana from starting.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from grafana.boards.board import LANGUAGES
from grafana.panels import Json
from qos_agent.noc.troubles.places import place_names

ENVIRONMENT = {
    "QOS_ALERT_WEBHOOK_URL": "URL that receives the NOC's alerts as JSON",
    "QOS_ALERT_EMAIL": "e-mail addresses of the NOC, separated by ;",
    "QOS_TELEGRAM_TOKEN": "token of the NOC's Telegram bot",
    "QOS_TELEGRAM_CHAT": "id of the Telegram chat for the bot's messages",
    "QOS_PLATFORM_EMAIL": "e-mail addresses of the platform team",
    "QOS_HEARTBEAT_URL": "URL of an outside service that alerts if messages stop",
    "QOS_ALERT_LANGUAGE": "language of the messages: en or id",
    "QOS_DOCS_URL": "address of docs/operations, without a slash at the end",
}
MAX_SHOWN = 3
_GROUP = ["alert", "province"]
_LANGUAGE = "$QOS_ALERT_LANGUAGE"
_PAGE = (
    '$QOS_DOCS_URL/{{ if eq "$QOS_ALERT_LANGUAGE" "id" }}id/{{ end }}'
    "{{ .CommonLabels.alert }}.md"
)


def contact_points() -> list[Json]:
    """Return the contact points: NOC, platform team and outside heartbeat service."""
    mail = {
        "singleEmail": True,
        "subject": f'{{{{ template "qos.title.{_LANGUAGE}" . }}}}',
        "message": f'{{{{ template "qos.message.{_LANGUAGE}" . }}}}\n' + _PAGE,
    }
    telegram = {
        "bottoken": "$QOS_TELEGRAM_TOKEN",
        "chatid": "$QOS_TELEGRAM_CHAT",
        "message": f'{{{{ template "qos.message.{_LANGUAGE}" . }}}}\n' + _PAGE,
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
    labels of the rule that failed, so their route is before that of the troubles. A
    group is one cause in one province, so that one trouble is one message.
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
        _route("noc", [["team", "=", "field"]], "10s", "2m", "1h"),
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
    """Return the message templates, each in both languages.

    A message names the first few places. It does not list all: Telegram refuses a
    message with about 35 alerts.
    """
    text = "\n".join(part for language in (0, 1) for part in _texts(language))
    return [{"orgId": 1, "name": "qos", "template": text + "\n"}]


def _names(language: int) -> str:
    """Return a template of the places' names by code.

    Labels contain codes only, because the spelling of a name may change.
    """
    choices = "".join(
        f'{{{{ if eq . "{code}" }}}}{name}{{{{ end }}}}'
        for code, name in place_names(language).items()
    )
    return f'{{{{ define "qos.place.{LANGUAGES[language]}" }}}}{choices}{{{{ end }}}}'


# Grafana's own alerts if a query fails. They repeat the labels of the rule.
_OWN = '(eq {0} "DatasourceError") (eq {0} "DatasourceNoData")'
_FAILED = f"(or {_OWN.format('.Labels.alertname')})"
_FIRST_FAILED = f"(or {_OWN.format('(index . 0).Labels.alertname')})"
# The words of a message, in English and Indonesian.
_WORDS = {
    "critical": ("CRITICAL", "CRITICAL"),
    "warning": ("WARNING", "WARNING"),
    "ended": ("ENDED", "SELESAI"),
    "acknowledged": (
        "ACKNOWLEDGED, no more reminders:",
        "SUDAH DITANGANI, pengingat berhenti:",
    ),
    "unwatched": (
        "NOT FIXED, but no more messages after counting:",
        "BELUM PULIH, tetapi pesan berhenti setelah penghitungan:",
    ),
    "more": ("more", "lainnya"),
    "no data": (
        "No more data: NOT known to be fixed.",
        "Tidak ada data lagi: BELUM tentu pulih.",
    ),
    "error": (
        "Grafana cannot query InfluxDB. Alerts and boards are blind.",
        "Grafana gagal membaca InfluxDB. Alarm dan dashboard buta.",
    ),
    "in": ("in", "di"),
}


def _texts(language: int) -> Iterator[str]:
    """Yield the templates of one language."""
    name = LANGUAGES[language]
    words = {word: texts[language] for word, texts in _WORDS.items()}
    suffix = "_id" if language else ""
    yield _names(language)
    place = f'{{{{ template "qos.place.{name}" .Labels.place }}}}'
    province = f'{{{{ template "qos.place.{name}" .Labels.province }}}}'
    operator = (
        "{{ with .Labels.operator }}"
        '{{ if ne . "all" }}{{ toUpper . }} {{ end }}{{ end }}'
    )
    where = (
        f"{{{{ if .Labels.place }}}} {operator}{words['in']} {place}"
        f"{{{{ else if .Labels.province }}}} {words['in']} {province}{{{{ end }}}}"
    )
    yield _line_template(name, suffix, where, words)
    yield _severity_template(name, words)
    yield _end_template(name, words)
    yield _list_template(name, words["more"])
    yield _title_template(name)
    yield _message_template(name, suffix)


def _line_template(name: str, suffix: str, where: str, words: Mapping[str, str]) -> str:
    """Return one line about one alert; Grafana's own alerts have no figures."""
    return (
        f'{{{{ define "qos.line.{name}" }}}}'
        f"{{{{ if {_FAILED} }}}}{words['error']}{{{{ else }}}}"
        f"{{{{ .Annotations.title{suffix} }}}}{where}: "
        f"{{{{ .Annotations.summary{suffix} }}}}"
        "{{ if .Annotations.grafana_state_reason }} "
        f"{words['no data']}{{{{ end }}}}"
        "{{ end }}{{ end }}"
    )


def _severity_template(name: str, words: Mapping[str, str]) -> str:
    """Return the highest severity of some alerts."""
    return (
        f'{{{{ define "qos.severity.{name}" }}}}'
        f'{{{{ $worst := "{words["warning"]}" }}}}'
        f'{{{{ range . }}}}{{{{ if or (eq .Labels.severity "critical") {_FAILED} }}}}'
        f'{{{{ $worst = "{words["critical"]}" }}}}{{{{ end }}}}{{{{ end }}}}'
        "{{ $worst }}{{ end }}"
    )


def _end_template(name: str, words: Mapping[str, str]) -> str:
    """Return how an alert ended. Not every end is that of its trouble."""
    cases = "".join(
        f'{{{{ else if eq .Annotations.continues "{case}" }}}}{words[case]}'
        for case in ("acknowledged", "unwatched")
    )
    return (
        f'{{{{ define "qos.end.{name}" }}}}'
        f"{{{{ if not .Annotations.continues }}}}{words['ended']}{cases}"
        "{{ end }}{{ end }}"
    )


def _list_template(name: str, more: str) -> str:
    return (
        f'{{{{ define "qos.list.{name}" }}}}'
        f'{{{{ if {_FIRST_FAILED} }}}}{{{{ template "qos.line.{name}" (index . 0) }}}}'
        "{{ else }}"
        f"{{{{ range $i, $a := . }}}}{{{{ if lt $i {MAX_SHOWN} }}}}"
        f'{{{{ if $i }}}}\n{{{{ end }}}}{{{{ template "qos.line.{name}" $a }}}}'
        "{{ end }}{{ end }}"
        f"{{{{ if gt (len .) {MAX_SHOWN} }}}}\n+ {{{{ len (slice . {MAX_SHOWN}) }}}} "
        f"{more}{{{{ end }}}}{{{{ end }}}}{{{{ end }}}}"
    )


def _title_template(name: str) -> str:
    """Return the first line: severity, problem, place, beginning and number."""
    first = f'{{{{ template "qos.line.{name}" (index . 0) }}}}'
    return (
        f'{{{{ define "qos.title.{name}" }}}}'
        f'{{{{ with .Alerts.Firing }}}}{{{{ template "qos.severity.{name}" . }}}} '
        f"{first}{{{{ else }}}}{{{{ with .Alerts.Resolved }}}}"
        f'{{{{ template "qos.end.{name}" (index . 0) }}}} {first}'
        "{{ end }}{{ end }}{{ end }}"
    )


def _message_template(name: str, suffix: str) -> str:
    """Return a message: what, then the next step, the link, and what has ended."""
    return (
        f'{{{{ define "qos.message.{name}" }}}}'
        "{{ with .Alerts.Firing }}"
        f'{{{{ template "qos.severity.{name}" . }}}} '
        f'{{{{ template "qos.list.{name}" . }}}}'
        f"{{{{ with (index . 0).Annotations.action{suffix} }}}}\n{{{{ . }}}}"
        "{{ end }}"
        "{{ with (index . 0).Annotations.board }}"
        f'\n{{{{ $.ExternalURL }}}}d/{{{{ reReplaceAll "LANG" "{name}" . }}}}'
        "{{ end }}\n{{ end }}"
        '{{ range .Alerts.Resolved }}{{ if ne .Annotations.continues "severity" }}'
        f'{{{{ template "qos.end.{name}" . }}}} '
        f'{{{{ template "qos.line.{name}" . }}}}\n'
        "{{ end }}{{ end }}{{ end }}"
    )
