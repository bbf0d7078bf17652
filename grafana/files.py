"""All generated files: dashboards, data sources, dashboard providers and alerting."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from grafana.alerts.files import alerting_files
from grafana.boards import BOARDS, LANGUAGES, board_json
from grafana.json_format import format_json
from grafana.panels import RAW, ROLLUP

HERE = Path(__file__).parent


def generated() -> dict[str, str]:
    """Return each file's text by its path in this package.

    The YAML files contain JSON, because every JSON document is valid YAML.
    """
    files: dict[str, Any] = {
        f"dashboards/{name}/{board.name}.json": format_json(board_json(board, language))
        + "\n"
        for language, name in enumerate(LANGUAGES)
        for board in BOARDS
    }
    files["provisioning/datasources/qos.yaml"] = {
        "apiVersion": 1,
        "datasources": [_source(RAW, "RAW"), _source(ROLLUP, "ROLLUP")],
    }
    files["provisioning/dashboards/qos.yaml"] = {
        "apiVersion": 1,
        "providers": [_provider(name) for name in LANGUAGES],
    }
    files |= alerting_files()
    return {name: _text(content) for name, content in files.items()}


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _source(uid: str, kind: str) -> dict[str, Any]:
    # Grafana 9.3 reads `database`, later versions read `dbName`.
    # On InfluxDB 2.x and 3.x the password is a token.
    database = f"$QOS_{kind}_DB"
    return {
        "name": uid,
        "uid": uid,
        "type": "influxdb",
        "access": "proxy",
        "url": f"$QOS_{kind}_URL",
        "user": "$QOS_INFLUX_USER",
        "database": database,
        "editable": False,
        "jsonData": {
            "dbName": database,
            "version": "InfluxQL",
            "httpMode": "POST",
            "timeInterval": "60s",
        },
        "secureJsonData": {"password": "$QOS_INFLUX_TOKEN"},
    }


def _provider(language: str) -> dict[str, Any]:
    return {
        "name": f"qos-{language}",
        "orgId": 1,
        "type": "file",
        "folder": f"Election QoS {language.upper()}",
        # Without it Grafana draws a random one, and links to the folder break.
        "folderUid": f"qos-boards-{language}",
        "disableDeletion": True,
        "allowUiUpdates": False,
        "options": {"path": f"/var/lib/grafana/dashboards/{language}"},
    }
