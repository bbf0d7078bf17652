"""A simulated day on a real InfluxDB, and queries to it as Grafana sends them.

There are two simulated nations, one with known faults and one without. Each has a few
minutes of the phase `pre`, then voting day minute by minute with the census service
running. The fixtures `troubled` and `healthy` simulate each day once. Pytest's cache
keeps their lines until the simulation or its code changes. `simulate` yields after each
minute, for rules that must be evaluated during the day.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

import qos_agent
from grafana.panels import RAW, ROLLUP, SELECTED
from qos_agent.influx.writer import Writer
from qos_agent.model import Record
from qos_agent.model.line_protocol import decode
from qos_agent.noc.register.importing import stage
from qos_agent.noc.register.store import Register
from qos_agent.noc.service.service import Service
from qos_agent.noc.settings import NocSettings
from qos_agent.noc.simulator.population import nation, write_register
from qos_agent.noc.simulator.run import Nation
from qos_agent.noc.simulator.scenario import Scenario
from tests.noc.nation import MINUTE_NS, deliver, settings
from tests.servers.database import Database, Row

PRE = datetime(2024, 2, 12, 3, 0, tzinfo=UTC)
# 10:20 in WIB, 12:20 in WIT. In WIT voting ends after forty minutes.
VOTING = datetime(2024, 2, 14, 3, 20, tzinfo=UTC)
PRE_MINUTES = 20
PACKAGE = Path(qos_agent.__file__).parent
_DECIDING = (
    "noc/**/*.py",
    "noc/**/*.toml",
    "influx/*.py",
    "model/**/*.py",
    "config/data/*.csv",
    "config/elections/*.toml",
    "config/calendar_file.py",
    "config/schedule.py",
    "agent/events.py",
    "journal/encoding.py",
    "probes/**/*.py",
)
All = ".*"


def _scenario(name: str, stations: int, minutes: int, faults: Any = ()) -> Scenario:
    return Scenario.model_validate(
        {
            "name": name,
            "stations": stations,
            "minutes": minutes,
            "start": VOTING,
            "calendar": "2024-02-14",
            "provinces": ["31", "81"],
            "targets": ["gateway", "anchor"],
            "fault": faults,
        }
    )


TROUBLED = _scenario(
    "troubled",
    66,
    45,
    [
        {"kind": "never", "province": "81", "share": 0.2},
        {
            "kind": "core_failure",
            "regency": "3173",
            "operator": "telkomsel",
            "from": 20,
        },
        {"kind": "power_cut", "regency": "3175", "share": 0.1, "from": 15},
        {"kind": "power_cut", "regency": "3171", "from": 20, "to": 32},
        {"kind": "backlog", "regency": "8101", "from": 12, "to": 36},
        {"kind": "overload", "regency": "3172", "from": 15, "amount": 4.0},
        {"kind": "wrong_clock", "regency": "3174", "share": 0.1, "amount": -1800.0},
    ],
)
HEALTHY = _scenario("healthy", 24, 12)


@dataclass(frozen=True, eq=False)
class Day:
    """A simulated day: its faults, its lines and the two databases with them.

    `end_ns` is the end of the last simulated minute. `key` is the list of injected
    faults. `lines` arrived from the agents and `written` came from the census service,
    both in order of arrival.
    """

    scenario: Scenario
    raw: Database
    rollup: Database
    register: Register
    key: tuple[dict[str, Any], ...]
    lines: tuple[bytes, ...] = field(repr=False)
    written: tuple[bytes, ...] = field(repr=False)
    start_ns: int
    end_ns: int

    @cached_property
    def records(self) -> list[Record]:
        """Return every raw point that arrived, in order of arrival."""
        return [decode(line) for line in self.lines]

    def hit(self, kind: str, regency: str | None = None) -> set[str]:
        """Return the stations that an injected fault affects."""
        return {
            station
            for event in self.key
            if event["kind"] == kind and regency in {None, event["regency"]}
            for station in event["stations"]
        }

    def of(self, measurement: str, **tags: str) -> list[Record]:
        """Return the raw points of a measurement with these tags."""
        return [
            record
            for record in self.records
            if record.measurement == measurement
            and all(record.tags.get(name) == value for name, value in tags.items())
        ]

    def query(
        self,
        text: str,
        source: str,
        at_ns: int | None = None,
        range_s: float = 3 * 3600,
        **variables: str | Sequence[str],
    ) -> list[Row]:
        """Return the rows that Grafana gets for the `range_s` before a time.

        The time is the end of the day if `at_ns` is None. Rows with nulls only, which
        interrupt lines, are left out; `gaps` returns them. `source` is the UID of a
        data source or the variable that selects one.
        """
        chosen = {"source": ROLLUP, **variables}
        uid = chosen["source"] if source == SELECTED else source
        at_ns = self.end_ns if at_ns is None else at_ns
        database = {RAW: self.raw, ROLLUP: self.rollup}[str(uid)]
        rows = database.query(substitute(text, at_ns, range_s, chosen))
        return [row for row in rows if _has_value(row)]

    def gaps(
        self, query: str, source: str, range_s: float, **variables: str | Sequence[str]
    ) -> list[Row]:
        """Return the rows with nulls only, which interrupt a line."""
        database = {RAW: self.raw, ROLLUP: self.rollup}[source]
        rows = database.query(substitute(query, self.end_ns, range_s, dict(variables)))
        return [row for row in rows if not _has_value(row)]


def _has_value(row: Row) -> bool:
    return "value" not in row or row["value"] is not None


def substitute(
    query: str, at_ns: int, range_s: float, variables: dict[str, Any] | None = None
) -> str:
    """Replace time range, interval and variables in a query, as Grafana does.

    Raises KeyError for a missing variable and ValueError for an unknown macro.
    """
    from_ms, to_ms = (at_ns - int(range_s * 1e9)) // 10**6, at_ns // 10**6
    interval_s = interval(range_s)
    text = query.replace("$timeFilter", f"time >= {from_ms}ms and time <= {to_ms}ms")
    text = text.replace("$__interval_ms", str(interval_s * 1000))
    text = text.replace("$__interval", f"{interval_s}s")
    text = re.sub(
        r"\$\{(\w+):regex\}", lambda m: as_regex((variables or {})[m.group(1)]), text
    )
    if "$" in re.sub(r"\$/", "", text):
        raise ValueError(text)
    return text


def as_regex(value: str | Sequence[str]) -> str:
    """Format a variable like `${name:regex}`: one value, (a|b) for several, or all."""
    if value == All:
        return All
    if isinstance(value, str):
        return re.escape(value)
    return f"({'|'.join(map(re.escape, value))})"


def interval(range_s: float, points: int = 1000) -> int:
    """Return Grafana's interval for a time range, at least one minute."""
    steps = (60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10800, 21600, 86400)
    return next(step for step in steps if step >= range_s / points)


