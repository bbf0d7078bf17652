"""A generated day on a real InfluxDB, and questions to it as Grafana asks them.

Two nations: one with known troubles, one that is well. Each has some minutes of the
phase `pre`, then goes through voting day minute by minute under the census service,
as it would in the operations centre. Fixtures: `troubled` and `healthy`, lived through
once; their lines are kept in pytest's cache until what decides them changes.
For rules that must be asked while time goes by, `unfold` yields after each minute.
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
from grafana.panels import CHOSEN, RAW, ROLLUP
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
# 10:20 in WIB, 12:20 in WIT, where the polls close after forty minutes.
VOTING = datetime(2024, 2, 14, 3, 20, tzinfo=UTC)
PRE_MINUTES = 20
PACKAGE = Path(qos_agent.__file__).parent
_DECIDING = ("noc/**/*.py", "schema/*.py", "data/*.csv", "elections/*.toml",
             "election.py", "events.py", "line_protocol.py", "profiles.py",
             "stamping.py")  # fmt: skip
All = ".*"


def _scenario(name: str, stations: int, minutes: int, trouble: Any = ()) -> Scenario:
    return Scenario.model_validate(
        {
            "name": name,
            "stations": stations,
            "minutes": minutes,
            "start": VOTING,
            "calendar": "2024-02-14",
            "provinces": ["31", "81"],
            "targets": ["gateway", "anchor"],
            "trouble": trouble,
        }
    )


TROUBLED = _scenario(
    "troubled",
    66,
    45,
    [
        {"kind": "never", "province": "81", "share": 0.2},
        {"kind": "core_failure", "regency": "3173", "operator": "telkomsel",
         "from": 20},
        {"kind": "power_cut", "regency": "3175", "share": 0.1, "from": 15},
        {"kind": "power_cut", "regency": "3171", "from": 20, "to": 32},
        {"kind": "backlog", "regency": "8101", "from": 12, "to": 36},
        {"kind": "overload", "regency": "3172", "from": 15, "amount": 4.0},
        {"kind": "wrong_clock", "regency": "3174", "share": 0.1, "amount": -1800.0},
    ],
)  # fmt: skip
HEALTHY = _scenario("healthy", 24, 12)


@dataclass(frozen=True, eq=False)
class Day:
    """What was planted, what was written, and the two databases that hold it.

    `end_ns` is now: the end of the last minute that was lived through. `lines` is what
    arrived, `written` what the census service wrote, each in that order.
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
        """Every raw point that arrived, in order of arrival."""
        return [decode(line) for line in self.lines]

    def hit(self, kind: str, regency: str | None = None) -> set[str]:
        """The stations that a planted trouble hit."""
        return {
            station
            for event in self.key
            if event["kind"] == kind and regency in {None, event["regency"]}
            for station in event["stations"]
        }

    def of(self, measurement: str, **tags: str) -> list[Record]:
        """The raw points of a measurement with these tags."""
        return [
            record
            for record in self.records
            if record.measurement == measurement
            and all(record.tags.get(name) == value for name, value in tags.items())
        ]

    def ask(
        self,
        query: str,
        source: str,
        at_ns: int | None = None,
        range_s: float = 3 * 3600,
        **variables: str | Sequence[str],
    ) -> list[Row]:
        """The rows Grafana would get for the `range_s` before a moment, now if None.

        Rows of nothing but nulls, where lines break, are left out: see `gaps`.
        `source` is a data source's uid, or the variable that names one.
        """
        chosen = {"source": ROLLUP, **variables}
        uid = chosen["source"] if source == CHOSEN else source
        at_ns = self.end_ns if at_ns is None else at_ns
        database = {RAW: self.raw, ROLLUP: self.rollup}[str(uid)]
        rows = database.query(substitute(query, at_ns, range_s, chosen))
        return [row for row in rows if _says_something(row)]

    def gaps(
        self, query: str, source: str, range_s: float, **variables: str | Sequence[str]
    ) -> list[Row]:
        """The rows of nothing but nulls: where a line breaks."""
        database = {RAW: self.raw, ROLLUP: self.rollup}[source]
        rows = database.query(substitute(query, self.end_ns, range_s, dict(variables)))
        return [row for row in rows if not _says_something(row)]


def _says_something(row: Row) -> bool:
    return "value" not in row or row["value"] is not None


def substitute(
    query: str, at_ns: int, range_s: float, variables: dict[str, Any] | None = None
) -> str:
    """A query with what Grafana puts in: time, interval, variables.

    Raises KeyError for a variable that is not given, ValueError for a macro it does
    not know.
    """
    from_ms, to_ms = (at_ns - int(range_s * 1e9)) // 10**6, at_ns // 10**6
    interval_s = interval(range_s)
    made = query.replace("$timeFilter", f"time >= {from_ms}ms and time <= {to_ms}ms")
    made = made.replace("$__interval_ms", str(interval_s * 1000))
    made = made.replace("$__interval", f"{interval_s}s")
    made = re.sub(
        r"\$\{(\w+):regex\}", lambda m: as_regex((variables or {})[m.group(1)]), made
    )
    if "$" in re.sub(r"\$/", "", made):
        raise ValueError(made)
    return made


