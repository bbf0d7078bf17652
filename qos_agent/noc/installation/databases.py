"""The databases of a centre on one machine, with the accounts of its services."""

from __future__ import annotations

import time
from collections.abc import Sequence

from qos_agent.config.settings import CollectorSection
from qos_agent.config.token import read_token
from qos_agent.influx.accounts import AccountError
from qos_agent.influx.databases import Access, Bucket, prepare
from qos_agent.noc.installation.layout import Layout
from qos_agent.noc.installation.writing import CENSUS_FILES
from qos_agent.system.files import create_private

RAW, ROLLUP = "qos", "qos-rollup"
# The dispute period, and two years of roll-ups.
_BUCKETS = (Bucket(RAW, 180, 1), Bucket(ROLLUP, 728, 7))
# InfluxDB opens all its files before it answers.
_PATIENCE_S, _PAUSE_S = 240.0, 1.0
_GRAFANA = "QOS_INFLUX_TOKEN="


def create_databases(layout: Layout) -> None:
    """Create databases and accounts, and write tokens that the server has chosen.

    Raises AccountError, ConfigError or OSError.
    """
    administrator = CollectorSection.model_validate(
        {
            "url": layout.influxdb_url,
            "bucket": RAW,
            "token_file": layout.config / "admin.token",
        }
    )
    census = layout.config / CENSUS_FILES[0]
    present = read_token(census) or ""
    if layout.version != "1.8" and not present.startswith("census:"):
        return  # The server has chosen this token in an earlier run.
    before = {
        "census": present.partition(":")[2],
        "grafana": _grafana_token(layout),
    }
    both = (RAW, ROLLUP)
    accesses = (
        Access("census", before["census"], reads=both, writes=(ROLLUP,)),
        Access("grafana", before["grafana"], reads=both),
    )
    tokens = _prepared(administrator, accesses)
    if layout.version == "1.8":
        return
    for name in CENSUS_FILES:
        create_private(layout.config / name, f"{tokens['census']}\n".encode())
    text = (layout.config / "grafana.env").read_text()
    changed = text.replace(_GRAFANA + before["grafana"], _GRAFANA + tokens["grafana"])
    create_private(layout.config / "grafana.env", changed.encode())


def _prepared(
    administrator: CollectorSection, accesses: Sequence[Access]
) -> dict[str, str]:
    """Prepare the server, and wait for one that is still starting."""
    end_mono = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return prepare(administrator, _BUCKETS, accesses)
        except AccountError as error:
            if not error.is_passing or time.monotonic() > end_mono:
                raise
        time.sleep(_PAUSE_S)


def _grafana_token(layout: Layout) -> str:
    lines = (layout.config / "grafana.env").read_text().splitlines()
    found = (line for line in lines if line.startswith(_GRAFANA))
    return next(found, _GRAFANA).removeprefix(_GRAFANA)
