"""A sum over fewer raw points never replaces one over more."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from qos_agent.config.settings import CollectorSection
from qos_agent.influx.query import QueryError, Server
from qos_agent.noc.rollup.recompute import not_fewer
from qos_agent.noc.rollup.retention import Retention
from qos_agent.noc.rollup.sums import ROLLUPS, read_lines
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
    """Return the number of heartbeats in the roll-ups."""
    rows = rollup.query("SELECT SUM(beats) FROM agent")
    return int(rows[0]["sum"]) if rows else 0


def fail(server: Server) -> float | None:
    """Stand for a failed request of the retention."""
    raise QueryError(server.name, "not now")


@pytest.fixture
def expired(influxdb: Database, tmp_path: Path) -> Iterator[tuple[Service, Database]]:
    """Return a service with a sum over two points, one of which is deleted."""
    rollup = influxdb.fresh()
    service = Service(nation.settings(influxdb, rollup, tmp_path))
    nation.deliver(influxdb, [nation.beat(s, START_NS) for s in (ONE, OTHER)])
    assert list(service.recompute(*SPAN))
    assert beats(rollup) == 2
    influxdb.query(f"DELETE FROM agent WHERE station = '{ONE}'")
    yield service, rollup
    service.close()


def test_a_complete_sum_stays_while_the_retention_is_unknown(
    expired: tuple[Service, Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sum that counts less is not written over one that counts more."""
    service, rollup = expired
    monkeypatch.setattr(Server, "retention_s", fail)
    service.retention.forget()
    assert list(service.recompute(*SPAN))
    assert beats(rollup) == 2


def test_late_points_are_counted_while_the_retention_is_unknown(
    expired: tuple[Service, Database],
    influxdb: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A sum that counts more is written."""
    service, rollup = expired
    monkeypatch.setattr(Server, "retention_s", fail)
    service.retention.forget()
    more = [nation.beat(f"317101000101{n}", START_NS) for n in range(4)]
    nation.deliver(influxdb, more)
    assert list(service.recompute(*SPAN))
    assert beats(rollup) == 5


def test_the_last_reported_retention_is_remembered(
    influxdb: Database, front: MakeFront, tmp_path: Path
) -> None:
    """After a restart without an answer it still holds, but is not certain."""
    raw = influxdb.create_database(f"{influxdb.database}_kept", "48h")
    between = front(influxdb.url)
    between.always(Pass())
    state = State(tmp_path / "census.sqlite3")
    section = CollectorSection.model_validate(raw.section | {"url": between.url})
    first = Retention(state, RollupsSection()).of(Server(section))
    assert (first.keep_s, first.certain) == (2 * 86400.0, True)
    between.always(Status(503))
    later = Retention(state, RollupsSection()).of(Server(section))
    assert (later.keep_s, later.certain) == (2 * 86400.0, False)
    raw.drop()


@pytest.mark.parametrize(
    ("answer", "raw_keep", "keep_s", "certain"),
    [
        (float("inf"), None, float("inf"), True),
        (None, None, None, False),
        (None, "30d", 30 * 86400.0, True),
        (QueryError("x", "y"), "30d", 30 * 86400.0, False),
        (QueryError("x", "y"), None, None, False),
    ],
)
def test_the_retention_is_reported_or_configured(
    monkeypatch: pytest.MonkeyPatch,
    answer: Any,
    raw_keep: str | None,
    keep_s: float | None,
    certain: bool,
) -> None:
    """Infinity is not unknown, and `raw_keep` is for servers without an answer."""

    def retention_s(_: Server) -> float | None:
        if isinstance(answer, QueryError):
            raise answer
        return answer  # type: ignore[no-any-return]

    monkeypatch.setattr(Server, "retention_s", retention_s)
    settings = RollupsSection.model_validate({"raw_keep": raw_keep} if raw_keep else {})
    server = Server(CollectorSection.model_validate({"url": "http://127.0.0.1:1"}))
    known = Retention(State(Path(":memory:")), settings).of(server)
    assert (known.keep_s, known.certain) == (keep_s, certain)


def test_minutes_with_deleted_points_are_not_recalculated(
    influxdb: Database, tmp_path: Path
) -> None:
    """Beyond the retention, the stored roll-ups stay."""
    raw = influxdb.create_database(f"{influxdb.database}_hour", "1h")
    rollup = influxdb.fresh()
    service = Service(nation.settings(raw, rollup, tmp_path))
    now_ns = time.time_ns() // MINUTE_NS * MINUTE_NS
    old_ns, young_ns = now_ns - 62 * MINUTE_NS, now_ns - 30 * MINUTE_NS
    rollup.write(
        f"agent,province=31,regency=3171,phase=voting beats=9i {old_ns}".encode()
    )
    # InfluxDB 1.8 keeps a shard until all of it has expired, so this point is stored.
    raw.write(nation.beat(ONE, old_ns))
    nation.deliver(raw, [nation.beat(ONE, young_ns)])
    for _ in service.recompute(old_ns - MINUTE_NS, now_ns):
        pass
    rows = rollup.query("SELECT beats FROM agent")
    by_time = {row["time"]: row["beats"] for row in rows}
    assert by_time == {old_ns: 9, young_ns // MINUTE_NS * MINUTE_NS: 1}
    raw.drop()


def test_not_fewer_compares_minute_by_minute(influxdb: Database) -> None:
    """A minute that counts less is left out, and the others are not."""
    server = Server(CollectorSection.model_validate(influxdb.section))
    spec = next(spec for spec in ROLLUPS if spec.measurement == "agent")
    later_ns = START_NS + MINUTE_NS
    beats = [(ONE, START_NS), (OTHER, START_NS), (ONE, later_ns)]
    nation.deliver(influxdb, [nation.beat(station, ns) for station, ns in beats])
    whole = list(read_lines(server, spec, "31", START_NS, later_ns + MINUTE_NS))
    influxdb.query(f"DELETE FROM agent WHERE time = {START_NS} AND station = '{ONE}'")
    fewer = list(read_lines(server, spec, "31", START_NS, later_ns + MINUTE_NS))
    assert len(fewer) == len(whole) == 2
    assert not_fewer(spec, fewer, whole) == [whole[1]]
    assert not_fewer(spec, whole, fewer) == whole