def simulate(
    scenario: Scenario, raw: Database, rollup: Database, folder: Path
) -> Iterator[Day]:
    """Simulate a scenario; yield the state after each minute of voting day."""
    simulated = Nation(scenario, VOTING)
    day = _start(scenario, raw, rollup, folder)
    service = Service(_settings(scenario, raw, rollup, folder))
    written = _record_writes(service.writer)
    arrived = _pre(scenario, raw)
    for _ in service.recompute(_ns(PRE), _ns(PRE) + PRE_MINUTES * MINUTE_NS):
        pass
    for batch in islice(simulated.run(), scenario.minutes):
        new = [line for lines in batch.lines.values() for line in lines]
        deliver(raw, new)
        arrived += new
        report = service.minute(batch.ends_ns)
        assert report.failed == {}, report
        at_ns = batch.ends_ns
        yield replace(day, lines=tuple(arrived), written=tuple(written), end_ns=at_ns)
    for _ in service.pending(report):
        pass  # late points are in the roll-ups too
    yield replace(day, lines=tuple(arrived), written=tuple(written), end_ns=at_ns)
    service.close()


def _start(scenario: Scenario, raw: Database, rollup: Database, folder: Path) -> Day:
    """Return the start of the day: with a register, but without points."""
    simulated = Nation(scenario, VOTING)
    register = _registered(scenario, folder)
    key = tuple(simulated.answer_key())
    start_ns = simulated.start_ns
    return Day(scenario, raw, rollup, register, key, (), (), start_ns, start_ns)


