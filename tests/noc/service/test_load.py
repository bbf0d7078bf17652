"""The queries of a minute: by province, one after another, and limited in number."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from qos_agent.influx.query import Server, Table
from qos_agent.noc.rollup.sums import ROLLUPS
from tests.noc import nation
from tests.noc.counted import Counted
from tests.noc.nation import MINUTE_NS, START_NS
from tests.noc.simulation import PASSES, do_pending, service
from tests.servers.answers import Request
from tests.servers.database import Database
from tests.servers.fixtures import MakeFront

PROVINCES = ["31", "32", "94"]


def test_names_are_transferred_for_exceptions_only(
    influxdb: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With ten times the stations a census reads as many rows, and one per bad link.

    The first census reads all names; the next ones need none.
    """
    rows: list[int] = []
    real = Server.tables

    def tables(self: Server, query: str) -> Iterator[Table]:
        result = list(real(self, query))
        rows.append(sum(len(table.rows) for table in result))
        return iter(result)

    monkeypatch.setattr(Server, "tables", tables)
    read: dict[tuple[int, int], int] = {}
    for count in (8, 80):
        raw, folder = influxdb.fresh(), tmp_path / str(count)
        folder.mkdir()
        codes = [f"317{n % 4 + 1}010001{n:03}" for n in range(count)]
        links = [("main", "xl", "")]
        nation.register_stations(folder, dict.fromkeys(codes, links))
        shard = {**raw.section, "provinces": ["31"]}
        census = service(nation.settings(raw, raw, folder, collectors=[shard]))
        for minute, first in enumerate(("good", "good", "bad")):
            at_ns = START_NS + minute * MINUTE_NS
            names = [first, *["good"] * (count - 1)]
            nation.deliver(raw, [nation.beat(code, at_ns) for code in codes])
            verdicts = [
                nation.verdict(code, "xl", name, at_ns)
                for code, name in zip(codes, names, strict=True)
            ]
            nation.deliver(raw, verdicts)
            rows.clear()
            result = census.census.take(at_ns + MINUTE_NS // 2)
            assert (result.failed, set(result.lines)) == ({}, {"31"})
            read[count, minute] = sum(rows)
        census.close()
    assert read[80, 0] >= 80
    assert read[80, 1] == read[8, 1] < 30
    assert read[80, 2] == read[8, 2] == read[8, 1] + 1


def _query(request: Request) -> str:
    """Return the InfluxQL of a request."""
    return parse_qs(request.body.decode()).get("q", [""])[0]


def test_a_server_gets_one_query_at_a_time_and_a_limited_number(
    influxdb: Database, front: MakeFront, tmp_path: Path
) -> None:
    """Each is of one province, and four times the stations need few more."""
    requests: dict[int, int] = {}
    for stations in (60, 240):
        raw, folder = influxdb.fresh(), tmp_path / str(stations)
        folder.mkdir()
        scenario = nation.scenario(stations=stations, minutes=3, provinces=PROVINCES)
        nation.deliver_all(scenario, folder, raw)
        between, counted = front(raw.url), Counted()
        between.always(counted)
        shard = {**raw.section, "url": between.url, "provinces": PROVINCES}
        settings = nation.settings(
            raw, influxdb.fresh(), folder, rollups=PASSES, collectors=[shard]
        )
        census = service(settings)
        for minute in (3, 4):
            before = len(between.requests)
            report = census.minute(START_NS + minute * MINUTE_NS)
            assert report.failed == {}
        requests[stations] = len(between.requests) - before
        do_pending(census, report)
        assert counted.at_once == 1
        grouped = [q for r in between.requests if "GROUP BY" in (q := _query(r))]
        assert all('"province" = ' in q or '"regency" = ' in q for q in grouped)
        census.close()
    assert requests[240] < 1.25 * requests[60]
    assert requests[240] < len(PROVINCES) * (len(ROLLUPS) + 12)
