"""The operations centre by size: `python -m bench.noc [--stations 1000 20000 100000]`.

For each size a simulated nation is delivered minute by minute into a real InfluxDB
1.8 (tsi1), over the moment at which polls close in WIB, so that two phases are seen.
After each minute the census and the roll-ups are made, and timed. Then every query of
the national boards is asked, on raw points and on roll-ups. The roll-ups of the last
minute are first repeated back over an hour: roll-ups grow with time, not with stations.

Ground truth beside: expected stations and points counted by the server.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from statistics import median

import psutil

from bench.noc_queries import ROUNDS, Question, questions, took_s
from bench.table import show
from qos_agent.line_protocol import encode, from_row
from qos_agent.noc.register.importing import stage
from qos_agent.noc.register.store import Register
from qos_agent.noc.service import Service
from qos_agent.noc.settings import NocSettings
from qos_agent.noc.simulator.delivery import Delivery
from qos_agent.noc.simulator.population import write_register
from qos_agent.noc.simulator.run import Batch, Nation
from qos_agent.noc.simulator.scenario import Scenario
from qos_agent.noc.writing import Writer
from tests.servers import influxd
from tests.servers.database import Database
from tests.servers.influxdb import InfluxDB

SIZES = (1_000, 20_000, 100_000)
GOAL_S = 2.0
MINUTE_NS = 60 * 10**9
CLOSING = datetime.fromisoformat("2024-02-14T13:00:00+07:00")
ROLLED_MINUTES = 60
ALONE_POINTS = 100_000
_PHASE = re.compile(rb",phase=[a-z]+")


@dataclass(slots=True)
class Course:
    """What was seen of one size."""

    stations: int
    alone_per_s: float = 0.0
    points: int = 0
    delivering_s: float = 0.0
    census_s: list[float] = field(default_factory=list)
    rollup_s: list[float] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    with_phase: set[int] = field(default_factory=set)
    without: set[int] = field(default_factory=set)

    def see(self, batch: Batch) -> None:
        """Count a part's points and series."""
        self.points += batch.count
        for line in (line for some in batch.lines.values() for line in some):
            series = line[: line.index(b" ")]
            self.with_phase.add(hash(series))
            self.without.add(hash(_PHASE.sub(b"", series)))


