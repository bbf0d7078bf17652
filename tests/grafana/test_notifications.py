"""Tests of contact points, notification policies and message templates."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from grafana.alerts.notifications import ENVIRONMENT
from grafana.boards.board import LANGUAGES
from tests.grafana.evaluator import duration_s
from tests.grafana.test_alerts import FILES, RULES
from tests.support.requirement import require

GO = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
DEPLOYMENT = Path(__file__).parents[2] / "docs" / "noc" / "grafana.md"


def _file(name: str) -> Any:
    return FILES[f"provisioning/alerting/{name}.yaml"]


CONTACTS = {c["name"]: c for c in _file("contact-points")["contactPoints"]}
(TREE,) = _file("policies")["policies"]


def _route(labels: dict[str, str]) -> dict[str, Any]:
    """Return the first route whose matchers all match, or the root."""
    for route in TREE["routes"]:
        if all(_matches(labels, *matcher) for matcher in route["object_matchers"]):
            return dict(route)
    return dict(TREE)


def _matches(labels: dict[str, str], name: str, how: str, wanted: str) -> bool:
    value = labels.get(name, "")
    if how == "=":
        return value == wanted
    assert how == "=~"
    return re.fullmatch(wanted, value) is not None


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_every_rule_reaches_the_right_team(rule: dict[str, Any]) -> None:
    """Field alerts reach the NOC, others the platform team."""
    labels = {**rule["labels"], "alertname": rule["title"]}
    route = _route(labels)
    if labels["alert"] == "heartbeat":
        assert route["receiver"] == "heartbeat"
    elif labels["team"] == "platform":
        assert route["receiver"] == "platform"
    else:
        assert route["receiver"] == "noc"


@pytest.mark.parametrize("name", ["DatasourceError", "DatasourceNoData"])
def test_failed_data_source_reaches_the_platform_team(name: str) -> None:
    """Grafana's own alerts reach it despite the labels of the rule."""
    labels = {"alertname": name, "severity": "critical", "team": "field", "zone": "wib"}
    assert _route(labels)["receiver"] == "platform"


def test_policy_tree_is_valid() -> None:
    """Receivers and mute timings exist; the root matches all and is never muted."""
    assert not {"object_matchers", "mute_time_intervals", "matchers"} & set(TREE)
    for route in (TREE, *TREE["routes"]):
        assert route["receiver"] in CONTACTS
        for key in ("group_wait", "group_interval", "repeat_interval"):
            assert duration_s(route[key]) >= 0
        assert duration_s(route["repeat_interval"]) >= duration_s(
            route["group_interval"]
        )


def test_contact_points_are_of_the_environment() -> None:
    """Files contain no address, token or chat, and each variable is documented."""
    text = json.dumps(list(CONTACTS.values()))
    used = set(re.findall(r"\$(QOS_[A-Z_]+)", text))
    assert used == set(ENVIRONMENT)
    assert "http://" not in text
    assert "https://" not in text
    page = DEPLOYMENT.read_text(encoding="utf-8")
    assert all(name in page for name in used)
    uids = [r["uid"] for contact in CONTACTS.values() for r in contact["receivers"]]
    assert len(uids) == len(set(uids))


VALUES = {
    "open": 1.0,
    "notify": 1.0,
    "affected": 17.0,
    "stations": 19.0,
    "since": 7.05,
    "beats": 0.0,
    "failures": 1.0,
    "behind": 600.0,
    "counted": 0.0,
    "wrong": 2.0,
    "late": 31.4,
}
REGENCY = {"level": "regency", "place": "6471", "province": "64"}


