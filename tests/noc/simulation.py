"""A healthy nation's minutes under a census that meets with faults."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from qos_agent.noc.register.store import Register
from qos_agent.noc.rollup.sums import ALL_SUMS
from qos_agent.noc.service.service import Service
from qos_agent.noc.settings import NocSettings
from tests.noc import nation
from tests.noc.nation import START_NS
from tests.noc.tally import BY_AREA, Tally
from tests.servers.database import Database

BRIEF = {"settle": "2m", "again": ("20m",), "back": "1m", "span": "5m"}


class Life:
    """Delivers a minute at a time, and knows in the end what should be there."""

    def __init__(self, folder: Path, raw: Database, rollup: Database, **more: Any):
        made = {
            "stations": 12,
            "minutes": 8,
            "provinces": ["31"],
            "targets": ["anchor"],
        }
        scenario = nation.scenario(**(made | more))
        self.register: Register = nation.registered(scenario, folder)
        self.raw, self.rollup = raw, rollup
        self.tally = Tally(self.register, START_NS)
        self.arrived: set[bytes] = set()
        self._batches = nation.begin(scenario).run()

    def minutes(
        self,
        meet: Callable[[int], object] = lambda _: None,
        shards: Mapping[str, Database] | None = None,
    ) -> Iterator[int]:
        """Each minute's end; what was measured in it is in the raw database by then.

        `meet` is called with the minute's number before. A server that is down gets
        its points later, as from agents that kept them. `shards` are by province.
        """
        waiting: dict[str, list[bytes]] = {}
        for batch in self._batches:
            meet(batch.minute)
            new = [line for lines in batch.lines.values() for line in lines]
            self.arrived |= set(new)
            self.tally.add(new)
            for province, lines in batch.lines.items():
                waiting.setdefault(province, []).extend(lines)
            for province, lines in waiting.items():
                if self._taken((shards or {}).get(province, self.raw), lines):
                    lines.clear()
            yield batch.ends_ns

    def _taken(self, raw: Database, lines: list[bytes]) -> bool:
        try:
            return raw.write(b"\n".join(lines)).status == HTTPStatus.NO_CONTENT
        except OSError:
            return False

    def assert_whole(self, ends_ns: list[int]) -> None:
        """Each minute's census, and every sum: there, once, and right."""
        for at_ns in ends_ns:
            query = (
                f"SELECT * FROM census WHERE time = {at_ns} AND \"operator\" = 'all'"
            )
            rows = self.rollup.query(query)
            found = {r["regency"]: {n: r.get(n) for n in BY_AREA} for r in rows}
            assert found == self.tally.areas(at_ns), (at_ns, found)
            assert len(rows) == len(found)
        assert_sums(self.rollup, self.arrived, ends_ns[-1])


def assert_sums(rollup: Database, arrived: set[bytes], before_ns: int) -> None:
    """Every additive field's total over all minutes is that of the raw points."""
    from qos_agent.model.line_protocol import decode

    records = [r for r in map(decode, arrived) if r.time_ns < before_ns]
    for sums in ALL_SUMS:
        mine = [r for r in records if r.measurement == sums.measurement]
        names = [f.name for f in sums.fields if any(f.name in r.fields for r in mine)]
        if not names:
            continue
        columns = ", ".join(f'SUM("{n}") AS "{n}"' for n in names)
        (row,) = rollup.query(
            f'SELECT {columns} FROM "{sums.measurement}" WHERE time < {before_ns}'
        )
        for name in names:
            total = sum(r.fields.get(name, 0) for r in mine)  # type: ignore[misc]
            assert row[name] == pytest.approx(total), (sums.measurement, name)


def service(settings: NocSettings) -> Service:
    """A service that does not wait before it tries a write again."""
    return Service(settings, wait=lambda _: None)
