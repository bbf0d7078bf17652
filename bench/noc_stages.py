"""The stages of `bench.noc`. Each has steps, and can be stopped between any two.

For each shard, which is some provinces:
simulate: write its lines to files, some regencies per step, on every core.
load: import the register, and write the files to a raw database, a minute per step.
cycle: take the census and the roll-ups of each minute with a service without state.
For all shards together:
repeat: copy the roll-ups of the last minute back over an hour.
ask: run each national query.
"""

from __future__ import annotations

import gzip
import os
import re
import shutil
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

import psutil

from bench.noc_load import watched
from bench.noc_progress import Progress, Result
from bench.noc_queries import PanelQuery, panel_queries, took_s
from qos_agent.config.places import regencies
from qos_agent.config.settings import CollectorSection
from qos_agent.influx.writer import Writer
from qos_agent.model.line_protocol import encode, from_row
from qos_agent.model.schema import MEASUREMENTS
from qos_agent.noc.register.importing import stage
from qos_agent.noc.register.store import Register
from qos_agent.noc.service.service import Service
from qos_agent.noc.settings import NocSettings
from qos_agent.noc.simulator.population import nation, spread, write_register
from qos_agent.noc.simulator.run import Nation
from qos_agent.noc.simulator.scenario import Scenario
from tests.servers.influxdb import InfluxDB

STAGES = ("simulate", "load", "cycle", "repeat", "ask")
MINUTE_NS = 60 * 10**9
CLOSING = datetime.fromisoformat("2024-02-14T13:00:00+07:00")
ROLLED_MINUTES = 60
_STATIONS_A_PART = 5_000
_PHASE = re.compile(rb",phase=[a-z]+")


def shards(count: int) -> list[tuple[str, ...]]:
    """Return the provinces in a number of parts with about equal populations."""
    people: dict[str, int] = {}
    for regency in regencies().values():
        people[regency.province] = people.get(regency.province, 0) + regency.population
    parts: list[list[str]] = [[] for _ in range(count)]
    for province in sorted(people, key=lambda code: -people[code]):
        smallest = min(parts, key=lambda part: sum(people[code] for code in part))
        smallest.append(province)
    return [tuple(sorted(part)) for part in parts]


def stations_of(provinces: tuple[str, ...], stations: int) -> int:
    """Return the number of a nation's stations in some provinces."""
    by_regency = spread(stations, list(regencies().values()))
    return sum(n for code, n in by_regency.items() if code[:2] in provinces)