def as_regex(value: str | Sequence[str]) -> str:
    """`${name:regex}`: one value, (a|b) for several; the value for all as it is."""
    if value == All:
        return All
    if isinstance(value, str):
        return re.escape(value)
    return f"({'|'.join(map(re.escape, value))})"


def interval(range_s: float, points: int = 1000) -> int:
    """Grafana's interval for a range: whole steps, at least the source's minute."""
    steps = (60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10800, 21600, 86400)
    return next(step for step in steps if step >= range_s / points)


def unfold(
    scenario: Scenario, raw: Database, rollup: Database, folder: Path
) -> Iterator[Day]:
    """Live through a scenario; what is known after each minute of voting day."""
    made = Nation(scenario, VOTING)
    day = _begun(scenario, raw, rollup, folder)
    service = Service(_settings(scenario, raw, rollup, folder))
    written = _overheard(service.writer)
    arrived = _pre(scenario, raw)
    for _ in service.recompute(_ns(PRE), _ns(PRE) + PRE_MINUTES * MINUTE_NS):
        pass
    for batch in islice(made.run(), scenario.minutes):
        new = [line for lines in batch.lines.values() for line in lines]
        deliver(raw, new)
        arrived += new
        report = service.minute(batch.ends_ns)
        assert report.failed == {}, report
        at_ns = batch.ends_ns
        yield replace(day, lines=tuple(arrived), written=tuple(written), end_ns=at_ns)
    for _ in service.owed(at_ns, report):
        pass  # what came late is in the sums too
    yield replace(day, lines=tuple(arrived), written=tuple(written), end_ns=at_ns)
    service.close()


def _begun(scenario: Scenario, raw: Database, rollup: Database, folder: Path) -> Day:
    """The day as it begins: the register is there, and nothing has arrived."""
    made = Nation(scenario, VOTING)
    register = _registered(scenario, folder)
    key = tuple(made.answer_key())
    start_ns = made.start_ns
    return Day(scenario, raw, rollup, register, key, (), (), start_ns, start_ns)


def _overheard(writer: Writer) -> list[bytes]:
    """What the service writes from now on."""
    heard: list[bytes] = []
    write = writer.write

    def overhear(lines: Sequence[bytes]) -> None:
        heard.extend(lines)
        write(lines)

    writer.write = overhear  # type: ignore[method-assign]
    return heard


def _pre(scenario: Scenario, raw: Database) -> list[bytes]:
    """The nation two days before, when nothing went wrong but what never went right."""
    never = tuple(t for t in scenario.trouble if t.kind == "never")
    well = scenario.model_copy(
        update={"start": PRE, "minutes": PRE_MINUTES, "trouble": never}
    )
    lines = [
        line
        for batch in Nation(well, PRE).run()
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
    # A day's pass over a week would be most of the work, and there is no such week.
    sums = {"settle": "1m", "again": ["2m"], "back": "90m", "span": "30m"}
    return settings(raw, rollup, folder, collectors=[collector], rollups=sums)


def _ns(moment: datetime) -> int:
    return int(moment.timestamp()) * 10**9


def _fingerprint(scenario: Scenario) -> str:
    """Of all that decides what a day holds."""
    code = hashlib.sha256(scenario.model_dump_json().encode())
    parts = (path for part in _DECIDING for path in PACKAGE.rglob(part))
    for path in sorted((*parts, Path(__file__))):
        code.update(path.read_bytes())
    return code.hexdigest()[:16]


def _lived(scenario: Scenario, server: Database, folder: Path, cache: Path) -> Day:
    """The end of a scenario's day: from the cache, or lived through now."""
    raw, rollup = server.fresh(), server.fresh()
    kept = cache / f"{scenario.name}-{_fingerprint(scenario)}"
    if kept.exists():
        day = _begun(scenario, raw, rollup, folder)
        both = kept.read_bytes().split(b"\n\n")
        lines, written = (tuple(each.split(b"\n")) for each in both)
        deliver(raw, list(lines))
        deliver(rollup, list(written))
        end_ns = day.start_ns + scenario.minutes * MINUTE_NS
        return replace(day, lines=lines, written=written, end_ns=end_ns)
    *_, day = unfold(scenario, raw, rollup, folder)
    kept.write_bytes(b"\n\n".join(map(b"\n".join, (day.lines, day.written))))
    return day


def _fixture(scenario: Scenario) -> Any:
    @pytest.fixture(scope="session", name=scenario.name)
    def lived(
        request: pytest.FixtureRequest,
        influxdb_shared: Database,
        tmp_path_factory: pytest.TempPathFactory,
    ) -> Day:
        """A nation at the end of its day."""
        folder = tmp_path_factory.mktemp(scenario.name)
        cache = request.config.cache
        kept = cache.mkdir("days") if cache else folder
        return _lived(scenario, influxdb_shared, folder, kept)

    return lived


troubled = _fixture(TROUBLED)
healthy = _fixture(HEALTHY)
