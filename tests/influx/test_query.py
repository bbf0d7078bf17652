"""All queries of the census and the roll-ups work on 1.8, 2.x and 3.x."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from qos_agent.influx.query import Server, Table
from tests.noc import nation
from tests.noc.simulation import PASSES, Simulation, do_pending, service
from tests.servers.database import Database

FUNCTIONS = {"SUM", "COUNT", "LAST", "FIRST", "MAX", "MIN"}
# 3.x has no SLIMIT, SOFFSET and SHOW SERIES, 2.x has no INTO, and neither has
# "policy"."measurement".
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
def queries(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list to which every query of any server is appended."""
    sent: list[str] = []
    real = Server.tables

    def tables(self: Server, query: str) -> Iterator[Table]:
        sent.append(query)
        return real(self, query)

    monkeypatch.setattr(Server, "tables", tables)
    return sent


def test_no_query_leaves_the_common_subset(
    influxdb: Database, tmp_path: Path, queries: list[str]
) -> None:
    """Faults are simulated, so that station names are queried too."""
    faults = [
        {"kind": "never", "share": 0.2},
        {"kind": "core_failure", "from": 1, "operator": "telkomsel"},
    ]
    rollup = influxdb.fresh()
    simulation = Simulation(
        tmp_path, influxdb, rollup, stations=20, minutes=3, fault=faults
    )
    collector = {**influxdb.section, "provinces": ["31"]}
    census = service(
        nation.settings(
            influxdb, rollup, tmp_path, rollups=PASSES, collectors=[collector]
        )
    )
    for at_ns in simulation.minutes():
        do_pending(census, census.minute(at_ns))
    assert len(queries) > 50
    for query in queries:
        if query.startswith("SHOW "):
            assert query.startswith("SHOW RETENTION POLICIES ON ")
            continue
        assert query.startswith("SELECT ")
        assert [word for word in NEVER if word in query] == []
        assert set(re.findall(r"([A-Z]+)\(", query)) <= FUNCTIONS
        assert "time >= " in query
        assert "time < " in query
        # Only the centre's own roll-ups have nothing of other centres.
        assert "\"province\" = '31'" in query or 'GROUP BY "province"' in query
    kinds = {re.sub(r"\d+", "0", query) for query in queries}
    assert any('FROM "verdict"' in q and '"kpi"' in q for q in kinds)
    assert any("oldest_unsent_s" in q for q in kinds)
    assert any("\"phase\" = 'pre'" in q for q in kinds)
