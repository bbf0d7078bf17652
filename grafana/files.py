"""Every generated file by its name: boards in two languages, data sources, provider."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from grafana.alerts.files import alerting_files
from grafana.boards import BOARDS, LANGUAGES, board_json
from grafana.layout import laid_out
from grafana.panels import RAW, ROLLUP

HERE = Path(__file__).parent


def generated() -> dict[str, str]:
    """Path beside this package to text. YAML files hold JSON, which is YAML too."""
    files: dict[str, Any] = {
        f"dashboards/{name}/{board.name}.json": laid_out(board_json(board, language))
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
    # 9.3 reads `database`, later versions `dbName`; password is a token on 2.x and 3.x.
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
        "disableDeletion": True,
        "allowUiUpdates": False,
        "options": {"path": f"/var/lib/grafana/dashboards/{language}"},
    }
