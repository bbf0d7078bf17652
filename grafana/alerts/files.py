"""The files of provisioning/alerting.

If a rule disappears from its file, Grafana 9.3 keeps it in its database. Therefore
`known.txt` lists every rule UID that was ever generated, and `deleted.yaml` deletes
those that no longer exist.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from grafana.alerts.monitoring import MONITORING
from grafana.alerts.network import NETWORK
from grafana.alerts.notifications import contact_points, policies, templates
from grafana.alerts.rule import FOLDER, rule_json, trouble_rule
from grafana.panels import Json
from qos_agent.noc.troubles.limits import limits

ALERTS = (*NETWORK, *MONITORING)
KNOWN = Path(__file__).parent / "known.txt"
_FOLDER = "provisioning/alerting"
# The centre now decides when a warning is sent, so these no longer exist.
_FORMER_TIMINGS = ("outside-watch-wib", "outside-watch-wita", "outside-watch-wit")


def alerting_files() -> dict[str, Any]:
    """Return the content of each file by its path in the package `grafana`."""
    groups = {
        "troubles": _group("troubles", [trouble_rule(alert) for alert in NETWORK]),
        "platform": _group("platform", _platform_rules()),
    }
    uids = {rule["uid"] for group in groups.values() for rule in group["rules"]}
    known = set(KNOWN.read_text(encoding="utf-8").split()) if KNOWN.exists() else set()
    contents: dict[str, Json] = {
        **{f"rules-{name}": {"groups": [group]} for name, group in groups.items()},
        "deleted": {
            "deleteRules": [{"orgId": 1, "uid": uid} for uid in sorted(known - uids)]
        },
        "mute-timings": {
            "deleteMuteTimes": [{"orgId": 1, "name": name} for name in _FORMER_TIMINGS]
        },
        "contact-points": {"contactPoints": contact_points()},
        "policies": {"policies": policies()},
        "templates": {"templates": templates()},
    }
    files: dict[str, Any] = {
        f"{_FOLDER}/{name}.yaml": {"apiVersion": 1, **content}
        for name, content in contents.items()
    }
    files["alerts/known.txt"] = _lines(known | uids)
    return files


def _lines(uids: set[str]) -> str:
    return "".join(f"{uid}\n" for uid in sorted(uids))


def _platform_rules() -> list[Json]:
    return [
        rule_json(alert, limit)
        for alert in MONITORING
        for limit in limits().values()
        if limit.alert == alert.name
    ]


def _group(name: str, rules: list[Json]) -> Json:
    return {
        "orgId": 1,
        "name": f"qos-{name}",
        "folder": FOLDER,
        "interval": "1m",
        "rules": rules,
    }