def _record_writes(writer: Writer) -> list[bytes]:
    """Return a list of the lines that the service writes from now on."""
    recorded: list[bytes] = []
    write = writer.write

    def record(lines: Sequence[bytes]) -> None:
        recorded.extend(lines)
        write(lines)

    writer.write = record  # type: ignore[method-assign]
    return recorded


def _pre(scenario: Scenario, raw: Database) -> list[bytes]:
    """Deliver minutes of two days earlier, with faults of kind `never` only."""
    never = tuple(t for t in scenario.fault if t.kind == "never")
    earlier = scenario.model_copy(
        update={"start": PRE, "minutes": PRE_MINUTES, "fault": never}
    )
    lines = [
        line
        for batch in Nation(earlier, PRE).run()
        for lines in batch.lines.values()
        for line in lines
    ]
    deliver(raw, lines)
    return lines


def _registered(scenario: Scenario, folder: Path) -> Register:
    path = folder / "stations.csv"
    write_register(path, nation(scenario))
    register = Register(folder / "register.sqlite3")
    assert stage(register, path, lambda _: None).faults == []
    register.apply(_ns(PRE) // 10**9 - 86400, close_missing=False)
    return register


def _settings(
    scenario: Scenario, raw: Database, rollup: Database, folder: Path
) -> NocSettings:
    collector = raw.section | {"provinces": list(scenario.provinces)}
    # Without these settings, recomputing a whole week would take most of the time.
    sums = {"settle": "1m", "again": ["2m"], "back": "90m", "span": "30m"}
    return settings(raw, rollup, folder, collectors=[collector], rollups=sums)


def _ns(moment: datetime) -> int:
    return int(moment.timestamp()) * 10**9


def _fingerprint(scenario: Scenario) -> str:
    """Return a hash of everything that determines the content of a day."""
    code = hashlib.sha256(scenario.model_dump_json().encode())
    parts = (path for part in _DECIDING for path in PACKAGE.rglob(part))
    for path in sorted((*parts, Path(__file__))):
        code.update(path.read_bytes())
    return code.hexdigest()[:16]


def _load(scenario: Scenario, server: Database, folder: Path, cache: Path) -> Day:
    """Return the end of a day, from the cache or simulated now."""
    raw, rollup = server.fresh(), server.fresh()
    cached = cache / f"{scenario.name}-{_fingerprint(scenario)}"
    if cached.exists():
        day = _start(scenario, raw, rollup, folder)
        parts = cached.read_bytes().split(b"\n\n")
        lines, written = (tuple(part.split(b"\n")) for part in parts)
        deliver(raw, list(lines))
        deliver(rollup, list(written))
        end_ns = day.start_ns + scenario.minutes * MINUTE_NS
        return replace(day, lines=lines, written=written, end_ns=end_ns)
    *_, day = simulate(scenario, raw, rollup, folder)
    cached.write_bytes(b"\n\n".join(map(b"\n".join, (day.lines, day.written))))
    return day


def _fixture(scenario: Scenario) -> Any:
    @pytest.fixture(scope="session", name=scenario.name)
    def day(
        request: pytest.FixtureRequest,
        influxdb_shared: Database,
        tmp_path_factory: pytest.TempPathFactory,
    ) -> Day:
        """Return a nation at the end of its day."""
        folder = tmp_path_factory.mktemp(scenario.name)
        cache = request.config.cache
        days = cache.mkdir("days") if cache else folder
        return _load(scenario, influxdb_shared, folder, days)

    return day


troubled = _fixture(TROUBLED)
healthy = _fixture(HEALTHY)
