"""What a census asks of a server in a minute: by province, in turn, and bounded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from qos_agent.influx.query import Server, Table
from qos_agent.noc.rollup.sums import ALL_SUMS
from qos_agent.noc.service.loop import work_off
from tests.noc import nation
from tests.noc.counted import Counted
from tests.noc.life import BRIEF, service
from tests.noc.nation import MINUTE_NS, START_NS
from tests.servers.answers import Request
from tests.servers.database import Database
from tests.servers.fixtures import MakeFront

PROVINCES = ["31", "32", "94"]


def test_names_travel_of_exceptions_only(
    influxdb: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten times the stations, and a census reads as many rows; a bad link is one more.

    The first reads names, to know who is there; those behind it need none.
    """
    rows: list[int] = []
    real = Server.tables

    def tables(self: Server, query: str) -> Iterator[Table]:
        found = list(real(self, query))
        rows.append(sum(len(table.rows) for table in found))
        return iter(found)

    monkeypatch.setattr(Server, "tables", tables)
    read: dict[tuple[int, int], int] = {}
    for count in (8, 80):
        raw, folder = influxdb.fresh(), tmp_path / str(count)
        folder.mkdir()
        codes = [f"317{n % 4 + 1}010001{n:03}" for n in range(count)]
        nation.settled(folder, {code: [("main", "xl", "")] for code in codes})
        one = {**raw.section, "provinces": ["31"]}
        made = service(nation.settings(raw, raw, folder, collectors=[one]))
        for minute, said in enumerate(("good", "good", "bad")):
            at_ns = START_NS + minute * MINUTE_NS
            judged = [said, *["good"] * (count - 1)]
            nation.deliver(raw, [nation.beat(code, at_ns) for code in codes])
            nation.deliver(raw, [
                nation.judged(code, "xl", word, at_ns)
                for code, word in zip(codes, judged, strict=True)
            ])  # fmt: skip
            rows.clear()
            found = made.clerk.take(made.rolls, at_ns + MINUTE_NS // 2)
            assert (found.failed, set(found.lines)) == ({}, {"31"})
            read[count, minute] = sum(rows)
        made.close()
    assert read[80, 0] >= 80
    assert read[80, 1] == read[8, 1] < 30
    assert read[80, 2] == read[8, 2] == read[8, 1] + 1


def _question(request: Request) -> str:
    return parse_qs(request.body.decode()).get("q", [""])[0]


def test_a_server_is_asked_in_turn_and_so_often_a_minute(
    influxdb: Database, front: MakeFront, tmp_path: Path
) -> None:
    """One under way at a time, of one province; few more with four times as many."""
    asked: dict[int, int] = {}
    for stations in (60, 240):
        raw, folder = influxdb.fresh(), tmp_path / str(stations)
        folder.mkdir()
        made = nation.scenario(stations=stations, minutes=3, provinces=PROVINCES)
        nation.lived(made, folder, raw)
        between, counted = front(raw.url), Counted()
        between.always(counted)
        one = {**raw.section, "url": between.url, "provinces": PROVINCES}
        settings = nation.settings(
            raw, influxdb.fresh(), folder, rollups=BRIEF, collectors=[one]
        )
        census = service(settings)
        for minute in (3, 4):
            before = len(between.requests)
            report = census.minute(START_NS + minute * MINUTE_NS)
            assert report.failed == {}
        asked[stations] = len(between.requests) - before
        work_off(census, report)
        assert counted.at_once == 1
        sums = [q for r in between.requests if "GROUP BY" in (q := _question(r))]
        assert all('"province" = ' in q or '"regency" = ' in q for q in sums)
        census.close()
    assert asked[240] < 1.25 * asked[60]
    assert asked[240] < len(PROVINCES) * (len(ALL_SUMS) + 12)
