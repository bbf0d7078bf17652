"""Fresh minutes are recalculated each minute, and written only if they changed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from qos_agent.influx.writer import WriteError, Writer
from qos_agent.model.line_protocol import decode
from qos_agent.noc.rollup import cursors
from qos_agent.noc.rollup.cursors import RollupSpan
from qos_agent.noc.service.service import Service
from tests.noc import nation
from tests.noc.nation import MINUTE_NS, START_NS
from tests.servers.database import Database

ONE, OTHER = "3171010001001", "3172010001001"
AT_NS = START_NS + 2 * MINUTE_NS


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Return all lines that are written, in the order of writing."""
    lines: list[bytes] = []
    real = Writer.write

    def write(self: Writer, batch: Sequence[bytes]) -> None:
        lines.extend(batch)
        real(self, batch)

    monkeypatch.setattr(Writer, "write", write)
    return lines


def sums(lines: list[bytes]) -> list[tuple[str, int]]:
    """Return (regency, heartbeats) of the lines written since the last call."""
    records = [decode(line) for line in lines]
    lines.clear()
    return sorted(
        (record.tags["regency"], int(record.fields["beats"]))
        for record in records
        if record.measurement == "agent"
    )


def fresh(service: Service) -> RollupSpan:
    """Return the youngest minutes of a province."""
    return cursors.fresh(service.settings.rollups, "31", AT_NS)


def test_unchanged_sums_are_not_written_again(
    influxdb: Database, tmp_path: Path, written: list[bytes]
) -> None:
    """Only the regency with a late point is written; an older pass writes all."""
    nation.register_stations(tmp_path, {})
    service = Service(nation.settings(influxdb, influxdb.fresh(), tmp_path))
    nation.deliver(influxdb, [nation.beat(s, START_NS) for s in (ONE, OTHER)])
    assert service.calculator.update(fresh(service), AT_NS) == 2
    assert sums(written) == [("3171", 1), ("3172", 1)]
    nation.deliver(influxdb, [nation.beat(OTHER, START_NS + 1)])
    assert service.calculator.update(fresh(service), AT_NS) == 1
    assert sums(written) == [("3172", 2)]
    again = RollupSpan("31", START_NS, AT_NS, "again-600/31")
    assert service.calculator.update(again, AT_NS) == 2
    assert sums(written) == [("3171", 1), ("3172", 2)]


@pytest.mark.parametrize("refused", [True, False])
def test_sums_are_written_again_after_a_failed_write(
    influxdb: Database,
    tmp_path: Path,
    written: list[bytes],
    monkeypatch: pytest.MonkeyPatch,
    refused: bool,
) -> None:
    """Nothing counts as written after an error."""
    nation.register_stations(tmp_path, {})
    service = Service(nation.settings(influxdb, influxdb.fresh(), tmp_path))
    nation.deliver(influxdb, [nation.beat(s, START_NS) for s in (ONE, OTHER)])

    def fail(self: Writer, lines: Sequence[bytes]) -> None:
        raise WriteError("roll-ups", "no", refused=refused)

    with monkeypatch.context() as broken:
        broken.setattr(Writer, "write", fail)
        with pytest.raises(WriteError):
            service.calculator.update(fresh(service), AT_NS)
    assert service.calculator.update(fresh(service), AT_NS) == 2
    assert sums(written) == [("3171", 1), ("3172", 1)]


def test_the_next_minute_is_written_completely(
    influxdb: Database, tmp_path: Path, written: list[bytes]
) -> None:
    """A later span has one more minute, and the earlier ones are unchanged."""
    nation.register_stations(tmp_path, {})
    service = Service(nation.settings(influxdb, influxdb.fresh(), tmp_path))
    nation.deliver(influxdb, [nation.beat(ONE, START_NS)])
    service.calculator.update(fresh(service), AT_NS)
    sums(written)
    nation.deliver(influxdb, [nation.beat(ONE, AT_NS)])
    later = cursors.fresh(service.settings.rollups, "31", AT_NS + MINUTE_NS)
    assert service.calculator.update(later, AT_NS + MINUTE_NS) == 1
    assert sums(written) == [("3171", 1)]