def _alert(rule: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return an alert of a rule as Grafana passes it to a template."""
    is_trouble = rule["labels"]["team"] == "field"
    is_province = rule["labels"]["alert"] == "census-missing"
    labels = {**rule["labels"], "alertname": rule["title"], "collector": "db-1"}
    labels |= {"part": "gateway", "name": "noc-1"}
    labels |= {"province": "64"} if is_province else {}
    if is_trouble:
        labels |= {**REGENCY, "operator": "xl", "severity": "critical"}
    return {
        "Labels": labels | more.get("labels", {}),
        "Annotations": rule["annotations"] | more.get("annotations", {}),
        "Values": {
            name: {"Value": number}
            for name, number in (VALUES | more.get("values", {})).items()
        },
    }


def _message(
    firing: list[dict[str, Any]], resolved: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "CommonLabels": (firing or resolved)[0]["Labels"],
        "ExternalURL": "http://grafana/",
        "Alerts": {"Firing": firing, "Resolved": resolved},
    }


@pytest.fixture(scope="session")
def renderer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the program that renders templates like Grafana."""
    require(GO is not None, "go, which renders the templates", "install Go")
    folder = tmp_path_factory.mktemp("render")
    source = Path(__file__).with_name("render.go.txt").read_text(encoding="utf-8")
    (folder / "main.go").write_text(source, encoding="utf-8")
    build = [str(GO), "build", "-o", "render", "main.go"]
    subprocess.run(build, cwd=folder, check=True)
    (text,) = [t["template"] for t in _file("templates")["templates"]]
    (folder / "qos.tmpl").write_text(text, encoding="utf-8")
    return folder / "render"


def _rendered(renderer: Path, name: str, data: dict[str, Any]) -> str:
    result = subprocess.run(
        [renderer, renderer.with_name("qos.tmpl"), name],
        check=True,
        text=True,
        input=json.dumps(data),
        capture_output=True,
    )
    return result.stdout


TELEGRAM_MAX = 4096
# Words of the other language, which must not be in a message.
FOREIGN = {"en": ("sejak", "Telepon", " di "), "id": ("since", "Call", " in ")}


@pytest.mark.slow
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_messages_of_every_rule_are_complete(
    renderer: Path, rule: dict[str, Any], language: str
) -> None:
    """Firing, resolved and failed: short, in one language, without placeholders."""
    ended = _alert(rule, annotations={"grafana_state_reason": "MissingSeries"})
    failed = _alert(rule, labels={"alertname": "DatasourceError"})
    for firing, resolved in (
        ([_alert(rule)], []),
        ([_alert(rule)] * 500, [ended]),
        ([], [_alert(rule, values={"open": 0.0})]),
        ([failed] * 256, []),
    ):
        data = _message(firing, resolved)
        for name in ("title", "message"):
            text = _rendered(renderer, f"qos.{name}.{language}", data)
            assert text.strip()
            assert len(text) < TELEGRAM_MAX
            assert not re.search(r"no value|%!|\\$|{{|LANG", text)
            assert not any(word in text for word in FOREIGN[language])


@pytest.mark.slow
def test_the_first_line_is_for_a_phone_at_night(renderer: Path) -> None:
    """It has severity, problem, operator, place, beginning and number; then the act."""
    alert = _alert(RULES["qos-outage-operator"])
    english = _rendered(renderer, "qos.message.en", _message([alert], []))
    assert english.splitlines() == [
        (
            "CRITICAL One operator down while others work XL in Kota Balikpapan: "
            "since 07.05 local time; 17 / 19 stations"
        ),
        "Call the operator's NOC now.",
        "http://grafana/d/qos-region-en?var-province=64&var-regency=6471",
    ]
    indonesian = _rendered(renderer, "qos.message.id", _message([alert], []))
    assert indonesian.splitlines()[0] == (
        "CRITICAL Satu operator down sementara yang lain berfungsi XL di Kota "
        "Balikpapan: sejak 07.05 waktu setempat; 17 / 19 TPS"
    )


@pytest.mark.slow
def test_a_trouble_that_gets_worse_is_not_ended(renderer: Path) -> None:
    """The message about the higher severity does not report an end of the lower."""
    rule = RULES["qos-silent"]
    before = _alert(rule, labels={"severity": "warning"}, values={"open": -1.0})
    text = _rendered(renderer, "qos.message.en", _message([_alert(rule)], [before]))
    assert "CRITICAL" in text
    assert "ENDED" not in text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("notify", "first"),
    [(-1.0, "ACKNOWLEDGED, no more reminders:"), (0.0, "NOT FIXED, but no more")],
)
def test_an_open_trouble_is_never_reported_as_ended(
    renderer: Path, notify: float, first: str
) -> None:
    """An acknowledgement and the end of counting stop the alert, not the trouble."""
    alert = _alert(RULES["qos-silent"], values={"notify": notify})
    for name in ("title", "message"):
        text = _rendered(renderer, f"qos.{name}.en", _message([], [alert]))
        assert text.startswith(first)
        assert "ENDED" not in text
    ended = _alert(RULES["qos-silent"], values={"open": 0.0, "notify": notify})
    text = _rendered(renderer, "qos.title.en", _message([], [ended]))
    assert text.startswith("ENDED Silent stations XL in Kota Balikpapan")


@pytest.mark.slow
def test_a_failed_database_is_one_line(renderer: Path) -> None:
    """256 failed rules make one short message."""
    failed = _alert(RULES["qos-silent"], labels={"alertname": "DatasourceError"})
    text = _rendered(renderer, "qos.message.en", _message([failed] * 256, []))
    assert text.splitlines()[0] == (
        "CRITICAL Grafana cannot query InfluxDB. Alerts and boards are blind."
    )


def test_message_links_the_page_in_its_language() -> None:
    """E-mail and Telegram link the page of the alert in the configured language."""
    settings = [r["settings"] for r in CONTACTS["noc"]["receivers"]]
    texts = [s["message"] for s in settings if "message" in s]
    assert len(texts) == 2
    for text in texts:
        assert 'if eq "$QOS_ALERT_LANGUAGE" "id" }}id/{{ end }}' in text
        assert '{{ template "qos.message.$QOS_ALERT_LANGUAGE" . }}' in text
