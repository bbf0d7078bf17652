"""Fresh minutes are made again each minute, and written only where they changed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from qos_agent.influx.writer import WriteError, Writer
from qos_agent.model.line_protocol import decode
from qos_agent.noc.rollup import cursors
from qos_agent.noc.rollup.cursors import Stretch
from qos_agent.noc.service.service import Service
from tests.noc import nation
from tests.noc.nation import MINUTE_NS, START_NS
from tests.servers.database import Database

ONE, OTHER = "3171010001001", "3172010001001"
AT_NS = START_NS + 2 * MINUTE_NS


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """All lines that are written, in the order of writing."""
    lines: list[bytes] = []
    real = Writer.write

    def write(self: Writer, some: Sequence[bytes]) -> None:
        lines.extend(some)
        real(self, some)

    monkeypatch.setattr(Writer, "write", write)
    return lines


def sums(lines: list[bytes]) -> list[tuple[str, int]]:
    """(regency, heartbeats) of the lines written since the last call."""
    found = [decode(line) for line in lines]
    lines.clear()
    return sorted((r.tags["regency"], int(r.fields["beats"])) for r in found
                  if r.measurement == "agent")  # fmt: skip


def fresh(service: Service) -> Stretch:
    """The youngest minutes of a province."""
    return cursors.fresh(service.settings.rollups, "31", AT_NS)


def test_what_has_not_changed_is_not_written_again(
    influxdb: Database, tmp_path: Path, written: list[bytes]
) -> None:
    """Only the regency where something came late; by an older pass, all of them."""
    nation.settled(tmp_path, {})
    service = Service(nation.settings(influxdb, influxdb.fresh(), tmp_path))
    nation.deliver(influxdb, [nation.beat(s, START_NS) for s in (ONE, OTHER)])
    assert service.summer.sum(fresh(service), AT_NS) == 2
    assert sums(written) == [("3171", 1), ("3172", 1)]
    nation.deliver(influxdb, [nation.beat(OTHER, START_NS + 1)])
    assert service.summer.sum(fresh(service), AT_NS) == 1
    assert sums(written) == [("3172", 2)]
    again = Stretch("31", START_NS, AT_NS, "again-600/31")
    assert service.summer.sum(again, AT_NS) == 2
    assert sums(written) == [("3171", 1), ("3172", 2)]


@pytest.mark.parametrize("refused", [True, False])
def test_what_was_not_taken_is_written_again(
    influxdb: Database, tmp_path: Path, written: list[bytes],
    monkeypatch: pytest.MonkeyPatch, refused: bool,
) -> None:  # fmt: skip
    """A write that failed leaves nothing that would count as written."""
    nation.settled(tmp_path, {})
    service = Service(nation.settings(influxdb, influxdb.fresh(), tmp_path))
    nation.deliver(influxdb, [nation.beat(s, START_NS) for s in (ONE, OTHER)])

    def fail(self: Writer, lines: Sequence[bytes]) -> None:
        raise WriteError("roll-ups", "no", refused=refused)

    with monkeypatch.context() as broken:
        broken.setattr(Writer, "write", fail)
        with pytest.raises(WriteError):
            service.summer.sum(fresh(service), AT_NS)
    assert service.summer.sum(fresh(service), AT_NS) == 2
    assert sums(written) == [("3171", 1), ("3172", 1)]


def test_the_next_minute_is_written_whole(
    influxdb: Database, tmp_path: Path, written: list[bytes]
) -> None:
    """A later span has a minute more; those before it stay as they were."""
    nation.settled(tmp_path, {})
    service = Service(nation.settings(influxdb, influxdb.fresh(), tmp_path))
    nation.deliver(influxdb, [nation.beat(ONE, START_NS)])
    service.summer.sum(fresh(service), AT_NS)
    sums(written)
    nation.deliver(influxdb, [nation.beat(ONE, AT_NS)])
    later = cursors.fresh(service.settings.rollups, "31", AT_NS + MINUTE_NS)
    assert service.summer.sum(later, AT_NS + MINUTE_NS) == 1
    assert sums(written) == [("3171", 1)]
