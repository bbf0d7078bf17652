"""The files of provisioning/alerting.

If a rule disappears from its file, Grafana 9.3 keeps it in its database. Therefore
`known.txt` lists every rule UID that was ever generated, and `deleted.yaml` deletes
those that no longer exist.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from grafana.alerts.areas import AREAS, Area
from grafana.alerts.limits import LIMITS
from grafana.alerts.monitoring import MONITORING
from grafana.alerts.mute_timings import mute_times
from grafana.alerts.network import NETWORK
from grafana.alerts.notifications import contact_points, policies, templates
from grafana.alerts.rule import FOLDER, rule_json
from grafana.panels import Json
from qos_agent.config.calendar_file import load, shipped

ALERTS = (*NETWORK, *MONITORING)
KNOWN = Path(__file__).parent / "known.txt"
_FOLDER = "provisioning/alerting"


def alerting_files() -> dict[str, Any]:
    """Return the content of each file by its path in the package `grafana`."""
    groups = {area.name: _group(area, _rules(area)) for area in AREAS}
    groups["nation"] = _group(None, _rules(None))
    uids = {rule["uid"] for group in groups.values() for rule in group["rules"]}
    known = set(KNOWN.read_text(encoding="utf-8").split()) if KNOWN.exists() else set()
    contents: dict[str, Json] = {
        **{f"rules-{name}": {"groups": [group]} for name, group in groups.items()},
        "deleted": {
            "deleteRules": [{"orgId": 1, "uid": uid} for uid in sorted(known - uids)]
        },
        "mute-timings": {"muteTimes": mute_times(_calendars())},
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


def _calendars() -> Iterable[Any]:
    return [load(path) for path in shipped().values()]


def _lines(uids: set[str]) -> str:
    return "".join(f"{uid}\n" for uid in sorted(uids))


def _rules(area: Area | None) -> list[Json]:
    """Return the rules of an area, or the national rules if it is None."""
    return [
        rule_json(alert, limit, area)
        for alert in ALERTS
        if alert.national is (area is None)
        for limit in LIMITS
        if limit.alert == alert.name
    ]


def _group(area: Area | None, rules: list[Json]) -> Json:
    return {
        "orgId": 1,
        "name": f"qos-{area.name if area else 'nation'}",
        "folder": FOLDER,
        "interval": "1m",
        "rules": rules,
    }