def scenario(stations: int, minutes: int) -> Scenario:
    """A nation with some of each trouble, half of its minutes after polls close."""
    start = CLOSING.timestamp() - 60 * (minutes // 2)
    trouble = [
        {"kind": "core_failure", "province": "35", "operator": "telkomsel"},
        {"kind": "power_cut", "from": 1, "province": "33", "share": 0.1},
        {"kind": "never", "share": 0.01},
        {"kind": "slow_uplink", "share": 0.02, "amount": 2.0},
    ]
    return Scenario.model_validate({
        "name": "bench", "stations": stations, "minutes": minutes,
        "start": datetime.fromtimestamp(start, CLOSING.tzinfo),
        "calendar": "2024-02-14", "trouble": trouble,
    })  # fmt: skip


@contextmanager
def centre(
    server: InfluxDB, made: Nation, folder: Path
) -> Iterator[tuple[Service, NocSettings]]:
    """A service over the server, with the nation in its register."""
    rollup = server.create_database("rollup")
    address = {"url": server.url, "token": "unused", "timeout": "60s"}
    settings = NocSettings.model_validate({
        "folder": folder,
        "collectors": [address | {"bucket": server.database}],
        "rollup": address | {"bucket": rollup.database},
        "election": {"calendar": "2024-02-14"},
    })  # fmt: skip
    stations = folder / "stations.csv"
    write_register(stations, iter(made.stations))
    register = Register(folder / "register.sqlite3")
    stage(register, stations, lambda _: None)
    register.apply(made.start_ns // 10**9 - 86400, close_missing=False)
    register.close()
    service = Service(settings)
    yield service, settings
    service.close()


def alone_per_s(wanted: Scenario) -> float:
    """Points a second of the simulator with nobody to deliver to."""
    made, count = Nation(wanted, CLOSING), 0
    began = time.perf_counter()
    for batch in made.parts():
        count += batch.count
        if count > ALONE_POINTS:
            break
    return count / (time.perf_counter() - began)


def followed(
    made: Nation, service: Service, settings: NocSettings, course: Course
) -> int:
    """Deliver, and do the centre's work after each minute; the last minute's end."""
    began, ends_ns = time.perf_counter(), 0
    with Delivery(settings, time.sleep) as delivery:
        for batch in made.parts():
            delivery.send(batch.lines)
            course.see(batch)
            # What is late beyond the end has a minute of its own.
            if not batch.whole or batch.minute == made.scenario.minutes:
                continue
            delivery.finish()
            course.delivering_s += time.perf_counter() - began
            ends_ns = batch.ends_ns
            report = service.minute(ends_ns)
            print(f"  {report}", file=sys.stderr, flush=True)
            course.census_s.append(report.census_s)
            course.rollup_s.append(report.rollup_s)
            course.failed |= report.failed
            began = time.perf_counter()
        delivery.finish()
    return ends_ns


def repeated(settings: NocSettings, rollup: Database, to_ns: int, already: int) -> int:
    """Repeat the last minute's roll-ups back in time; how many points a minute has."""
    rows = rollup.query(
        f"SELECT * FROM /.*/ WHERE time >= {to_ns - MINUTE_NS} AND time <= {to_ns}"
    )
    lines = [
        encode(from_row(row.pop("measurement"), row)) for row in rows if row["time"]
    ]
    writer = Writer(settings.rollup)
    for back in range(already, ROLLED_MINUTES):
        shifted = []
        for line in lines:
            head, _, at = line.rpartition(b" ")
            shifted.append(b"%b %d" % (head, int(at) - back * MINUTE_NS))
        writer.write(shifted)
    writer.close()
    return len(lines)


def asked(
    raw: Database, rollup: Database, minutes: int, to_ns: int
) -> Iterator[tuple[Question, float | None, float | None, int]]:
    """Each question's seconds on raw points and on roll-ups, and rows of the latter."""
    raw_from, rollup_from = (to_ns - n * MINUTE_NS for n in (minutes, ROLLED_MINUTES))
    for question in questions():
        raw_s = rollup_s = None
        rows = 0
        if question.raw:
            raw_s, rows = took_s(raw, question.about(raw_from, to_ns))
        if question.rollup:
            rollup_s, rows = took_s(rollup, question.about(rollup_from, to_ns + 1))
        yield question, raw_s, rollup_s, rows


def footprint(server: InfluxDB) -> tuple[int, float]:
    """Bytes on disk of the raw database, and the server's resident MiB."""
    folders = [server.folder / kind / server.database for kind in ("data", "wal")]
    size = sum(
        path.stat().st_size
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file()
    )
    children = psutil.Process().children()
    mine = [p for p in children if str(server.folder) in " ".join(p.cmdline())]
    return size, mine[0].memory_info().rss / 2**20


def seconds(value: float | None) -> str:
    """A time for the table."""
    return "-" if value is None else f"{value:.3f}"


def measured(program: influxd.Influxd, stations: int, minutes: int) -> None:
    """One size: two tables."""
    wanted = scenario(stations, minutes)
    course = Course(stations, alone_per_s(wanted))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = InfluxDB(program, folder / "influxdb").start()
        made = Nation(wanted, CLOSING)
        with centre(server, made, folder) as (service, settings):
            to_ns = followed(made, service, settings, course)
            rollup = server.create_database("rollup")
            of_size(server, rollup, course, to_ns)
            kept = repeated(settings, rollup, to_ns, minutes)
            print(f"roll-ups and census: {kept:,} points a minute")
            of_queries(server.view, rollup, course, minutes, to_ns)
        server.stop()


def of_size(server: InfluxDB, rollup: Database, course: Course, to_ns: int) -> None:
    """What the minutes cost, and how it grows."""
    size, memory = footprint(server)
    series = server.query("SHOW SERIES EXACT CARDINALITY")
    counted = sum(int(row["count"]) for row in series)
    expected = rollup.query(
        'SELECT SUM("expected") AS "n" FROM "census" '
        f"WHERE \"operator\" = 'all' AND time = {to_ns}"
    )
    minutes = len(course.census_s)
    rows = (
        ("stations expected by the last census",
         f"{int(expected[0]['n']) if expected else 0:,} of {course.stations:,}"),
        ("points", f"{course.points:,}, {course.points / minutes:,.0f} a minute"),
        ("simulator alone", f"{course.alone_per_s:,.0f} points/s, one process"),
        ("simulated and delivered", f"{course.points / course.delivering_s:,.0f} /s"),
        ("census, first minute", f"{course.census_s[0]:.2f} s"),
        ("census, then (median)", f"{median(course.census_s[1:] or [0]):.2f} s"),
        ("roll-ups of 3 minutes (median)", f"{median(course.rollup_s):.2f} s"),
        ("provinces that failed", ", ".join(sorted(course.failed)) or "none"),
        ("series, by the server", f"{counted:,}"),
        ("series with `phase`, by the lines", f"{len(course.with_phase):,}"),
        ("series without `phase`", f"{len(course.without):,}"),
        ("bytes a point on disk", f"{size / course.points:.0f}"),
        ("growth at this size", f"{size / minutes * 60 / 2**30:.2f} GiB an hour"),
        ("influxd resident", f"{memory:,.0f} MiB"),
    )  # fmt: skip
    show(f"{course.stations:,} stations, {minutes} minutes", ("what", "seen"), rows)


def of_queries(
    raw: Database, rollup: Database, course: Course, minutes: int, to_ns: int
) -> None:
    """The national queries."""
    found = list(asked(raw, rollup, minutes, to_ns))
    rows = [
        (question.board, question.panel[:40], seconds(raw_s), seconds(rollup_s),
         f"{rows:,}")
        for question, raw_s, rollup_s, rows in found
    ]  # fmt: skip
    head = ("board", "panel", f"raw {minutes} min s",
            f"roll-ups {ROLLED_MINUTES} min s", "rows")  # fmt: skip
    show(f"{course.stations:,} stations: national queries, median of {ROUNDS}",
         head, rows)  # fmt: skip
    times = [rollup_s for _, _, rollup_s, _ in found if rollup_s is not None]
    late = sum(rollup_s > GOAL_S for rollup_s in times)
    print(f"on roll-ups: median {median(times):.3f} s, slowest {max(times):.3f} s, "
          f"{late} of {len(times)} over {GOAL_S:.0f} s")  # fmt: skip


def main(arguments: Sequence[str] = ()) -> int:
    """Print the tables of each size."""
    parser = argparse.ArgumentParser(prog="python -m bench.noc")
    parser.add_argument("--stations", type=int, nargs="+", default=SIZES)
    parser.add_argument("--minutes", type=int, default=4)
    wanted = parser.parse_args(arguments)
    program = influxd.find()
    if program is None:
        print(f"{influxd.MISSING}; {influxd.MEND}", file=sys.stderr)
        return 1
    print(f"InfluxDB {program.version}, tsi1")
    for stations in wanted.stations:
        measured(program, stations, wanted.minutes)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
