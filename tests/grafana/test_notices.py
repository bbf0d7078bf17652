"""Who is told and in which words: contact points, the policy tree, the messages."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from grafana.alerts.notices import ENVIRONMENT
from tests.grafana.evaluator import duration_s
from tests.grafana.test_alerts import FILES, RULES
from tests.support.requirement import require

GO = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
OPERATIONS = Path(__file__).parents[2] / "docs" / "operations"


def _file(name: str) -> Any:
    return FILES[f"provisioning/alerting/{name}.yaml"]


CONTACTS = {c["name"]: c for c in _file("contact-points")["contactPoints"]}
(TREE,) = _file("policies")["policies"]


def _route(labels: dict[str, str]) -> dict[str, Any]:
    """The first route whose matchers all match, else the root."""
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
def test_every_rule_reaches_those_who_act(rule: dict[str, Any]) -> None:
    """Field alerts go to the NOC, machinery to its team, warnings muted by zone."""
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
def test_a_data_source_that_fails_is_the_platforms(name: str) -> None:
    """Grafana's own alerts carry their rule's labels and still reach the platform."""
    labels = {"alertname": name, "severity": "critical", "team": "field", "zone": "wib"}
    assert _route(labels)["receiver"] == "platform"


def test_tree_is_sound() -> None:
    """Receivers and mute timings exist; the root takes all and is never muted."""
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
    """No address, token or chat stands in a file; each variable is documented."""
    text = json.dumps(list(CONTACTS.values()))
    used = set(re.findall(r"\$(QOS_[A-Z_]+)", text))
    assert used == set(ENVIRONMENT)
    assert "http://" not in text
    assert "https://" not in text
    index = (OPERATIONS / "README.md").read_text(encoding="utf-8")
    assert all(name in index for name in used)
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
    """The program that renders templates as Grafana does, built from its source."""
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
    made = subprocess.run(
        [renderer, renderer.with_name("qos.tmpl"), name],
        check=True,
        text=True,
        input=json.dumps(data),
        capture_output=True,
    )
    return made.stdout


def test_message_counts_and_does_not_list(renderer: Path) -> None:
    """Five hundred alerts make a message that Telegram takes, in both languages."""
    labels = {"alert": "silent", "severity": "critical", "area": "java-w"}
    firing = [_alert(number) for number in range(500)]
    gone = [_alert(7, grafana_state_reason="MissingSeries")]
    data = {"CommonLabels": labels, "Alerts": {"Firing": firing, "Resolved": gone}}
    text = _rendered(renderer, "qos.message", data)
    assert text.splitlines()[0] == (
        "silent critical java-w: 500 firing / aktif, 1 resolved / pulih"
    )
    assert len(text) < 4096
    assert text.count("- Kabupaten Bogor: english") == 4
    assert "english 2" in text
    assert "english 3" not in text
    assert "kata 0" in text
    assert "... 500 in all / seluruhnya" in text
    assert text.count("NOT mended") == 1
    assert text.index("RESOLVED") < text.index("NOT mended")
    assert "EN http://grafana/d/qos-overview-en?orgId=1&viewPanel=7" in text
    assert "ID http://grafana/d/qos-overview-id?orgId=1&viewPanel=7" in text


def test_message_of_the_nation_has_no_place(renderer: Path) -> None:
    """An alert without a regency and without a panel is told all the same."""
    alone = {"Labels": {}, "Annotations": {"summary": "dead", "summary_id": "mati"},
             "PanelURL": ""}  # fmt: skip
    labels = {"alert": "pipeline-dead", "severity": "critical", "area": "nation"}
    data = {"CommonLabels": labels, "Alerts": {"Firing": [alone], "Resolved": []}}
    text = _rendered(renderer, "qos.message", data)
    assert text.splitlines()[1:] == ["FIRING / AKTIF 1", "- dead", "  mati"]
