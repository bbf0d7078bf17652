"""How long raw points are kept: a sum over fewer never takes a whole one's place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from qos_agent.config.settings import CollectorSection
from qos_agent.influx.query import QueryError, Server
from qos_agent.noc.rollup.recompute import not_fewer
from qos_agent.noc.rollup.retention import Retention
from qos_agent.noc.rollup.sums import ALL_SUMS, lines
from qos_agent.noc.service.service import Service
from qos_agent.noc.settings import RollupsSection
from qos_agent.noc.state import State
from tests.noc import nation
from tests.noc.nation import MINUTE_NS, START_NS
from tests.servers.answers import Pass, Status
from tests.servers.database import Database
from tests.servers.fixtures import MakeFront

ONE, OTHER = "3171010001001", "3171010001002"
SPAN = (START_NS - MINUTE_NS, START_NS + MINUTE_NS)


def beats(rollup: Database) -> int:
    """Heartbeats in the sums."""
    rows = rollup.query("SELECT SUM(beats) FROM agent")
    return int(rows[0]["sum"]) if rows else 0


def refuse(server: Server) -> float | None:
    """A question for the retention that fails."""
    raise QueryError(server.name, "not now")


@pytest.fixture
def expired(influxdb: Database, tmp_path: Path) -> Iterator[tuple[Service, Database]]:
    """A service whose sum counts two, of which raw points tell of one any more."""
    rollup = influxdb.fresh()
    service = Service(nation.settings(influxdb, rollup, tmp_path))
    nation.deliver(influxdb, [nation.beat(s, START_NS) for s in (ONE, OTHER)])
    assert list(service.recompute(*SPAN))
    assert beats(rollup) == 2
    influxdb.query(f"DELETE FROM agent WHERE station = '{ONE}'")
    yield service, rollup
    service.close()


def test_while_the_question_fails_a_whole_sum_stands(
    expired: tuple[Service, Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server does not say how long: what counts less is not written over more."""
    service, rollup = expired
    monkeypatch.setattr(Server, "retention_s", refuse)
    service.retention.forget()
    assert list(service.recompute(*SPAN))
    assert beats(rollup) == 2


def test_late_points_are_counted_while_the_question_fails(
    expired: tuple[Service, Database],
    influxdb: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What counts more is written all the same."""
    service, rollup = expired
    monkeypatch.setattr(Server, "retention_s", refuse)
    service.retention.forget()
    more = [nation.beat(f"317101000101{n}", START_NS) for n in range(4)]
    nation.deliver(influxdb, more)
    assert list(service.recompute(*SPAN))
    assert beats(rollup) == 5


def test_what_a_server_said_is_remembered(
    influxdb: Database, front: MakeFront, tmp_path: Path
) -> None:
    """After a restart into a failing question the last answer holds, but unsure."""
    raw = influxdb.create_database(f"{influxdb.database}_kept", "48h")
    between = front(influxdb.url)
    between.always(Pass())
    state = State(tmp_path / "census.sqlite3")
    section = CollectorSection.model_validate(raw.section | {"url": between.url})
    asked = Retention(state, RollupsSection()).of(Server(section))
    assert (asked.keep_s, asked.sure) == (2 * 86400.0, True)
    between.always(Status(503))
    later = Retention(state, RollupsSection()).of(Server(section))
    assert (later.keep_s, later.sure) == (2 * 86400.0, False)
    raw.drop()


@pytest.mark.parametrize(
    ("answer", "raw_keep", "keep_s", "sure"),
    [
        (float("inf"), None, float("inf"), True),
        (None, None, None, False),
        (None, "30d", 30 * 86400.0, True),
        (QueryError("x", "y"), "30d", 30 * 86400.0, False),
        (QueryError("x", "y"), None, None, False),
    ],
)
def test_what_is_known(
    monkeypatch: pytest.MonkeyPatch,
    answer: Any,
    raw_keep: str | None,
    keep_s: float | None,
    sure: bool,
) -> None:
    """For ever is no unknown; what the server does not tell may be set."""

    def retention_s(_: Server) -> float | None:
        if isinstance(answer, QueryError):
            raise answer
        return answer  # type: ignore[no-any-return]

    monkeypatch.setattr(Server, "retention_s", retention_s)
    settings = RollupsSection.model_validate({"raw_keep": raw_keep} if raw_keep else {})
    server = Server(CollectorSection.model_validate({"url": "http://127.0.0.1:1"}))
    kept = Retention(State(Path(":memory:")), settings).of(server)
    assert (kept.keep_s, kept.sure) == (keep_s, sure)


def test_what_has_expired_is_left_alone(influxdb: Database, tmp_path: Path) -> None:
    """Beyond the retention nothing is summed again."""
    import time

    raw = influxdb.create_database(f"{influxdb.database}_hour", "1h")
    rollup = influxdb.fresh()
    service = Service(nation.settings(raw, rollup, tmp_path))
    now_ns = time.time_ns() // MINUTE_NS * MINUTE_NS
    old_ns, young_ns = now_ns - 62 * MINUTE_NS, now_ns - 30 * MINUTE_NS
    rollup.write(
        f"agent,province=31,regency=3171,phase=voting beats=9i {old_ns}".encode()
    )
    # 1.x keeps a shard until all of it has expired: points of 62 minutes are there.
    raw.write(nation.beat(ONE, old_ns))
    nation.deliver(raw, [nation.beat(ONE, young_ns)])
    for _ in service.recompute(old_ns - MINUTE_NS, now_ns):
        pass
    rows = rollup.query("SELECT beats FROM agent")
    by_time = {row["time"]: row["beats"] for row in rows}
    assert by_time == {old_ns: 9, young_ns // MINUTE_NS * MINUTE_NS: 1}
    raw.drop()


def test_not_fewer_compares_minute_by_minute(influxdb: Database) -> None:
    """A minute that counts less is left out, its neighbours are not."""
    server = Server(CollectorSection.model_validate(influxdb.section))
    sums = next(sums for sums in ALL_SUMS if sums.measurement == "agent")
    later_ns = START_NS + MINUTE_NS
    nation.deliver(influxdb, [
        nation.beat(ONE, START_NS), nation.beat(OTHER, START_NS),
        nation.beat(ONE, later_ns),
    ])  # fmt: skip
    whole = list(lines(server, sums, "31", START_NS, later_ns + MINUTE_NS))
    influxdb.query(f"DELETE FROM agent WHERE time = {START_NS} AND station = '{ONE}'")
    fewer = list(lines(server, sums, "31", START_NS, later_ns + MINUTE_NS))
    assert len(fewer) == len(whole) == 2
    assert not_fewer(sums, fewer, whole) == [whole[1]]
    assert not_fewer(sums, whole, fewer) == whole
