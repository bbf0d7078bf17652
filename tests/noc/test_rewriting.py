"""Sums are kept only where the later of two versions of a point is."""

from __future__ import annotations

from pathlib import Path

import pytest

from qos_agent.errors import ConfigError
from qos_agent.noc.service import Service
from tests.noc import nation
from tests.noc.nation import MINUTE_NS, START_NS
from tests.servers.answers import Status
from tests.servers.database import Database
from tests.servers.fixtures import MakeFront

THREE = Status(200, headers={"X-Influxdb-Version": "3.4.1"})
WELL = Status(204)


def _service(raw: Database, url: str, folder: Path) -> Service:
    nation.settled(folder, {})
    settings = nation.settings(raw, raw, folder)
    rollup = settings.rollup.model_copy(update={"url": url})
    return Service(settings.model_copy(update={"rollup": rollup}))


def test_a_database_that_may_keep_the_old_sum_is_refused(
    influxdb: Database, front: MakeFront, tmp_path: Path
) -> None:
    """InfluxDB 3 as the roll-ups' database: one line with the mend, nothing written."""
    between = front(influxdb.url)
    between.always(THREE)
    service = _service(influxdb, between.url, tmp_path)
    with pytest.raises(ConfigError, match=r"3\.4\.1.*1\.8 or 2\.x.*may stay on 3\.x"):
        service.minute(START_NS + MINUTE_NS)
    with pytest.raises(ConfigError):
        list(service.recompute(START_NS, START_NS + MINUTE_NS))
    assert {request.path for request in between.requests} == {"/ping"}
    service.close()


def test_collectors_may_be_of_any_version(
    influxdb: Database, front: MakeFront, tmp_path: Path
) -> None:
    """Raw points are the same bytes each time they are sent: 3.x may hold them."""
    between = front(influxdb.url)
    nation.settled(tmp_path, {})
    raw = {**influxdb.section, "url": between.url}
    rollup = influxdb.fresh()
    service = Service(nation.settings(influxdb, rollup, tmp_path, collectors=[raw]))
    assert service.minute(START_NS + MINUTE_NS).failed == {}
    assert "/ping" not in {request.path for request in between.requests}
    service.close()