def scenario(stations: int, minutes: int, provinces: tuple[str, ...] = ()) -> Scenario:
    """Return a nation with several faults; half of its minutes are after the vote."""
    start = CLOSING.timestamp() - 60 * (minutes // 2)
    faults = [
        {"kind": "core_failure", "province": "35", "operator": "telkomsel"},
        {"kind": "power_cut", "from": 1, "province": "33", "share": 0.1},
        {"kind": "never", "share": 0.01},
        {"kind": "slow_uplink", "share": 0.02, "amount": 2.0},
    ]
    return Scenario.model_validate(
        {
            "name": "bench",
            "stations": stations,
            "minutes": minutes,
            "start": datetime.fromtimestamp(start, CLOSING.tzinfo),
            "calendar": "2024-02-14",
            "fault": faults,
            "provinces": provinces,
        }
    )


def simulated(wanted: Scenario, part: tuple[int, int], folder: Path) -> Result:
    """Write one part's lines, a file per minute, and one for points after the end."""
    points = 0
    with_phase: set[int] = set()
    without: set[int] = set()
    for batch in Nation(wanted, CLOSING, part).run():
        path = folder / f"{batch.minute:04}-{part[0]:04}.lp.gz"
        with gzip.open(path.with_suffix(".new"), "wb", compresslevel=1) as file:
            for line in (line for lines in batch.lines.values() for line in lines):
                file.write(line + b"\n")
                points += 1
                series = line[: line.index(b" ")]
                with_phase.add(hash(series))
                without.add(hash(_PHASE.sub(b"", series)))
        path.with_suffix(".new").replace(path)
    return {
        "points": points,
        "with_phase": len(with_phase),
        "without": len(without),
    }


@dataclass(frozen=True, slots=True)
class Shard:
    """Some provinces of a size: the folder, its finished steps and the scenario."""

    folder: Path
    progress: Progress
    scenario: Scenario

    @property
    def start_ns(self) -> int:
        """The start of the first minute."""
        return int(self.scenario.begins(CLOSING).timestamp()) * 10**9

    @property
    def to_ns(self) -> int:
        """The end of the last minute."""
        return self.start_ns + self.scenario.minutes * MINUTE_NS

    def simulate(self) -> None:
        """Simulate all parts that are missing, on every core."""
        lines = self.folder / "lines"
        lines.mkdir(parents=True, exist_ok=True)
        of = min(514, -(-self.scenario.stations // _STATIONS_A_PART))
        missing = [
            number
            for number in range(1, of + 1)
            if not self.progress.is_done("simulate", f"{number} of {of}")
        ]
        workers = min(os.cpu_count() or 1, len(missing) or 1)
        with ProcessPoolExecutor(workers) as pool:
            began_mono, running = time.monotonic(), {}
            for number in missing:
                task = pool.submit(simulated, self.scenario, (number, of), lines)
                running[task] = number
            try:
                for task in as_completed(running):
                    took = time.monotonic() - began_mono
                    began_mono = time.monotonic()
                    result = task.result() | {"took_s": took}
                    name = f"{running[task]} of {of}"
                    self.progress.note("simulate", name, result)
                    if len(running) > workers:
                        self.progress.check()
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def load(self, server: InfluxDB) -> None:
        """Import the register and write each file; a second write changes nothing."""
        self.progress.do("load", "register", self._register)
        writer = Writer(section(server))
        for path in sorted((self.folder / "lines").glob("*.lp.gz")):
            self.progress.do("load", path.name, partial(_loaded, writer, path))
        writer.close()

    def _register(self) -> Result:
        shutil.rmtree(self.folder / "noc", ignore_errors=True)
        (self.folder / "noc").mkdir(parents=True)
        stations = self.folder / "noc" / "stations.csv"
        write_register(stations, nation(self.scenario))
        register = Register(self.folder / "noc" / "register.sqlite3")
        stage(register, stations, lambda _: None)
        register.apply(self.start_ns // 10**9 - 86400, close_missing=False)
        register.close()
        return {"points": 0}

    def cycle(self, server: InfluxDB, rollup: InfluxDB) -> None:
        """Do the centre's work after each minute."""
        if not self.progress.of("cycle"):
            for path in (self.folder / "noc").glob("census.sqlite3*"):
                path.unlink()
        provinces: dict[str, object] = {"provinces": self.scenario.provinces}
        settings = {
            "folder": self.folder / "noc",
            "collectors": [_address(server) | provinces],
            "rollup": _address(rollup),
            "election": {"calendar": "2024-02-14"},
        }
        service = Service(NocSettings.model_validate(settings))
        first = True
        for minute in range(1, self.scenario.minutes + 1):
            if not self.progress.is_done("cycle", str(minute)):
                at_ns = self.start_ns + minute * MINUTE_NS
                work = partial(_cycled, service, server, at_ns, new=first)
                self.progress.do("cycle", str(minute), work)
                first = False
        service.close()


def repeat(progress: Progress, rollup: InfluxDB, minutes: int, to_ns: int) -> None:
    """Copy the last minute's roll-ups and census back over an hour."""
    span = f"time >= {to_ns - MINUTE_NS} AND time <= {to_ns}"
    lines = [
        encode(from_row(name, {k: v for k, v in row.items() if k != "measurement"}))
        for name in MEASUREMENTS
        for row in rollup.view.query(f'SELECT * FROM "{name}" WHERE {span}')
    ]
    writer = Writer(section(rollup))
    for back in range(minutes, ROLLED_MINUTES):
        progress.do("repeat", str(back), partial(_repeated, writer, lines, back))
    writer.close()


def ask(
    progress: Progress, rollup: InfluxDB, raw: InfluxDB | None, span: tuple[int, int]
) -> None:
    """Run each query on the roll-ups, then on raw points if one server has them all."""
    from_ns, to_ns = span
    for server in (rollup, raw) if raw else (rollup,):
        is_raw = server is raw
        start_ns = from_ns if is_raw else to_ns - ROLLED_MINUTES * MINUTE_NS
        for panel in panel_queries():
            if panel.raw if is_raw else panel.rollup:
                query = panel.for_span(start_ns, to_ns + (not is_raw))
                work = partial(_answered, server, query)
                progress.do("ask", ask_name(panel, raw=is_raw), work)


def ask_name(panel: PanelQuery, *, raw: bool) -> str:
    """Return the name of a query's step."""
    return f"{'raw' if raw else 'roll-ups'}: {panel.query}"


def _loaded(writer: Writer, path: Path) -> Result:
    with gzip.open(path, "rb") as file:
        lines = file.read().splitlines()
    writer.write(lines)
    return {"points": len(lines)}


def _cycled(service: Service, server: InfluxDB, at_ns: int, *, new: bool) -> Result:
    before = processor_s(server)
    with watched() as count:
        report = service.minute(at_ns)
    return {
        "new": new,
        "census_s": report.census_s,
        "rollup_s": report.rollup_s,
        "server_cpu_s": processor_s(server) - before,
        "queries": count.queries,
        "at_once": count.at_once,
        "points": report.points,
        "failed": report.failed,
        "own_mib": psutil.Process().memory_info().rss >> 20,
    }


def process(server: InfluxDB) -> psutil.Process:
    """Return the server's process."""
    children = psutil.Process().children()
    configuration = str(server.folder / "influxdb.conf")
    return next(p for p in children if configuration in p.cmdline())


def processor_s(server: InfluxDB) -> float:
    """Return the processor time that a server has used."""
    used = process(server).cpu_times()
    return float(used.user + used.system)


def _repeated(writer: Writer, lines: list[bytes], back: int) -> Result:
    writer.write([_earlier(line, back) for line in lines])
    return {"points": len(lines)}


def _answered(server: InfluxDB, query: str) -> Result:
    times, rows = took_s(server.view, query)
    if not times:
        server.restart()  # it would continue with the query
    return {"times_s": times, "rows": rows}


def section(server: InfluxDB) -> CollectorSection:
    """Return the settings for a server, with a long timeout."""
    return CollectorSection.model_validate(_address(server))


def _address(server: InfluxDB) -> dict[str, str]:
    return {"url": server.url, "bucket": server.database, "timeout": "600s"}


def _earlier(line: bytes, minutes: int) -> bytes:
    head, _, at = line.rpartition(b" ")
    return b"%b %d" % (head, int(at) - minutes * MINUTE_NS)
