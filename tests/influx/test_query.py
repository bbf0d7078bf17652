"""Every question of the census and the roll-ups is in the subset of 1.8, 2.x and 3."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from qos_agent.influx.query import Server, Table
from qos_agent.noc.service.loop import work_off
from tests.noc import nation
from tests.noc.life import BRIEF, Life, service
from tests.servers.database import Database

FUNCTIONS = {"SUM", "COUNT", "LAST", "FIRST", "MAX", "MIN"}
# InfluxDB 3 has no SLIMIT, SOFFSET, SHOW SERIES; 2.x no INTO; neither has "rp"."name".
NEVER = (
    "SLIMIT",
    "SOFFSET",
    " INTO ",
    "SAMPLE(",
    "SHOW SERIES",
    ";",
    '"."',
    "::",
    "/*",
)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """All that is asked of any server, as it is sent."""
    queries: list[str] = []
    real = Server.tables

    def tables(self: Server, query: str) -> Iterator[Table]:
        queries.append(query)
        return real(self, query)

    monkeypatch.setattr(Server, "tables", tables)
    return queries


def test_no_query_leaves_the_common_subset(
    influxdb: Database, tmp_path: Path, asked: list[str]
) -> None:
    """A troubled nation, so that names are read too: only what all three answer."""
    trouble = [
        {"kind": "never", "share": 0.2},
        {"kind": "core_failure", "from": 1, "operator": "telkomsel"},
    ]
    rollup = influxdb.fresh()
    life = Life(tmp_path, influxdb, rollup, stations=20, minutes=3, trouble=trouble)
    one = {**influxdb.section, "provinces": ["31"]}
    made = service(
        nation.settings(influxdb, rollup, tmp_path, rollups=BRIEF, collectors=[one])
    )
    for at_ns in life.minutes():
        work_off(made, made.minute(at_ns))
    assert len(asked) > 50
    for query in asked:
        if query.startswith("SHOW "):
            assert query.startswith("SHOW RETENTION POLICIES ON ")
            continue
        assert query.startswith("SELECT ")
        assert [word for word in NEVER if word in query] == []
        assert set(re.findall(r"([A-Z]+)\(", query)) <= FUNCTIONS
        assert "time >= " in query
        assert "time < " in query
        assert "\"province\" = '31'" in query
    kinds = {re.sub(r"\d+", "0", query) for query in asked}
    assert any('FROM "verdict"' in q and '"kpi"' in q for q in kinds)
    assert any("oldest_unsent_s" in q for q in kinds)
    assert any("\"phase\" = 'pre'" in q for q in kinds)
