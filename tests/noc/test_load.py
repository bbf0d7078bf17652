"""What a census asks of a server in a minute: by province, in turn, and bounded."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs

from qos_agent.noc.rollup import ALL_SUMS
from qos_agent.noc.run import work_off
from tests.noc import nation
from tests.noc.life import BRIEF, service
from tests.noc.nation import MINUTE_NS, START_NS
from tests.servers.answers import Exchange, Pass, Request
from tests.servers.database import Database
from tests.servers.fixtures import MakeFront

PROVINCES = ["31", "32", "94"]


@dataclass
class Counted:
    """Passes every request on, and knows how many were under way at once."""

    reads: ClassVar[float] = 1.0
    most: int = 0
    _now: int = 0
    _lock: Any = field(default_factory=threading.Lock)

    def play(self, exchange: Exchange) -> None:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        Pass().play(exchange)
        with self._lock:
            self._now -= 1


def _question(request: Request) -> str:
    return parse_qs(request.body.decode())["q"][0]


def test_a_server_is_asked_one_question_at_a_time_and_so_many_a_minute(
    influxdb: Database, front: MakeFront, tmp_path: Path
) -> None:
    """One under way; a few a regency, of one province, and no more with stations."""
    asked: dict[int, int] = {}
    for stations in (60, 240):
        raw, folder = influxdb.fresh(), tmp_path / str(stations)
        folder.mkdir()
        made = nation.scenario(stations=stations, minutes=3, provinces=PROVINCES)
        nation.lived(made, folder, raw)
        between, counted = front(raw.url), Counted()
        between.always(counted)
        one = {"url": between.url, "bucket": raw.database, "provinces": PROVINCES}
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
        assert counted.most == 1
        sums = [q for r in between.requests if "GROUP BY" in (q := _question(r))]
        assert all('"province" = ' in q or '"regency" = ' in q for q in sums)
        census.close()
    assert asked[240] < 1.25 * asked[60]
    assert asked[240] < len(PROVINCES) * (len(ALL_SUMS) + 12)
