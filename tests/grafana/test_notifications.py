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
    """Field alerts reach the NOC, others the platform team; warnings are muted."""
    labels = {**rule["labels"], "alertname": rule["title"]}
    route = _route(labels)
    if labels["alert"] == "heartbeat":
        assert route["receiver"] == "heartbeat"
    elif labels["team"] == "platform":
        assert route["receiver"] == "platform"
    else:
        assert route["receiver"] == "noc"
    muted = [f"outside-watch-{labels['zone']}"]
    is_warning = labels["severity"] == "warning" and labels["team"] == "field"
    assert route.get("mute_time_intervals", []) == (muted if is_warning else [])


@pytest.mark.parametrize("name", ["DatasourceError", "DatasourceNoData"])
def test_failed_data_source_reaches_the_platform_team(name: str) -> None:
    """Grafana's own alerts reach it despite the labels of the rule."""
    labels = {"alertname": name, "severity": "critical", "team": "field", "zone": "wib"}
    assert _route(labels)["receiver"] == "platform"


def test_policy_tree_is_valid() -> None:
    """Receivers and mute timings exist; the root matches all and is never muted."""
    timings = {t["name"] for t in _file("mute-timings")["muteTimes"]}
    assert not {"object_matchers", "mute_time_intervals", "matchers"} & set(TREE)
    for route in (TREE, *TREE["routes"]):
        assert route["receiver"] in CONTACTS
        assert set(route.get("mute_time_intervals", ())) <= timings
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


def _alert(index: int, **more: str) -> dict[str, Any]:
    return {
        "Labels": {"regency": "3201", "operator": "xl"},
        "Annotations": {"summary": f"english {index}", "summary_id": f"kata {index}"}
        | more,
        "PanelURL": "http://grafana/d/qos-overview-en?orgId=1&viewPanel=7",
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


@pytest.mark.slow
def test_message_counts_and_does_not_list(renderer: Path) -> None:
    """A message for 500 alerts is short enough for Telegram, in both languages."""
    labels = {"alert": "silent", "severity": "critical", "area": "java-w"}
    firing = [_alert(number) for number in range(500)]
    resolved = [_alert(7, grafana_state_reason="MissingSeries")]
    data = {"CommonLabels": labels, "Alerts": {"Firing": firing, "Resolved": resolved}}
    text = _rendered(renderer, "qos.message", data)
    assert text.splitlines()[0] == (
        "silent critical java-w: 500 firing / aktif, 1 resolved / pulih"
    )
    assert len(text) < 4096
    assert text.count("- Kabupaten Bogor: english") == 4
    assert "english 2" in text
    assert "english 3" not in text
    assert "kata 0" in text
    assert "... 500 in total / seluruhnya" in text
    assert text.count("NOT fixed") == 1
    assert text.index("RESOLVED") < text.index("NOT fixed")
    assert "EN http://grafana/d/qos-overview-en?orgId=1&viewPanel=7" in text
    assert "ID http://grafana/d/qos-overview-id?orgId=1&viewPanel=7" in text


@pytest.mark.slow
def test_national_message_has_no_place(renderer: Path) -> None:
    """A message is rendered without a regency and without a panel."""
    alert = {
        "Labels": {},
        "Annotations": {"summary": "dead", "summary_id": "mati"},
        "PanelURL": "",
    }
    labels = {"alert": "pipeline-dead", "severity": "critical", "area": "nation"}
    data = {"CommonLabels": labels, "Alerts": {"Firing": [alert], "Resolved": []}}
    text = _rendered(renderer, "qos.message", data)
    assert text.splitlines()[1:] == ["FIRING / AKTIF 1", "- dead", "  mati"]


def test_message_links_the_page_in_both_languages() -> None:
    """E-mail and Telegram link the English and the Indonesian page of the alert."""
    settings = [r["settings"] for r in CONTACTS["noc"]["receivers"]]
    texts = [s["message"] for s in settings if "message" in s]
    assert len(texts) == 2
    for text in texts:
        assert "EN $QOS_DOCS_URL/{{ .CommonLabels.alert }}.md" in text
        assert "ID $QOS_DOCS_URL/id/{{ .CommonLabels.alert }}.md" in text
