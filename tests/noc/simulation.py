"""A healthy simulated nation, minute by minute, under a census that meets faults."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from qos_agent.model.line_protocol import decode
from qos_agent.noc.register.store import Register
from qos_agent.noc.rollup.sums import ROLLUPS
from qos_agent.noc.service.report import Report
from qos_agent.noc.service.service import Service
from qos_agent.noc.settings import NocSettings
from tests.noc import nation
from tests.noc.nation import START_NS
from tests.noc.tally import BY_AREA, Tally
from tests.servers.database import Database

PASSES = {"settle": "2m", "again": ("20m",), "back": "1m", "span": "5m"}


class Simulation:
    """Delivers minute by minute, and knows the figures that must result."""

    def __init__(self, folder: Path, raw: Database, rollup: Database, **changes: Any):
        defaults = {
            "stations": 12,
            "minutes": 8,
            "provinces": ["31"],
            "targets": ["anchor"],
        }
        scenario = nation.scenario(**(defaults | changes))
        self.register: Register = nation.register_scenario(scenario, folder)
        self.raw, self.rollup = raw, rollup
        self.tally = Tally(self.register, START_NS)
        self.arrived: set[bytes] = set()
        self._batches = nation.begin(scenario).run()

    def minutes(
        self,
        before: Callable[[int], object] = lambda _: None,
        shards: Mapping[str, Database] | None = None,
    ) -> Iterator[int]:
        """Yield each minute's end, after its points are in the raw database.

        `before` is called with the number of each minute. A server that is down gets
        its points later, as from agents that kept them. `shards` are by province.
        """
        waiting: dict[str, list[bytes]] = {}
        for batch in self._batches:
            before(batch.minute)
            new = [line for lines in batch.lines.values() for line in lines]
            self.arrived |= set(new)
            self.tally.add(new)
            for province, lines in batch.lines.items():
                waiting.setdefault(province, []).extend(lines)
            for province, lines in waiting.items():
                if self._is_written((shards or {}).get(province, self.raw), lines):
                    lines.clear()
            yield batch.ends_ns

    def _is_written(self, raw: Database, lines: list[bytes]) -> bool:
        try:
            return raw.write(b"\n".join(lines)).status == HTTPStatus.NO_CONTENT
        except OSError:
            return False

    def assert_complete(self, ends_ns: list[int]) -> None:
        """Assert that each minute's census and every sum is stored once and right."""
        for at_ns in ends_ns:
            query = (
                f"SELECT * FROM census WHERE time = {at_ns} AND \"operator\" = 'all'"
            )
            rows = self.rollup.query(query)
            areas = {
                r["regency"]: {name: r.get(name) for name in BY_AREA} for r in rows
            }
            assert areas == self.tally.areas(at_ns), (at_ns, areas)
            assert len(rows) == len(areas)
        assert_sums(self.rollup, self.arrived, ends_ns[-1])


def assert_sums(rollup: Database, arrived: set[bytes], before_ns: int) -> None:
    """Assert that every additive field's total is that of the raw points."""
    records = [r for r in map(decode, arrived) if r.time_ns < before_ns]
    for spec in ROLLUPS:
        points = [r for r in records if r.measurement == spec.measurement]
        fields = [f.name for f in spec.fields]
        names = [name for name in fields if any(name in r.fields for r in points)]
        if not names:
            continue
        columns = ", ".join(f'SUM("{name}") AS "{name}"' for name in names)
        (row,) = rollup.query(
            f'SELECT {columns} FROM "{spec.measurement}" WHERE time < {before_ns}'
        )
        for name in names:
            total = sum(r.fields.get(name, 0) for r in points)  # type: ignore[misc]
            assert row[name] == pytest.approx(total), (spec.measurement, name)


def service(settings: NocSettings) -> Service:
    """Return a service that does not wait before it retries a write."""
    return Service(settings, wait=lambda _: None)


def do_pending(census: Service, report: Report) -> None:
    """Do all remaining work after a minute, without pauses."""
    for _ in census.pending(report):
        pass
